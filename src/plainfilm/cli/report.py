"""``plainfilm report``: films in, draft reports out."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plainfilm.cli.options import DeviceOption, PresetOption, ThreadsOption, use_threads
from plainfilm.core import (
    GrowingFile,
    InputError,
    PlainfilmError,
    Provenance,
    Report,
    Study,
    View,
    check_folder,
    check_writable,
    printable,
    write_atomically,
)
from plainfilm.core.files import encoded
from plainfilm.core.processes import processes

if TYPE_CHECKING:
    from plainfilm.data.inbox import Found
    from plainfilm.pipeline import ReportModel

_PAGE_SHARE = 10
"""A page of many reports is written anew once this many times as long has passed as it takes."""


class Format(StrEnum):
    """How a report is written out."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
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
        return self not in (Format.TEXT, Format.JSON, Format.JSONL, Format.HTML)


_SUFFIXES = {
    ".txt": Format.TEXT,
    ".json": Format.JSON,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".pdf": Format.PDF,
    ".hl7": Format.HL7,
    ".sr.dcm": Format.DICOM_SR,
    ".seg.dcm": Format.DICOM_SEG,
    ".sc.dcm": Format.DICOM_SC,
    ".pdf.dcm": Format.DICOM_PDF,
    ".fhir.json": Format.FHIR,
}
"""How a file's name ends that implies a format; the longest that fits."""


class Saliency(StrEnum):
    """How the maps of where the model looked are made."""

    CLASSIFIER = "classifier"
    GRAD_CAM = "grad-cam"
    ATTENTION_ROLLOUT = "attention-rollout"


class Audience(StrEnum):
    """Whom a report is written for."""

    RADIOLOGIST = "radiologist"
    PATIENT = "patient"


@dataclass(frozen=True)
class Refused:
    """A study that is not drafted."""

    found: "Found"
    reason: str


Outcome = tuple["Found", Study, Report] | Refused


@dataclass(frozen=True)
class Asked:
    """How studies are read and drafted."""

    indication: str | None
    view: View | None
    modality: str | None
    force: bool
    prior: Study | None
    saliency: str
    ground: str | None
    audience: Audience
    identified: bool
    opened: "Callable[[], ReportModel]"


