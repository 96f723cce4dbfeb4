"""``plainfilm score``: metrics of predicted reports against references, from plain files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.cli.options import (
    CorpusFile,
    Intervals,
    Language,
    Metrics,
    Missing,
    MissingOption,
    Models,
    Row,
    Section,
    Tokens,
    Uncertain,
    UncertainOption,
    Workers,
    protocol,
)

if TYPE_CHECKING:
    from plainfilm.metrics.files import Reports


def score(
    references: Annotated[
        Path,
        typer.Argument(
            help="What radiologists wrote: .txt, .csv, .jsonl or .json; or a folder from "
            "plainfilm evaluate --output.",
            show_default=False,
        ),
    ],
    predictions: Annotated[
        Path | None,
        typer.Argument(
            help="What a model wrote; left out where the first holds both.", show_default=False
        ),
    ] = None,
    row: Row = None,
    metrics: Metrics = None,
    intervals: Intervals = True,
    uncertain: UncertainOption = Uncertain.POSITIVE,
    language: Language = None,
    metric_model: Models = None,
    tokenizer: Tokens = "ptb",
    corpus: CorpusFile = None,
    workers: Workers = None,
    training: Annotated[
        Path | None,
        typer.Option(
            help="Training reports, for the rows that need no film: the most common "
            "report, and one drawn at random."
        ),
    ] = None,
    per_report: Annotated[
        Path | None, typer.Option(help="Write each report's own values: .csv or .jsonl.")
    ] = None,
    missing: MissingOption = Missing.REFUSE,
    section: Section = None,
    split: Annotated[
        str | None, typer.Option(help="The data that is scored (test), for the signature.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print values, parts and signatures as JSON.")
    ] = False,
) -> None:
    """Score predicted reports against references, without any model.

    A .txt file holds one report a line. The other forms hold an id and a text for each report
    (columns or keys "id" and "text"); reports are paired by id. ReXrank's JSON and a folder from
    plainfilm evaluate hold both sides.

        plainfilm score references.csv predictions.csv --metrics bleu-4,micro-f1-14
        plainfilm score rexrank.json --per-report values.csv
    """  # fmt: skip
    from json import dumps

    from plainfilm.cli.reports import load_reports
    from plainfilm.cli.tables import (
        console,
        observation_table,
        print_signatures,
        score_table,
        track,
    )
    from plainfilm.metrics import align
    from plainfilm.metrics.files import report_rows, write_rows
    from plainfilm.metrics.outputs import output_profile
    from plainfilm.metrics.registry import resolve
    from plainfilm.metrics.scoring import score_pairs

    chosen = protocol(
        metrics, uncertain, metric_model, tokenizer=tokenizer, corpus=corpus, workers=workers
    )
    loaded = load_reports(
        references, predictions, row=row, section=section, split=split, missing=missing.value,
        language=language,
    )  # fmt: skip
    truth, systems = loaded.reports.references, dict(loaded.reports.systems)
    if training is not None:
        systems |= _templates(training, truth)
    scores, outputs, rows = {}, {}, []
    for name, said in systems.items():
        pairs = align(
            truth, said, section=loaded.section, split=loaded.split, language=loaded.language,
            track=track, **chosen.options,
        )  # fmt: skip
        scores[name] = score_pairs(
            pairs, resolve(chosen.scored), intervals=intervals, per_report=per_report is not None
        )
        outputs[name] = output_profile(pairs)
        rows += report_rows(name, pairs.ids, scores[name], chosen.metrics)
    if per_report is not None:
        write_rows(per_report, rows)
    if json:
        found = {
            "scores": {
                name: {metric: one.to_dict() for metric, one in values.items()}
                for name, values in scores.items()
            },
            "outputs": {name: profile.to_dict() for name, profile in outputs.items()},
            "notes": list(loaded.reports.notes),
        }
        typer.echo(dumps(found, indent=2))
        return
    out = console()
    for note in loaded.reports.notes:
        out.print(note, style="dim", soft_wrap=True)
    out.print(score_table(scores, chosen.metrics, f"{len(truth)} reports"))
    for name, profile in outputs.items():
        out.print(f"{name}: {profile}", soft_wrap=True)
    if chosen.by_observation:
        out.print(observation_table(scores, chosen.by_observation))
    print_signatures(out, (next(iter(scores.values()))[name] for name in chosen.metrics))


def _templates(training: Path, truth: "Reports") -> "dict[str, Reports]":
    """Return what the rows that need no film answer, in the form of ``truth``."""
    from plainfilm.metrics.files import read_reports
    from plainfilm.metrics.outputs import template_answers

    known = read_reports(training, "references")
    texts = known if isinstance(known, list) else list(known.values())
    return {
        name: answers if isinstance(truth, list) else dict(zip(truth, answers, strict=True))
        for name, answers in template_answers(texts, len(truth)).items()
    }
