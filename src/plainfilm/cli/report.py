"""``plainfilm report``: films in, draft reports out."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.core import InputError, PlainfilmError, write_atomically

if TYPE_CHECKING:
    from plainfilm.core import Report, Study


class Format(StrEnum):
    """How a report is written out."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


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
    audience: Annotated[
        Audience, typer.Option(help="patient: the same statements in plain words, as text.")
    ] = Audience.RADIOLOGIST,
) -> None:
    """Draft a report for each film.

    Each file, or folder, is one study (`--together` makes all files one). A film that cannot be
    read is named on standard error, the others go on, and the exit status is 1.

        plainfilm report chest.dcm
        plainfilm report pa.dcm lateral.dcm --together --indication "Cough and fever."
        plainfilm report films/*.png --format html -o reports.html
    """
    if audience is Audience.PATIENT and format is not Format.TEXT:
        raise InputError(f"--audience patient is written as text, not as {format}")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no folder {output.parent}")
    from plainfilm.pipeline import load_model

    drafting = load_model(model)
    studies, refused = _studies(files, together=together, indication=indication)
    drafted = list(zip(studies, drafting.reports(studies), strict=True))
    if drafted:
        text = _render(drafted, format, audience)
        if output is None:
            typer.echo(text)
        else:
            write_atomically(output, text + "\n")
            typer.echo(f"wrote {output} ({len(drafted)} draft report(s))", err=True)
    for message in refused:
        typer.echo(f"plainfilm: {message}", err=True)
    if refused:
        raise typer.Exit(1)


def _studies(
    files: list[Path], *, together: bool, indication: str | None
) -> tuple[list["Study"], list[str]]:
    """Return the studies that can be read, and why the others can't."""
    from rich.progress import track

    from plainfilm.data import load_study

    studies, refused = [], []
    groups = [files] if together else [[file] for file in files]
    for group in track(
        groups, description="reading films", transient=True, disable=len(groups) < 8
    ):
        try:
            study = load_study(*group, indication=indication)
            if study.frontal is None:
                raise InputError(f"{group[0]}: no frontal film; the models read frontal films")
            studies.append(study)
        except PlainfilmError as error:
            refused.append(str(error))
    return studies, refused


def _render(drafted: list[tuple["Study", "Report"]], format: Format, audience: Audience) -> str:
    from plainfilm.export import Entry, report_json, report_page, report_text
    from plainfilm.text.patient import explain

    if audience is Audience.PATIENT:
        return "\n\n".join(explain(draft) for _, draft in drafted)

    if format is Format.HTML:
        count = len(drafted)
        title = "Draft report" if count == 1 else f"{count} draft reports"
        return report_page(
            [Entry(study=study, report=draft) for study, draft in drafted], title=title
        )
    if format is Format.JSON:
        texts = [report_json(study, draft) for study, draft in drafted]
        return texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]"
    return "\n\n".join(report_text(study, draft) for study, draft in drafted)