def report(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Films (DICOM, PNG, JPEG, TIFF), folders, DICOMDIRs or zip archives of them.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str, typer.Option(help="A shipped model, a run folder or a checkpoint directory.")
    ] = "plainfilm-small",
    format: Annotated[
        Format | None,
        typer.Option(
            help="text to read, json or jsonl (a line for each study) to process, html to look at, "
            "or a form that a hospital's systems take (docs/exports.md); by the output's name "
            "where left out.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE or FOLDER/",
            help="File to write, or a folder (its name ends in /, or it is there) for a report "
            "each; standard output where left out or -.",
        ),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="All files are films of one study.")
    ] = False,
    view: Annotated[
        View | None,
        typer.Option(help="Of the films, whatever their headers say.", show_default=False),
    ] = None,
    indication: Annotated[
        str | None, typer.Option(help="Why the films were taken; the model reads it too.")
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(help="Of DICOM objects whose headers are wrong, such as DX."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Draft films that the film gate refuses; the report says so."),
    ] = False,
    prior: Annotated[
        list[Path] | None,
        typer.Option(help="A film, or the folder, of the earlier study; repeatable."),
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
    uids: Annotated[
        bool, typer.Option("--uids", help="Write DICOM identifiers into JSON.")
    ] = False,
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
    """Draft a report for each study.

    DICOM files are one study if they say so; every other file is one by itself (`--together` makes
    all one). Folders are searched to the bottom. What cannot be drafted is named on standard error
    and in JSON, the others go on, and the exit status is 1. Reports are written as each is done:
    what was finished before an interruption is there. Into a folder, the same command goes on where
    it stopped, and index.jsonl has a line for each study (docs/batch.md).

        plainfilm report chest.dcm
        plainfilm report export/ -o reports/
        plainfilm report pa.dcm lateral.dcm --together --indication "Cough and fever."
        plainfilm report films/*.png -o reports.html
        plainfilm report chest.dcm --ground segmenter -o report.html
        plainfilm report chest.dcm --identified -o chest.sr.dcm
        plainfilm report chest.dcm --model FOLDER --preset unirg-cxr
        torchrun --nproc-per-node 8 -m plainfilm report films/*.dcm -o reports.json
    """
    target = None if output in (None, "-") else Path(output)
    folder = target is not None and (str(output).endswith(("/", "\\")) or target.is_dir())
    chosen = format or _format_of(target, folder=folder, audience=audience)
    if audience is Audience.PATIENT and chosen is not Format.TEXT:
        raise InputError(f"--audience patient is written as text, not as {chosen}")
    if identified and not chosen.alone:
        raise InputError(f"--identified is for pdf, fhir, hl7 and DICOM; {chosen} never says it")
    if folder:
        check_folder(target)  # type: ignore[arg-type]
    elif target is not None:
        check_writable(target)
    if indication is not None:
        indication = printable(indication)
    from plainfilm.data.inbox import find_studies

    found = find_studies(files, together=together)
    skipped = [one for one in found if one.skipped]
    studies = [one for one in found if not one.skipped]
    if not studies:
        raise InputError(
            f"{printable(str(files[0]))}: holds {len(skipped)} file(s), none of them an image; "
            "expected DICOM, PNG, JPEG or TIFF files"
        )

    if chosen.alone and not folder and len(studies) > 1:
        raise InputError(
            f"{chosen} holds one study a file, got {len(studies)}: write them into a folder "
            "(-o FOLDER/), or say --together where they are films of one"
        )

    def opened() -> "ReportModel":
        from plainfilm.pipeline import load_model

        loaded = load_model(model, preset=preset, device=device)
        use_threads(loaded.model, threads)
        return loaded

    asked = Asked(
        indication,
        view,
        modality,
        force,
        _prior(prior),
        saliency,
        ground,
        audience,
        identified,
        opened,
    )
    place, others = processes()
    if folder:
        if others > 1:
            raise InputError("a folder of reports is written by one process: leave torchrun out")
        earlier = [str(path) for path in prior or ()]
        options = json.dumps(
            [model, preset, chosen, indication, view, modality, force, saliency, ground, audience,
             uids, together, identified, earlier]
        )  # fmt: skip
        raise typer.Exit(_into_folder(found, asked, target, chosen, options, uids))  # type: ignore[arg-type]
    outcomes = _shared(studies, asked) if others > 1 else _outcomes(studies, asked)
    single = len(files) == 1 and (together or files[0].is_file()) and len(studies) == 1
    written, refused = 0, 0
    if place == 0:
        written, refused = _write(outcomes, chosen, audience, target, uids, single=single)
        if skipped:
            typer.echo(
                f"plainfilm: {len(skipped)} files are no films and were left alone", err=True
            )
    else:
        refused = sum(isinstance(one, Refused) for one in outcomes)
    if written and target is not None:
        typer.echo(f"wrote {printable(str(target))}", err=True)
    if refused:
        raise typer.Exit(1)


def _format_of(target: Path | None, *, folder: bool, audience: Audience) -> Format:
    """Return the format that the output's name implies."""
    if audience is Audience.PATIENT:
        return Format.TEXT
    if folder:
        return Format.JSON
    name = target.name.lower() if target else ""
    fitting = [suffix for suffix in _SUFFIXES if name.endswith(suffix)]
    return _SUFFIXES[max(fitting, key=len)] if fitting else Format.TEXT


def _prior(paths: list[Path] | None) -> Study | None:
    if not paths:
        return None
    from plainfilm.data import load_study

    return load_study(*paths)


def _into_folder(
    found: "list[Found]", asked: Asked, target: Path, format: Format, options: str, uids: bool
) -> int:
    """Write a report for each study into a folder, going on where it stopped; return the status."""
    import plainfilm
    from plainfilm.export.folder import ReportFolder

    digest = sha256(f"{plainfilm.__version__} {options}".encode()).hexdigest()[:16]
    reports = ReportFolder(target, digest)
    keys = {one.place: one.key() for one in found}
    todo = []
    for one in found:
        if one.skipped:
            reports.skip(one.place, one.id, one.skipped)
        elif not reports.done(one.place, keys[one.place]):
            todo.append(one)
    total = sum(not one.skipped for one in found)
    if len(todo) < total:
        typer.echo(f"{total - len(todo)} of {total} studies are done already", err=True)
    from plainfilm.export.formats import form

    written_as = Format.JSON if format is Format.JSONL else format
    suffix = f".{form(str(written_as)).suffix}"
    before, drafted, refused = reports.weights(), 0, 0
    try:
        for outcome in _outcomes(todo, asked):
            if isinstance(outcome, Refused):
                one = outcome.found
                names = [entry.name for entry in one.entries]
                reports.refuse(one.place, one.id, names, outcome.reason)
                refused += 1
                continue
            one, study, draft = outcome
            if before and draft.weights not in before:
                raise InputError(
                    f"{printable(str(target))} holds reports that were drafted with other weights: "
                    "choose another folder"
                )
            content = _one(study, draft, written_as, asked.audience, uids)
            reports.add(one.place, keys[one.place], study, draft, content, suffix)
            drafted += 1
    except KeyboardInterrupt:
        reports.close()
        typer.echo(
            f"plainfilm: stopped; {drafted} studies were done and stay, the same command goes on",
            err=True,
        )
        return 130
    reports.close([one.place for one in found])
    passed_over = sum(bool(one.skipped) for one in found)
    typer.echo(
        f"wrote {printable(str(target))}: {drafted} drafted, {refused} refused, "
        f"{total - len(todo)} done before, {passed_over} files that are no films; index.jsonl "
        "lists all",
        err=True,
    )
    return 1 if refused else 0


def _one(study: Study, draft: Report, format: Format, audience: Audience, uids: bool) -> bytes:
    """Return one report in a format."""
    if audience is Audience.PATIENT:
        return _letter(study, draft).encode()
    if format is Format.JSON:
        from plainfilm.export import report_json

        return encoded(report_json(study, draft, uids=uids)) + b"\n"
    from plainfilm.export.formats import form

    return form(str(format)).write(study, draft)


def _letter(study: Study, draft: Report) -> str:
    """Return the letter for the patient, under the study's id."""
    from plainfilm.text.writer.patient import explain

    return f"Study {study.id}\n\n{explain(draft)}"


def _outcomes(studies: "list[Found]", asked: Asked) -> Iterator[Outcome]:
    """Draft one study after the other, in order; why one can't be is said, and it goes on."""
    waiting: deque[tuple[Found, Study] | Refused] = deque()

    def feed() -> Iterator[Study]:
        for read in _read(studies, asked):
            waiting.append(read)
            if not isinstance(read, Refused):
                yield read[1]

    def drafts() -> Iterator[Report]:
        fed = feed()
        first = next(fed, None)  # the model is opened when there is a first one
        if first is not None:
            model = asked.opened()
            yield from model.reports(
                chain([first], fed),
                saliency=asked.saliency,
                ground=asked.ground or model.own_maps,
                blank_indication=True,
            )

    def so_far() -> Iterator[Outcome]:
        while waiting and isinstance(waiting[0], Refused):
            refused = waiting.popleft()
            assert isinstance(refused, Refused)  # noqa: S101
            yield refused

    for draft in drafts():
        yield from so_far()
        read = waiting.popleft()
        assert not isinstance(read, Refused)  # noqa: S101
        found, study = read
        if asked.audience is Audience.PATIENT and (reason := _no_letter(study, draft)):
            yield _refused(found, f"{study.id}: {reason}")
        else:
            yield found, study, draft
    yield from so_far()


def _no_letter(study: Study, draft: Report) -> str | None:
    """Return why no letter may go to the patient."""
    real = any(image.provenance is Provenance.REAL for image in study.images)
    if real and draft.badges:
        return (
            f"no letter for the patient: {draft.model} does not know this kind of film "
            f"({draft.badges[0]}); use a model that was trained on real films"
        )
    return None


def _refused(found: "Found", reason: str) -> Refused:
    """Say why a study is not drafted; outputs name its files without their folders."""
    typer.echo(f"plainfilm: {reason}", err=True)
    for entry in found.entries:
        reason = reason.replace(str(entry.path), entry.name)
    return Refused(found, reason)


def _read(studies: "list[Found]", asked: Asked) -> "Iterator[tuple[Found, Study] | Refused]":
    """Read one study after the other; why one can't be read is said."""
    from rich.console import Console
    from rich.progress import track

    from plainfilm.data import load_study

    for found in track(
        studies,
        description="drafting reports",
        console=Console(stderr=True),
        transient=True,
        disable=len(studies) < 2,
    ):
        try:
            with found.opened() as paths:
                study = load_study(
                    *paths,
                    id=found.id,
                    indication=asked.indication,
                    view=asked.view,
                    modality=asked.modality,
                    force=asked.force,
                    prior=asked.prior,
                    identified=asked.identified,
                    lenient=True,
                )
            if study.frontal is None:
                views = ", ".join(image.view for image in study.images)
                raise InputError(
                    f"{found.place}: no frontal film (views: {views}); the models read frontal "
                    "films: give one, or --view PA if it is one"
                )
        except PlainfilmError as error:
            yield _refused(found, " ".join(str(error).split()))
        else:
            yield found, study


def _shared(studies: "list[Found]", asked: Asked) -> Iterator[Outcome]:
    """Draft whole batches in each of torchrun's processes; all get all of them, in order.

    Batches are those of one process only where no film is refused, which changes no draft.
    """
    from plainfilm.evaluation.drafting import BATCH, gathered

    place, others = processes()
    starts = range(0, len(studies), BATCH)
    found: dict[int, list[Outcome]] = {}
    for start in starts[place::others]:
        found[start] = list(_outcomes(studies[start : start + BATCH], asked))
    for theirs in gathered(found):
        found |= theirs
    for start in starts:
        yield from found[start]


def _write(
    outcomes: Iterator[Outcome],
    format: Format,
    audience: Audience,
    output: Path | None,
    uids: bool,
    *,
    single: bool,
) -> tuple[int, int]:
    """Write each study as soon as it is done; return how many were drafted, and refused.

    Only a page keeps the films; text and JSON are written as they come. Refused studies are in
    JSON too, unless a single film was given and nothing is written.
    """
    refused = 0
    if format is Format.HTML:

        def only_drafts() -> Iterator[tuple[Study, Report]]:
            nonlocal refused
            for outcome in outcomes:
                if isinstance(outcome, Refused):
                    refused += 1
                else:
                    yield outcome[1:]

        return _write_page(only_drafts(), output), refused
    first = next(outcomes, None)
    if first is None or (single and isinstance(first, Refused)):
        return 0, int(first is not None)
    if format.alone:
        if isinstance(first, Refused):
            return 0, 1
        content = _one(first[1], first[2], format, audience, uids)
        if output is None:
            typer.echo(content, nl=False)
        else:
            write_atomically(output, content)
        return 1, sum(isinstance(one, Refused) for one in outcomes)
    around = {"between": "\n\n"}
    if format is Format.JSONL:
        around = {"between": "\n"}
    elif format is Format.JSON:
        around = {} if single else {"head": "[", "between": ",\n", "tail": "]\n"}
    written = 0
    with closing(GrowingFile(output, **around)) as file:
        for outcome in chain([first], outcomes):
            refused += isinstance(outcome, Refused)
            written += not isinstance(outcome, Refused)
            if (piece := _piece(outcome, format, audience, uids)) is not None:
                file.add(piece)
    return written, refused


def _piece(outcome: Outcome, format: Format, audience: Audience, uids: bool) -> str | None:
    """Return what is written of a study in a file of several; None where it is nothing."""
    from plainfilm.export import refusal_values, report_values

    if isinstance(outcome, Refused):
        if format not in (Format.JSON, Format.JSONL):
            return None
        found = outcome.found
        values = refusal_values(found.id, [one.name for one in found.entries], outcome.reason)
        return json.dumps(values, ensure_ascii=False, indent=None if format is Format.JSONL else 2)
    _, study, draft = outcome
    if format is Format.JSONL:
        values = report_values(study, draft, uids=uids)
        return json.dumps(values, ensure_ascii=False, allow_nan=False)
    piece = _one(study, draft, format, audience, uids).decode()
    return piece.rstrip("\n") if format is Format.JSON else piece


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
