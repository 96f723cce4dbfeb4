"""``plainfilm compare``: is the difference between systems real?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from plainfilm.cli.comparison_tables import (
    comparison_entry,
    comparison_sheet,
    group_sheet,
    pairs_sheet,
    ranking_entry,
    ranking_sheet,
)
from plainfilm.cli.options import (
    By,
    CorpusFile,
    Metrics,
    Missing,
    MissingOption,
    Models,
    Protocol,
    Section,
    StudyTable,
    Tokens,
    Uncertain,
    UncertainOption,
    Workers,
    protocol,
)
from plainfilm.cli.tables import Form, FormOption
from plainfilm.core import InputError, MetricError

if TYPE_CHECKING:
    from plainfilm.core import Signature
    from plainfilm.metrics.protocol import Scoring
    from plainfilm.metrics.significance import Comparison

_RUNS = (
    "Two folders from plainfilm evaluate --output, or files with references and predictions; "
    "several to compare them all, or one that holds several systems."
)
_NAMED = 3  # how many ids a message names


class _System(NamedTuple):
    """A system of the comparison: its runs, and the row of each that is meant."""

    paths: Sequence[Path]
    row: str | None

    def __str__(self) -> str:
        return f"{self.row} of {self.paths[0]}" if self.row else str(self.paths[0])


def compare(
    runs: Annotated[list[Path], typer.Argument(help=_RUNS, show_default=False)],
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
        typer.Option(help="Of the reports; what the runs' own scores say where left out."),
    ] = None,
    missing: MissingOption = Missing.REFUSE,
    section: Section = None,
    metric_model: Models = None,
    tokenizer: Tokens = "ptb",
    corpus: CorpusFile = None,
    workers: Workers = None,
    by: By = None,
    table: StudyTable = None,
    form: FormOption = Form.TEXT,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Compare systems that wrote reports for the same studies.

    The p-value comes from paired randomisation (two-sided), corrected for the number of tests
    (Holm); the interval of the difference from the bootstrap. Where each of two systems was trained
    several times, name the further runs, and Welch's t-test compares the means of the runs
    (one-sided: is the second better?). Of more than two systems every pair is tested, and those
    that share a letter can't be told apart.

        plainfilm compare runs/baseline runs/ours --metrics bleu-4,micro-f1-14
        plainfilm compare runs/ours runs/ours --second-row "nearest training report"
        plainfilm compare runs/a runs/b runs/c --format latex
        plainfilm compare runs/baseline runs/ours --by institution
    """  # fmt: skip
    from plainfilm.cli.tables import track

    chosen = protocol(
        metrics, uncertain, metric_model, tokenizer=tokenizer, corpus=corpus, workers=workers
    )
    how = _Options(chosen, samples, language, missing, section, by, form, json, [])
    if len(runs) == 2:
        systems = [
            _System([runs[0], *(first_run or [])], first_row),
            _System([runs[1], *(second_run or [])], second_row),
        ]
        _compare_two(systems, how, table, track)
        return
    if first_row or second_row or first_run or second_run or by:
        raise InputError(
            f"--first-row, --second-row, --first-run, --second-run and --by are for two systems, "
            f"got {len(runs)}"
        )
    _compare_several(runs, how, track)


