"""``plainfilm compare``: is the difference between two systems real?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from plainfilm.cli.options import (
    CorpusFile,
    Metrics,
    Models,
    Tokens,
    Uncertain,
    UncertainOption,
    Workers,
    protocol,
)
from plainfilm.core import InputError, MetricError

if TYPE_CHECKING:
    from rich.table import Table

    from plainfilm.core import Signature
    from plainfilm.metrics.significance import Comparison, Repetition

_RUN = "A folder from plainfilm evaluate --output, or a file with references and predictions."
_NAMED = 3  # how many ids a message names


class _System(NamedTuple):
    """A system of the comparison: its runs, and the row of each that is meant."""

    paths: Sequence[Path]
    row: str | None

    def __str__(self) -> str:
        return f"{self.row} of {self.paths[0]}" if self.row else str(self.paths[0])


def compare(
    first: Annotated[Path, typer.Argument(help=_RUN, show_default=False)],
    second: Annotated[Path, typer.Argument(help=_RUN, show_default=False)],
    metrics: Metrics = None,
    first_row: Annotated[
        str | None, typer.Option(help="The first system's row, where a run holds several.")
    ] = None,
    second_row: Annotated[
        str | None, typer.Option(help="The second system's row, where a run holds several.")
    ] = None,
    first_run: Annotated[
        list[Path] | None, typer.Option(help="A further run of the first system; repeat it.")
    ] = None,
    second_run: Annotated[
        list[Path] | None, typer.Option(help="A further run of the second system; repeat it.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Random exchanges for the p-value.")] = 10_000,
    uncertain: UncertainOption = Uncertain.POSITIVE,
    language: Annotated[
        str | None,
        typer.Option(help="Of the reports; that of the runs' own scores if left out, else en."),
    ] = None,
    metric_model: Models = None,
    tokenizer: Tokens = "ptb",
    corpus: CorpusFile = None,
    workers: Workers = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Compare two systems that wrote reports for the same studies.

    The p-value comes from paired randomisation (two-sided), corrected for the number of metrics
    (Holm); the interval of the difference from the bootstrap. Where each system was trained several
    times, name the further runs, and Welch's t-test compares the means of the runs (one-sided: is
    the second better?).

        plainfilm compare runs/baseline runs/ours --metrics bleu-4,micro-f1-14
        plainfilm compare runs/ours runs/ours --second-row "nearest training report"
    """
    from json import dumps

    from plainfilm.cli.tables import console, track
    from plainfilm.metrics import significance
    from plainfilm.metrics.files import read_run

    chosen = protocol(
        metrics, uncertain, metric_model, tokenizer=tokenizer, corpus=corpus, workers=workers
    )
    systems = [
        _System([first, *(first_run or [])], first_row),
        _System([second, *(second_run or [])], second_row),
    ]
    stored = _stored_protocol(systems, chosen.metrics)
    runs = [[read_run(path, system.row) for path in system.paths] for system in systems]
    references = runs[0][0][0]
    for system, read in zip(systems, runs, strict=True):
        for path, (others, _) in zip(system.paths, read, strict=True):
            _check_references(first, references, path, others)
    written = [[said for _, said in read] for read in runs]
    language = language or (stored and stored.language) or "en"
    found = significance.compare(
        references, written[0][0], written[1][0], chosen.metrics, samples=samples, track=track,
        section=stored.section if stored else None, split=stored.split if stored else None,
        language=language, **chosen.options,
    )  # fmt: skip
    repeated = {}
    if first_run or second_run:
        repeated = significance.repeated(
            references,
            written[0],
            written[1],
            chosen.metrics,
            language=language,
            track=track,
            **chosen.options,
        )
    if json:
        typer.echo(dumps({name: _entry(one, repeated.get(name)) for name, one in found.items()}))
        return
    out = console()
    out.print(_table(found, repeated, f"{len(references)} studies: {systems[1]} (second) "
                     f"against {systems[0]} (first)"))  # fmt: skip
    if repeated:
        out.print("p is two-sided, of one run each; Welch p is one-sided, over the runs.")
    for one in found.values():
        out.print(str(one.signature), style="dim", soft_wrap=True)


