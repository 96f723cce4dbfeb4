"""``plainfilm metrics``: what there is, how it reacts, and the errors behind the numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.cli.options import (
    Language,
    Metrics,
    Missing,
    MissingOption,
    Models,
    Row,
    Section,
    Uncertain,
    UncertainOption,
    protocol,
)
from plainfilm.cli.tables import Form, FormOption

if TYPE_CHECKING:
    from plainfilm.metrics.error_table import ErrorTable
    from plainfilm.metrics.pairs import Pairs

metrics = typer.Typer(
    help="List metrics, probe how they react to errors, list reports' errors, draw, convert."
)

_TRUTH = "What radiologists wrote; or a folder from plainfilm evaluate --output."
_SAID = "What a model wrote; left out where the first holds both."


@metrics.command("list")
def list_metrics(form: FormOption = Form.TEXT) -> None:
    """List every metric with its range and its page in docs/metrics."""
    from plainfilm.cli.tables import console, show
    from plainfilm.evaluation.tables import Sheet
    from plainfilm.metrics import DEFAULT_METRICS, METRICS

    rows = [
        [name, f"{metric.worst:g}", f"{metric.best:g}",
         "yes" if name in DEFAULT_METRICS else "", f"{metric.card}.md"]
        for name, metric in METRICS.items()
    ]  # fmt: skip
    show(console(), [Sheet(["metric", "worst", "best", "by default", "page"], rows)], form)


@metrics.command()
def probe(
    reports: Annotated[
        Path, typer.Argument(help="Reports as radiologists wrote them: .txt, .csv, .jsonl, .json.")
    ],
    names: Metrics = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many reports.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of places.")] = 0,
    uncertain: UncertainOption = Uncertain.POSITIVE,
    metric_model: Models = None,
    form: FormOption = Form.TEXT,
    json: Annotated[
        bool, typer.Option("--json", help="Print values before and after, with signatures.")
    ] = False,
) -> None:
    """Make one small error in each report, and print what share of each metric it costs.

    A metric that reads reports has to react to all edits but the last (shuffled sentences), which
    changes no finding.

        plainfilm metrics probe references.csv --metrics bleu-4,rouge-l,micro-f1-14,finding-f1-side
    """
    from json import dumps

    from plainfilm.cli.tables import console, show, track
    from plainfilm.evaluation.tables import Sheet, Value
    from plainfilm.metrics.error_table import ACCURATE
    from plainfilm.metrics.files import read_reports
    from plainfilm.metrics.probe import probe as carry_out

    chosen = protocol(names, uncertain, metric_model)
    found = read_reports(reports, "references")
    texts = (found if isinstance(found, list) else list(found.values()))[:limit]
    reactions = carry_out(texts, chosen.metrics, seed=seed, track=track, **chosen.options)
    if json:
        typer.echo(dumps({edit: one.to_dict() for edit, one in reactions.items()}, indent=1))
        return
    widest = max(reactions.values(), key=lambda reaction: reaction.applied)
    sheet = Sheet(
        ["edit", "reports", *chosen.metrics, f"errors: {ACCURATE}"],
        [
            [
                edit,
                str(one.applied),
                *(Value(one.drop(name), form=".1%") for name in (*chosen.metrics, ACCURATE)),
            ]
            for edit, one in reactions.items()
        ],
        f"share of the value lost by one edit: {len(texts)} reports of {reports}, seed {seed}",
    )
    out = console()
    show(out, [sheet], form)
    if form is Form.TEXT:
        for signature in widest.signatures.values():
            out.print(str(signature), style="dim", soft_wrap=True)


@metrics.command()
def errors(
    references: Annotated[Path, typer.Argument(help=_TRUTH)],
    predictions: Annotated[Path | None, typer.Argument(help=_SAID)] = None,
    row: Row = None,
    language: Language = None,
    missing: MissingOption = Missing.REFUSE,
    section: Section = None,
    show: Annotated[
        str | None,
        typer.Option(help="Print the reports of one row of the table, by its name."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page: the table, each cell with its reports side by side."),
    ] = None,
    films: Annotated[
        Path | None, typer.Option(help="The dataset that the studies are of: its films for --html.")
    ] = None,
    form: FormOption = Form.TEXT,
    json: Annotated[bool, typer.Option("--json", help="Print shares and errors as JSON.")] = False,
) -> None:
    """Print what is wrong with predicted reports: the share of reports in each row.

    plainfilm metrics errors references.csv predictions.csv
    plainfilm metrics errors references.csv predictions.csv --show "wrong severity"
    plainfilm metrics errors RUN --html errors.html
    """
    from json import dumps

    from plainfilm.cli import tables
    from plainfilm.cli.reports import load_reports
    from plainfilm.core import InputError
    from plainfilm.metrics import align
    from plainfilm.metrics.error_table import ROWS, error_table

    if show is not None and show not in ROWS:
        raise InputError(f"no row {show!r} in the error table: choose from {'; '.join(ROWS)}")
    loaded = load_reports(
        references, predictions, row=row, section=section, missing=missing.value, language=language
    )
    truth, systems = loaded.reports.references, loaded.reports.systems
    pairs = {
        name: align(truth, said, language=loaded.language, track=tables.track)
        for name, said in systems.items()
    }
    found = {name: error_table(pairs[name]) for name in systems}
    shares = {
        name: one.scores(pairs[name], section=loaded.section, split=loaded.split)
        for name, one in found.items()
    }
    if html is not None:
        from plainfilm.cli.pages import films_of, write_error_page

        shown = {}
        if films is not None:
            from plainfilm.data import Dataset

            ids = (key for one in pairs.values() for key in one.ids)
            shown = films_of(Dataset(films), ids)
        write_error_page(html, pairs, found, shares, shown)
        typer.echo(f"wrote {html}")
        return
    if json:
        typer.echo(
            dumps({name: one.to_dict(shares[name], only=show) for name, one in found.items()})
        )
        return
    out = tables.console()
    if show is None:
        notes = (f"{len(truth)} reports", *loaded.reports.notes)
        tables.show(out, [tables.error_table(shares)], form, notes)
        if form is Form.TEXT:
            tables.print_signatures(out, list(next(iter(shares.values())).values())[:1])
    else:
        _print_reports(pairs, found, show)


def _print_reports(
    pairs: "Mapping[str, Pairs]", found: "Mapping[str, ErrorTable]", show: str
) -> None:
    from plainfilm.cli.tables import console

    out = console()
    for name, errors_ in found.items():
        wanted = set(errors_.reports(show))
        one = pairs[name]
        out.print(f"{name}: {len(wanted)} of {len(one)}", style="underline")
        for key, reference, prediction in zip(
            one.ids, one.references, one.predictions, strict=True
        ):
            if key not in wanted:
                continue
            out.print(key, style="bold")
            for error in errors_.errors[key]:
                out.print(f"  {error.kind}: {error.what}", soft_wrap=True)
            for side, text in (("reference", reference), ("prediction", prediction)):
                lines = text.replace("\n", "\n" + " " * 14)
                out.print(f"  {side + ':':12}{lines}", soft_wrap=True)
            out.print()


@metrics.command()
def plot(
    run: Annotated[Path, typer.Argument(help="A folder from plainfilm evaluate --output.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the SVG files; RUN/plots if left out."),
    ] = None,
) -> None:
    """Draw F1 by observation, the shares of errors, and metrics against report length.

    plainfilm metrics plot RUN
    """
    from plainfilm.cli.pages import write_plots

    for path in write_plots(run, output or run / "plots"):
        typer.echo(f"wrote {path}")


@metrics.command()
def convert(
    source: Annotated[Path, typer.Argument(help=_TRUTH)],
    output: Annotated[
        Path, typer.Argument(help="The file to write: .csv, .jsonl, or .json (ReXrank's form).")
    ],
    predictions: Annotated[Path | None, typer.Option(help=_SAID)] = None,
    row: Row = None,
    missing: MissingOption = Missing.REFUSE,
    section: Section = None,
) -> None:
    """Write references and predictions in another form, both sides in one file.

    plainfilm metrics convert RUN rexrank.json
    plainfilm metrics convert rexrank.json reports.csv
    plainfilm metrics convert references.txt reports.jsonl --predictions predictions.txt
    """
    from plainfilm.cli.reports import load_reports
    from plainfilm.metrics import align
    from plainfilm.metrics.files import write_pairs

    loaded = load_reports(
        source, predictions, row=row, section=section, missing=missing.value
    ).reports
    pairs = align(loaded.references, next(iter(loaded.systems.values())))
    write_pairs(
        output,
        dict(zip(pairs.ids, pairs.references, strict=True)),
        dict(zip(pairs.ids, pairs.predictions, strict=True)),
    )
    for note in loaded.notes:
        typer.echo(note, err=True)
    typer.echo(f"wrote {len(pairs)} reports into {output}")


@metrics.command()
def install(
    metric: Annotated[str, typer.Argument(help="radgraph, ratescore or green.")],
    folder: Annotated[
        Path,
        typer.Argument(
            help="Where to make it: a folder that is not there yet, or one to go on with."
        ),
    ],
    torch: Annotated[
        str | None, typer.Option(help="The build of torch, as pip takes it: torch==2.13.0.")
    ] = None,
    torch_index: Annotated[
        str | None,
        typer.Option(help="Where torch comes from: https://download.pytorch.org/whl/cpu."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint on this machine; of ratescore two, in its page's order."),
    ] = None,
) -> None:
    """Make the environment that a metric of another package needs; this uses the network.

    Where it fails, what was fetched stays, and the same command goes on from there.

        plainfilm metrics install radgraph environments/radgraph --torch torch==2.13.0

        plainfilm score references.csv predictions.csv --metrics radgraph-f1-partial \\
            --model radgraph=environments/radgraph
    """
    from plainfilm.metrics.external.bridge import install as make

    name = make(metric, folder, torch=torch, torch_index=torch_index, checkpoints=checkpoint or [])
    given = "".join(
        f",{option}={path}"
        for option, path in zip(("checkpoint", "synonyms"), checkpoint or [], strict=False)
    )
    typer.echo(f"{name} answers; give --model {metric}={folder}{given}")
