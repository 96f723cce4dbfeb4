"""``plainfilm report``: films in, draft reports out."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.cli.options import DeviceOption, PresetOption, ThreadsOption, use_threads
from plainfilm.core import (
    GrowingFile,
    InputError,
    PlainfilmError,
    Report,
    Study,
    check_writable,
    printable,
    write_atomically,
)
from plainfilm.core.processes import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainfilm.pipeline import ReportModel

_PAGE_SHARE = 10
"""A page of many reports is written anew once this many times as long has passed as it takes."""


class Format(StrEnum):
    """How a report is written out."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    FHIR = "fhir"
    HL7 = "hl7"
    DICOM_SR = "dicom-sr"
    DICOM_SEG = "dicom-seg"
    DICOM_SC = "dicom-sc"
    DICOM_PDF = "dicom-pdf"

    @property
    def alone(self) -> bool:
        """Whether a file of this form holds one study's draft and no more."""
        return self not in (Format.TEXT, Format.JSON, Format.HTML)


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
        Format,
        typer.Option(
            help="text to read, json to process, html to look at, or a form that a hospital's "
            "systems take (docs/exports.md): one study's each."
        ),
    ] = Format.TEXT,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; standard output where left out or -."),
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
    ground: Annotated[
        str | None,
        typer.Option(
            help="Hold every statement against segmentation maps: segmenter for the shipped one's. "
            "A model that reads maps is held against these by itself.",
            metavar="SOURCE",
        ),
    ] = None,
    audience: Annotated[
        Audience, typer.Option(help="patient: the same statements in plain words, as text.")
    ] = Audience.RADIOLOGIST,
    identified: Annotated[
        bool,
        typer.Option(
            "--identified",
            help="Copy whose films they are from DICOM headers into pdf, fhir, hl7 and DICOM.",
        ),
    ] = False,
    preset: PresetOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Draft a report for each film.

    Each file, or folder, is one study (`--together` makes all files one). A film that cannot be
    read is named on standard error, the others go on, and the exit status is 1. Several studies
    come as one text, one JSON array or one page, written as each is done: what was finished before
    an interruption is there.

        plainfilm report chest.dcm
        plainfilm report pa.dcm lateral.dcm --together --indication "Cough and fever."
        plainfilm report films/*.png --format html -o reports.html
        plainfilm report chest.dcm --format dicom-sr --identified -o chest.sr.dcm
        plainfilm report chest.dcm --ground segmenter --format html -o report.html
        plainfilm report chest.dcm --model FOLDER --preset unirg-cxr
        torchrun --nproc-per-node 8 -m plainfilm report films/*.dcm --format json -o reports.json
    """
    if audience is Audience.PATIENT and format is not Format.TEXT:
        raise InputError(f"--audience patient is written as text, not as {format}")
    if identified and not format.alone:
        raise InputError(f"--identified is for pdf, fhir, hl7 and DICOM; {format} never says it")
    if output == Path("-"):
        output = None
    if output is not None:
        check_writable(output)
    if indication is not None:
        indication = printable(indication)
    refused: list[str] = []
    groups = [files] if together else [[file] for file in files]
    if format.alone and len(groups) > 1:
        raise InputError(
            f"{format} holds one study a file, got {len(groups)}: give one study at a time, or "
            "--together where they are films of one"
        )

    def opened() -> "ReportModel":
        from plainfilm.pipeline import load_model

        loaded = load_model(model, preset=preset, device=device)
        use_threads(loaded.model, threads)
        return loaded

    place, others = processes()
    if others > 1:
        drafts = _shared(groups, refused, opened, saliency, ground, indication)
    else:
        studies = _studies(groups, refused, indication=indication, identified=identified)
        drafts = _drafts(studies, opened, saliency, ground)
    written = 0
    if place == 0:
        written = _write(drafts, format, audience, output, several=len(groups) > 1)
    if written and output is not None:
        typer.echo(f"wrote {printable(str(output))}", err=True)
    if refused:
        raise typer.Exit(1)


def _studies(
    groups: list[list[Path]],
    refused: list[str],
    *,
    indication: str | None,
    identified: bool = False,
) -> Iterator[Study]:
    """Read one study after the other; why one can't be read is said and goes into ``refused``."""
    from rich.console import Console
    from rich.progress import track

    from plainfilm.data import load_study

    for group in track(
        groups,
        description="drafting reports",
        console=Console(stderr=True),
        transient=True,
        disable=len(groups) < 2,
    ):
        try:
            study = load_study(*group, indication=indication, identified=identified)
            if study.frontal is None:
                raise InputError(f"{group[0]}: no frontal film; the models read frontal films")
        except PlainfilmError as error:
            refused.append(str(error))
            typer.echo(f"plainfilm: {error}", err=True)
        else:
            yield study


def _drafts(
    studies: Iterator[Study],
    opened: "Callable[[], ReportModel]",
    saliency: Saliency,
    ground: str | None,
) -> Iterator[tuple[Study, Report]]:
    """Draft one study after the other; the model is opened when there is a first one."""
    first = next(studies, None)
    if first is None:
        return
    waiting: deque[Study] = deque()

    def feed() -> Iterator[Study]:
        for study in chain([first], studies):
            waiting.append(study)
            yield study

    model = opened()
    ground = ground or model.own_maps
    for draft in model.reports(feed(), saliency=str(saliency), ground=ground):
        yield waiting.popleft(), draft


def _shared(
    groups: list[list[Path]],
    refused: list[str],
    opened: "Callable[[], ReportModel]",
    saliency: Saliency,
    ground: str | None,
    indication: str | None,
) -> Iterator[tuple[Study, Report]]:
    """Draft whole batches in each of torchrun's processes; all get all of them, in order.

    Batches are those of one process only where no film is refused, which changes no draft.
    """
    from plainfilm.evaluation.drafting import BATCH, gathered

    place, others = processes()
    found: dict[int, tuple[list[tuple[Study, Report]], list[str]]] = {}
    starts = range(0, len(groups), BATCH)
    for start in starts[place::others]:
        faults: list[str] = []
        studies = _studies(groups[start : start + BATCH], faults, indication=indication)
        found[start] = list(_drafts(studies, opened, saliency, ground)), faults
    for theirs in gathered(found):
        found |= theirs
    for start in starts:
        drafts, faults = found[start]
        refused += faults
        yield from drafts


def _write(
    drafts: Iterator[tuple[Study, Report]],
    format: Format,
    audience: Audience,
    output: Path | None,
    *,
    several: bool,
) -> int:
    """Write each study's draft as soon as it is done, and return how many there are.

    Only a page keeps the films; text and JSON are written as they come.
    """
    first = next(drafts, None)
    if first is None:
        return 0
    from plainfilm.export import report_json, report_text
    from plainfilm.text.writer.patient import explain

    drafts = chain([first], drafts)
    if format is Format.HTML:
        return _write_page(drafts, output)
    if format.alone:
        from plainfilm.export.formats import form

        study, draft = next(drafts)
        content = form(str(format)).write(study, draft)
        if output is None:
            typer.echo(content, nl=False)
        else:
            write_atomically(output, content)
        return 1
    around = {"head": "[", "between": ",\n", "tail": "]\n"} if several else {}
    with closing(
        GrowingFile(output, **around if format is Format.JSON else {"between": "\n\n"})
    ) as file:
        for study, draft in drafts:
            if audience is Audience.PATIENT:
                file.add(explain(draft))
            elif format is Format.TEXT:
                file.add(report_text(study, draft))
            else:
                file.add(report_json(study, draft))
    return file.pieces


def _write_page(drafts: Iterator[tuple[Study, Report]], output: Path | None) -> int:
    """Write one page of all drafts; an interrupted run leaves one of those that were done."""
    from plainfilm.export import Entry, report_page

    entries: list[Entry] = []
    grows = output is not None and (output.is_file() or not output.exists())
    last, took = time.monotonic(), 0.0

    def write() -> None:
        title = "Draft report" if len(entries) == 1 else f"{len(entries)} draft reports"
        page = report_page(entries, title=title) + "\n"
        if output is None:
            typer.echo(page, nl=False)
        else:
            write_atomically(output, page)

    try:
        for study, draft in drafts:
            entries.append(Entry(study=study, report=draft))
            started = time.monotonic()
            if grows and started - last > _PAGE_SHARE * took:
                write()
                last = time.monotonic()
                took = last - started
    finally:
        if entries:
            write()
    return len(entries)