class _Options(NamedTuple):
    """How systems are compared and shown."""

    chosen: Protocol
    samples: int
    language: str | None
    missing: Missing
    section: str | None
    by: str | None
    form: Form
    json: bool
    notes: list[str]
    """What a reader of the comparison should know."""

    def scoring(self, systems: Sequence[_System], track: "object") -> "Scoring":
        """Return how the systems are scored, in the way that their own scores say."""
        from plainfilm.metrics import Scoring

        stored = _stored_protocol(systems, self.chosen.metrics)
        told = {
            "language": self.language or (stored and stored.language) or "en",
            "section": self.section or (stored and stored.section),
            "split": stored and stored.split,
            "track": track,
        }
        return Scoring.of(None, {**self.chosen.options, **told})  # type: ignore[typeddict-item]

    def read(
        self, path: Path, row: str | None, language: str
    ) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Return the references and the systems of a run, each by study id."""
        from plainfilm.cli.reports import load_reports

        found = load_reports(
            path, row=row, section=self.section, missing=self.missing.value, language=language,
            beside=[self.by] if self.by else [],
        ).reports  # fmt: skip
        self.notes.extend(f"{path}: {note}" for note in found.notes)
        return found.references, found.systems  # type: ignore[return-value]


def _compare_two(
    systems: Sequence[_System],
    how: _Options,
    table: Path | None,
    track: "object",
) -> None:
    from json import dumps

    from plainfilm.cli.tables import console, show
    from plainfilm.metrics import significance

    scoring = how.scoring(systems, track)
    read = [
        [how.read(path, system.row, scoring.language) for path in system.paths]
        for system in systems
    ]
    first = systems[0].paths[0]
    references = read[0][0][0]
    for system, runs in zip(systems, read, strict=True):
        for path, (others, _) in zip(system.paths, runs, strict=True):
            _check_references(first, references, path, others)
        for path, (_, said) in zip(system.paths, runs, strict=True):
            if len(said) > 1:
                how.notes.append(
                    f"{path}: of its {len(said)} systems, {next(iter(said))!r} is meant"
                )
    written = [[next(iter(said.values())) for _, said in runs] for runs in read]
    names = how.chosen.metrics
    found = significance.compare(
        references, written[0][0], written[1][0], names, samples=how.samples, scoring=scoring
    )
    repeated = {}
    if max(map(len, written)) > 1:
        repeated = significance.repeated(references, written[0], written[1], names, scoring=scoring)
    groups = {}
    if how.by is not None:
        groups = _by_group(how.by, table, first, references, written, how, scoring)
    if how.json:
        printed: dict[str, object] = {
            name: comparison_entry(one, repeated.get(name)) for name, one in found.items()
        }
        if groups:
            printed["groups"] = {
                group: {name: comparison_entry(one, None) for name, one in values.items()}
                for group, values in groups.items()
            }
        typer.echo(dumps(printed))
        return
    title = f"{len(references)} studies: {systems[1]} (second) against {systems[0]} (first)"
    sheets = [comparison_sheet(found, repeated, title)]
    if groups:
        sheets.append(group_sheet(groups, how.by or ""))
    if repeated:
        how.notes.append("p is two-sided, of one run each; Welch p is one-sided, over the runs.")
    show(console(), sheets, how.form, how.notes)


def _compare_several(runs: Sequence[Path], how: _Options, track: "object") -> None:
    from json import dumps

    from plainfilm.cli.tables import console, show
    from plainfilm.metrics.ranking import rank

    scoring = how.scoring([_System([path], None) for path in runs], track)
    references: dict[str, str] = {}
    systems: dict[str, dict[str, str]] = {}
    for path in runs:
        truth, said = how.read(path, None, scoring.language)
        references = references or truth
        _check_references(runs[0], references, path, truth)
        if len(runs) == 1:
            systems = said
        else:
            name = path.name if path.name not in systems else str(path)
            systems[name] = next(iter(said.values()))
    if len(systems) < max(2, len(runs)):
        raise InputError(
            f"{runs[0]}: holds one system: name another run to compare it with"
            if len(runs) == 1
            else f"a run is named twice: {', '.join(map(str, runs))}"
        )
    found = rank(references, systems, how.chosen.metrics, samples=how.samples, scoring=scoring)
    if how.json:
        typer.echo(dumps({name: ranking_entry(one) for name, one in found.items()}))
        return
    title = f"{len(references)} studies, {len(systems)} systems"
    show(console(), [ranking_sheet(found, title), pairs_sheet(found)], how.form, how.notes)


def _by_group(
    by: str,
    table: Path | None,
    run: Path,
    references: Mapping[str, str],
    written: Sequence[Sequence[Mapping[str, str]]],
    how: _Options,
    scoring: "Scoring",
) -> "dict[str, dict[str, Comparison]]":
    """Return the comparison of each group, p-values corrected over groups and metrics."""
    from plainfilm.cli.reports import column_of, load_reports
    from plainfilm.metrics import Corpus, significance
    from plainfilm.metrics.breakdown import groups_of

    values = column_of(load_reports(run, beside=[by], missing="empty"), by, table, run)
    if scoring.corpus is None:  # document frequencies stay those of all studies
        scoring = replace(scoring, corpus=Corpus(references.values()))
    ids = list(references)
    found = {}
    for group, places in groups_of(values, len(ids)).items():
        keys = [ids[place] for place in places]
        truth, first, second = (
            {key: texts[key] for key in keys}
            for texts in (references, written[0][0], written[1][0])
        )
        found[group] = significance.compare(
            truth, first, second, how.chosen.metrics, samples=how.samples, scoring=scoring
        )
    corrected = significance.holm({
        f"{group}\0{name}": one.p_value
        for group, values_ in found.items()
        for name, one in values_.items()
    })  # fmt: skip
    return {
        group: {
            name: replace(one, corrected_p_value=corrected[f"{group}\0{name}"])
            for name, one in values_.items()
        }
        for group, values_ in found.items()
    }


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