def _stored_protocol(systems: "Sequence[_System]", metrics: Sequence[str]) -> "Signature | None":
    """Return a signature that the runs' own scores carry, None where there are none.

    Raises:
        MetricError: a metric was scored by different protocols; each difference is named.
    """
    from plainfilm.metrics.files import SCORES_FILE, read_scores

    known: dict[str, tuple[Path, Signature]] = {}
    for system in systems:
        for path in system.paths:
            if not (path / SCORES_FILE).is_file():
                continue
            stored = read_scores(path)
            scores = stored.get(system.row) if system.row else next(iter(stored.values()), None)
            for name in metrics:
                if scores is None or name not in scores:
                    continue
                before, signature = known.setdefault(name, (path, scores[name].signature))
                if differences := signature.differences(scores[name].signature):
                    raise MetricError(
                        f"{before} and {path} scored {name} by different protocols "
                        f"({'; '.join(differences)}): evaluate both alike, or give their "
                        "predictions.jsonl to score both anew"
                    )
    return next((signature for _, signature in known.values()), None)


def _check_references(
    first: Path, references: Mapping[str, str], path: Path, others: Mapping[str, str]
) -> None:
    """Raise an error that names the studies in which two runs differ."""
    problems = [
        f"{len(ids)} {what} ({', '.join(ids[:_NAMED])}{'…' if len(ids) > _NAMED else ''})"
        for what, ids in (
            (f"only in {first}", [key for key in references if key not in others]),
            (f"only in {path}", [key for key in others if key not in references]),
            ("with another text", [k for k, t in references.items() if others.get(k, t) != t]),
        )
        if ids
    ]
    if problems:
        raise InputError(
            f"{first} and {path} hold different references: {'; '.join(problems)}: compare systems "
            "on the same studies"
        )


def _entry(one: "Comparison", runs: "Repetition | None") -> dict[str, object]:
    """Return a comparison for JSON, undefined values as null."""

    def defined(value: float) -> float | None:
        return None if value != value else value

    entry: dict[str, object] = {
        "first": defined(one.first),
        "second": defined(one.second),
        "difference": defined(one.difference),
        "interval": [defined(bound) for bound in one.interval],
        "p_value": defined(one.p_value),
        "corrected_p_value": defined(one.corrected_p_value),
        "signature": one.signature.to_dict(),
    }
    if runs is None:
        return entry
    return entry | {
        "first_runs": [defined(value) for value in runs.first],
        "second_runs": [defined(value) for value in runs.second],
        "welch_p_value": defined(runs.p_value),
        "corrected_welch_p_value": defined(runs.corrected_p_value),
    }


def _table(
    found: "Mapping[str, Comparison]", repeated: "Mapping[str, Repetition]", title: str
) -> "Table":
    from plainfilm.cli.tables import cell, table

    columns = ["metric", "first", "second", "difference", "95 % interval", "p", "p corrected"]
    if repeated:
        columns += ["first, all runs", "second, all runs", "Welch p", "Welch p corrected"]
    shown = table(*columns, title=title)
    for name, one in found.items():
        low, high = one.interval
        cells = [
            cell(one.first, ".4f"),
            cell(one.second, ".4f"),
            cell(one.difference, "+.4f"),
            cell(low, "+.4f") + (f" to {high:+.4f}" if high == high else ""),
            cell(one.p_value, ".4f"),
            cell(one.corrected_p_value, ".4f"),
        ]
        if repeated:
            runs = repeated[name]
            cells += [
                _spread(runs.first),
                _spread(runs.second),
                cell(runs.p_value, ".4f"),
                cell(runs.corrected_p_value, ".4f"),
            ]
        shown.add_row(name, *cells)
    return shown


def _spread(values: Sequence[float]) -> str:
    """Return mean ± standard deviation over runs."""
    from plainfilm.cli.tables import cell

    mean = fmean(values)
    return f"{mean:.4f} ± {stdev(values):.4f}" if mean == mean else cell(mean, ".4f")
