"""``plainfilm score``: metrics of predicted reports against references, from plain files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.cli.options import (
    By,
    CorpusFile,
    Intervals,
    Language,
    Metrics,
    Missing,
    MissingOption,
    Models,
    Row,
    Section,
    StudyTable,
    Tokens,
    Uncertain,
    UncertainOption,
    Workers,
    protocol,
)
from plainfilm.cli.tables import Form, FormOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plainfilm.core import Score
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
    by: By = None,
    table: StudyTable = None,
    form: FormOption = Form.TEXT,
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
        plainfilm score both.csv --by institution --format markdown
    """  # fmt: skip
    from json import dumps

    from plainfilm.cli.reports import column_of, load_reports
    from plainfilm.cli.tables import (
        console,
        group_table,
        observation_table,
        score_table,
        show,
        track,
    )
    from plainfilm.metrics import align
    from plainfilm.metrics.breakdown import score_by
    from plainfilm.metrics.clinical import positives
    from plainfilm.metrics.files import report_rows, write_rows
    from plainfilm.metrics.outputs import output_profile
    from plainfilm.metrics.registry import resolve
    from plainfilm.metrics.scoring import score_pairs

    chosen = protocol(
        metrics, uncertain, metric_model, tokenizer=tokenizer, corpus=corpus, workers=workers
    )
    loaded = load_reports(
        references, predictions, row=row, section=section, split=split, missing=missing.value,
        language=language, beside=[by] if by else [],
    )  # fmt: skip
    groups = None if by is None else column_of(loaded, by, table, references)
    truth, systems = loaded.reports.references, dict(loaded.reports.systems)
    if training is not None:
        systems |= _templates(training, truth)
    scores, outputs, grouped, rows, counts = {}, {}, {}, [], None
    for name, said in systems.items():
        pairs = align(
            truth, said, section=loaded.section, split=loaded.split, language=loaded.language,
            track=track, **chosen.options,
        )  # fmt: skip
        scores[name] = score_pairs(
            pairs, resolve(chosen.scored), intervals=intervals, per_report=per_report is not None
        )
        if groups is not None:
            grouped[name] = score_by(pairs, resolve(chosen.metrics), groups, intervals=intervals)
        if chosen.classes and counts is None:
            counts = positives(pairs, classes=chosen.classes)
        outputs[name] = output_profile(pairs)
        rows += report_rows(name, pairs.ids, scores[name], chosen.metrics)
    if per_report is not None:
        write_rows(per_report, rows)
    if json:
        found = {
            "scores": _as_dicts(scores),
            "outputs": {name: profile.to_dict() for name, profile in outputs.items()},
            "groups": {name: _as_dicts(found) for name, found in grouped.items()},
            "notes": list(loaded.reports.notes),
        }
        typer.echo(dumps(found, indent=2))
        return
    sheets = [score_table(scores, chosen.metrics, f"{len(truth)} reports")]
    for name, found_groups in grouped.items():
        sheets.append(group_table(found_groups, chosen.metrics, by or "", name))
    if chosen.by_observation:
        sheets.append(observation_table(scores, chosen.by_observation, counts))
    profiles = [f"{name}: {profile}" for name, profile in outputs.items()]
    show(console(), sheets, form, [*loaded.reports.notes, *profiles])


def _as_dicts(
    scores: "Mapping[str, Mapping[str, Score]]",
) -> dict[str, dict[str, dict[str, object]]]:
    return {
        name: {metric: one.to_dict() for metric, one in values.items()}
        for name, values in scores.items()
    }


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
