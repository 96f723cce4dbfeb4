"""``plainfilm report``: films in, draft reports out."""

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from plainfilm.core import InputError, PlainfilmError, Study, write_atomically


class Format(StrEnum):
    """How a report is written out."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


class Saliency(StrEnum):
    """How the maps of where the model looked are made."""

    CLASSIFIER = "classifier"
    GRAD_CAM = "grad-cam"
    ATTENTION_ROLLOUT = "attention-rollout"


class Audience(StrEnum):
    """Whom a report is written for."""

    RADIOLOGIST = "radiologist"
    PATIENT = "patient"


def report(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Films (DICOM, PNG, JPEG, TIFF), or folders that hold one study's films each.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str, typer.Option(help="A shipped model, a run folder or a checkpoint directory.")
    ] = "plainfilm-small",
    format: Annotated[
        Format, typer.Option(help="text to read, json to process, html to look at.")
    ] = Format.TEXT,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; standard output where left out."),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="All files are films of one study.")
    ] = False,
    indication: Annotated[
        str | None, typer.Option(help="Why the films were taken; the model reads it too.")
    ] = None,
    saliency: Annotated[
        Saliency,
        typer.Option(help="How the maps are made (docs/saliency.md); drawn by --format html."),
    ] = Saliency.CLASSIFIER,
    audience: Annotated[
        Audience, typer.Option(help="patient: the same statements in plain words, as text.")
    ] = Audience.RADIOLOGIST,
) -> None:
    """Draft a report for each film.

    Each file, or folder, is one study (`--together` makes all files one). A film that cannot be
    read is named on standard error, the others go on, and the exit status is 1. Several studies
    come as one text, one JSON array or one page.

        plainfilm report chest.dcm
        plainfilm report pa.dcm lateral.dcm --together --indication "Cough and fever."
        plainfilm report films/*.png --format html -o reports.html
    """
    if audience is Audience.PATIENT and format is not Format.TEXT:
        raise InputError(f"--audience patient is written as text, not as {format}")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no folder {output.parent}")
    refused: list[str] = []
    studies = _studies(files, refused, together=together, indication=indication)
    text = _draft(studies, model, format, audience, saliency)
    if text is not None and output is None:
        typer.echo(text)
    elif text is not None and output is not None:
        write_atomically(output, text + "\n")
        typer.echo(f"wrote {output}", err=True)
    for message in refused:
        typer.echo(f"plainfilm: {message}", err=True)
    if refused:
        raise typer.Exit(1)


def _studies(
    files: list[Path], refused: list[str], *, together: bool, indication: str | None
) -> Iterator[Study]:
    """Read one study after the other; why one can't be read goes into ``refused``."""
    from rich.console import Console
    from rich.progress import track

    from plainfilm.data import load_study

    groups = [files] if together else [[file] for file in files]
    for group in track(
        groups,
        description="drafting reports",
        console=Console(stderr=True),
        transient=True,
        disable=len(groups) < 2,
    ):
        try:
            study = load_study(*group, indication=indication)
            if study.frontal is None:
                raise InputError(f"{group[0]}: no frontal film; the models read frontal films")
        except PlainfilmError as error:
            refused.append(str(error))
        else:
            yield study


def _draft(
    studies: Iterator[Study], model: str, format: Format, audience: Audience, saliency: Saliency
) -> str | None:
    """Return the studies' drafts, written out; None where no study could be read.

    Only a page keeps the films; text and JSON are written as they come.
    """
    first = next(studies, None)
    if first is None:
        return None
    from plainfilm.export import Entry, report_json, report_page, report_text
    from plainfilm.pipeline import load_model
    from plainfilm.text.writer.patient import explain

    waiting: deque[Study] = deque()

    def feed() -> Iterator[Study]:
        for study in chain([first], studies):
            waiting.append(study)
            yield study

    reports = load_model(model).reports(feed(), saliency=str(saliency))
    drafts = ((waiting.popleft(), draft) for draft in reports)
    if audience is Audience.PATIENT:
        return "\n\n".join(explain(draft) for _, draft in drafts)
    if format is Format.TEXT:
        return "\n\n".join(report_text(study, draft) for study, draft in drafts)
    if format is Format.JSON:
        texts = [report_json(study, draft) for study, draft in drafts]
        return texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]"
    entries = [Entry(study=study, report=draft) for study, draft in drafts]
    title = "Draft report" if len(entries) == 1 else f"{len(entries)} draft reports"
    return report_page(entries, title=title)
