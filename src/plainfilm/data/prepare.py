"""Any source into a dataset directory: resumable, and whole or not there at all.

Everything is written into ``.NAME.part`` beside the directory. A study's line is written into the
journal behind its files, so a line says that its study is complete. A run that was killed goes on
with the studies that have no line, or whose source has changed since. At the end the lines become
the manifest, what belongs to none of them is swept away, and the folder takes its name.

A study that can't be made (a film that can't be read) is left out with its reason; so is one whose
film another patient's study shows too, as nobody can say whose it is, and it might lie in two
splits.
"""

import hashlib
import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import replace
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import track

from plainfilm import __version__
from plainfilm.core import DatasetError, PlainfilmError, check_folder
from plainfilm.core.files import encoded, locked, saying_why
from plainfilm.data.dataset import (
    CARD,
    REFUSED,
    DataCard,
    Dataset,
    Row,
    check_patients,
    fingerprint,
    write_manifest,
)
from plainfilm.data.films.prepared import file_digest
from plainfilm.data.journal import Journal, Made
from plainfilm.data.splits import SPLITS

Item = TypeVar("Item")

Build = Callable[[str, Item], tuple[Row, Mapping[str, bytes]]]
"""(study id, what the source knows of it) → its row, and its files: relative path → content."""

_UNREADABLE, _SHARED = "a film cannot be read", "its film is another patient's too"
_LONGEST_ID = 200  # bytes; names of files may have 255


def prepare(
    out: Path,
    items: Mapping[str, Item],
    build: Build[Item],
    *,
    source: Mapping[str, Any],
    description: str,
    licence: str,
    simulated: bool = False,
    language: str = "en",
    skipped: Mapping[str, int] | None = None,
    inputs: Callable[[Item], Sequence[Path]] | None = None,
    facts: Callable[[Item], Any] = repr,
    workers: int = 1,
    progress: bool = True,
) -> Dataset:
    """Prepare a dataset directory and open it.

    Args:
        out: the directory to make; it may exist if it is empty. One made from the same source is
            opened as it is.
        items: study id → what ``build`` needs to make the study; the ids become file names.
        build: makes one study; a top-level function (or a partial of one) where ``workers`` > 1.
        source: the kind of source and its settings, JSON values.
        description: one line for the card.
        licence: of the source.
        simulated: whether the films are simulated.
        language: of the reports.
        skipped: studies of the source that are not in ``items``, by reason.
        inputs: the files that a study is made from. With it the card holds a fingerprint of
            everything that was read, and a source that has changed since is another one.
        facts: what else a study is made from, as JSON values.
        workers: processes to build with; the result does not depend on it.
        progress: whether to show a progress bar.

    Raises:
        DatasetError: ``out`` exists and is another dataset or no dataset, its source has changed,
            another process prepares it, there is nothing to prepare, no study can be made, or a
            patient lies in two splits.
        OutputError: ``out`` cannot be written.
    """
    settings = json.loads(json.dumps(source))
    out = Path(os.path.realpath(out))
    check_out(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        return _existing(out, items, settings, licence, language, inputs, facts)
    if not items:
        raise DatasetError(f"nothing to prepare into {out}: the source has no usable study")
    for study_id in items:
        if not usable_id(study_id):
            raise DatasetError(
                f"study id {study_id[:60]!r} cannot be a file name: rename it in the source"
            )
    part = out.with_name(f".{out.name}.part")
    with saying_why(part):
        part.mkdir(parents=True, exist_ok=True)
    with locked(part) as free:
        if not free:
            raise DatasetError(f"another process is preparing {out}: wait for it")
        with closing(Journal(part, str(settings.get("kind", "")))) as journal:
            keys = {
                study_id: _key(settings, study_id, item, inputs, facts, _seen)
                for study_id, item in items.items()
            }
            todo = {
                study_id: (keys[study_id], item)
                for study_id, item in items.items()
                if not journal.has(study_id, keys[study_id])
            }
            make = partial(_make, build, part, partial(_content_key, settings, inputs, facts))
            for made in track(
                _built(make, todo, workers),
                total=len(items),
                completed=len(items) - len(todo),
                description=f"preparing {out.name}",
                disable=not progress,
                transient=True,
            ):
                journal.add(made)
            reads: list[str] = []
            kept, refused = _kept((journal.made(study_id) for study_id in items), reads)
        if inputs is not None:
            settings |= {"read": _total(reads), "seen": _total(keys.values())}
        if not kept:
            shutil.rmtree(part)
            raise DatasetError(
                f"nothing to prepare into {out}: none of {len(items)} studies can be made; the "
                f"first: {next(iter(refused.values()))}"
            )
        rows = _without_lost_priors([row for row, _ in kept])
        check_patients(rows)
        digests = {name: digest for _, files in kept for name, digest in files.items()}
        card = DataCard(
            source=settings,
            description=description,
            licence=licence,
            simulated=simulated,
            language=language,
            plainfilm=__version__,
            studies={split: sum(row.split == split for row in rows) for split in SPLITS},
            skipped={**(skipped or {}), **Counter(_reason(text) for text in refused.values())},
            fingerprint=fingerprint(rows, digests),
        )
        with saying_why(part):
            _sweep(part, set(digests))
            write_manifest(part, rows)
            (part / CARD).write_bytes(encoded(card.to_json(indent=1)))
            if refused:
                lines = [
                    json.dumps({"study_id": study_id, "reason": reason}) + "\n"
                    for study_id, reason in refused.items()
                ]
                (part / REFUSED).write_text("".join(lines), encoding="utf-8")
            part.replace(out)
    return Dataset(out)


def check_out(out: Path) -> None:
    """Raise OutputError now where a dataset directory that isn't there can't be made."""
    with saying_why(out):
        if not out.exists():
            check_folder(out)


def _existing(
    out: Path,
    items: Mapping[str, Item],
    settings: Mapping[str, Any],
    licence: str,
    language: str,
    inputs: Callable[[Item], Sequence[Path]] | None,
    facts: Callable[[Item], Any],
) -> Dataset:
    """Open a dataset that is there, if it was made from the same source."""
    if not (out / CARD).is_file():
        raise DatasetError(f"{out} exists and is no dataset: choose another directory")
    dataset = Dataset(out)
    known = dict(dataset.card.source)
    read, seen = known.pop("read", None), known.pop("seen", None)
    if known != settings or (dataset.card.licence, dataset.card.language) != (licence, language):
        raise DatasetError(f"{out} holds another dataset: choose another directory")
    if inputs is None:
        return dataset
    for mark, of in ((seen, _seen), (read, _contents)):  # looking first: reading all takes long
        keys = (_key(settings, key, item, inputs, facts, of) for key, item in items.items())
        if _total(keys) == mark:
            return dataset
    raise DatasetError(
        f"{out} was made from other films or reports than are there now: choose another directory, "
        "or remove it to prepare it again"
    )


def _key(
    settings: Mapping[str, Any],
    study_id: str,
    item: Item,
    inputs: Callable[[Item], Sequence[Path]] | None,
    facts: Callable[[Item], Any],
    of: Callable[[Path], Any],
) -> str:
    """Return the digest of what a study is made from; ``of`` gives what counts of a file."""
    files = [] if inputs is None else [of(path) for path in inputs(item)]
    values = json.dumps([settings, study_id, facts(item), files], sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()


def _seen(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _contents(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:  # why it can't be read is said when its film is
        return ""


def _content_key(
    settings: Mapping[str, Any],
    inputs: Callable[[Item], Sequence[Path]] | None,
    facts: Callable[[Item], Any],
    study_id: str,
    item: Item,
) -> str:
    return _key(settings, study_id, item, inputs, facts, _contents)


def _total(digests: Iterable[str]) -> str:
    total = hashlib.sha256()
    for digest in digests:
        total.update(digest.encode())
    return total.hexdigest()


def usable_id(study_id: str) -> bool:
    """Whether a study's id can be part of a file's name anywhere."""
    return (
        study_id.isprintable()
        and 0 < len(encoded(study_id)) <= _LONGEST_ID
        and not study_id.startswith(".")
        and not any(mark in study_id for mark in "/\\")
    )


def _kept(
    made: Iterable[Made], reads: list[str]
) -> tuple[list[tuple[Row, dict[str, str]]], dict[str, str]]:
    """Return the rows that stay, with the digests of their files, and why the others don't.

    ``reads`` gets the digest of what each study was made from.
    """
    kept: list[tuple[Row, dict[str, str]]] = []
    refused: dict[str, str] = {}
    shown: dict[str, Row] = {}
    for one in made:
        reads.append(one.read)
        if one.row is None:
            refused[one.study_id] = one.refused
            continue
        rows = [shown.setdefault(film, one.row) for film in one.films]
        other = next((row for row in rows if row.patient_id != one.row.patient_id), None)
        if other is None:
            kept.append((one.row, one.files))
        else:
            refused[one.study_id] = (
                f"{_SHARED}: study {other.study_id} shows it; give both one patient_id, or keep one"
            )
    return kept, refused


def _reason(text: str) -> str:
    return _SHARED if text.startswith(_SHARED) else _UNREADABLE


def _without_lost_priors(rows: list[Row]) -> list[Row]:
    """Return the rows; an earlier study that was left out is nobody's prior."""
    there = {None, *(row.study_id for row in rows)}
    return [
        row if row.prior_study_id in there else replace(row, prior_study_id=None) for row in rows
    ]


def _sweep(part: Path, named: set[str]) -> None:
    """Remove what belongs to no study: leftovers of runs that were killed, and of other sources."""
    for folder, folders, files in os.walk(part, topdown=False):
        for name in files:
            path = Path(folder, name)
            if path.relative_to(part).as_posix() not in named:
                path.unlink()
        for name in folders:
            if not any(Path(folder, name).iterdir()):
                Path(folder, name).rmdir()


def _built(
    make: Callable[[tuple[str, tuple[str, Item]]], Made],
    todo: Mapping[str, tuple[str, Item]],
    workers: int,
) -> Iterator[Made]:
    if workers == 1:
        yield from map(make, todo.items())
        return
    # Fresh processes: a fork of one that runs threads (torch, pyarrow) may lock up.
    context = get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
            yield from pool.map(make, todo.items(), chunksize=8)
    except BrokenProcessPool as error:
        raise DatasetError(
            "a process that prepares studies was killed (perhaps for want of memory): run the same "
            "command again with fewer --workers, it goes on where it stopped"
        ) from error


def _end_with_parent() -> None:
    """Let this worker end when the process that started it is killed; else it waits for ever."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _make(
    build: Build[Item],
    part: Path,
    content_key: Callable[[str, Item], str],
    entry: tuple[str, tuple[str, Item]],
) -> Made:
    """Make one study and write its files; called in a worker."""
    study_id, (key, item) = entry
    try:
        row, files = build(study_id, item)
    except PlainfilmError as error:
        return Made(study_id, key, None, {}, (), content_key(study_id, item), str(error))
    with saying_why(part):
        for name, content in files.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)  # the study's line, written behind, is what makes it count
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    films = tuple(_picture_digest(files[name]) for name in row.images)
    return Made(study_id, key, row, digests, films, content_key(study_id, item), "")


def _picture_digest(content: bytes) -> str:
    """Return the digest of a film's picture: of a PNG without its text chunks, else of the file."""
    digest, at = hashlib.sha256(), 8
    if not content.startswith(b"\x89PNG"):
        return hashlib.sha256(content).hexdigest()
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] in (b"IHDR", b"IDAT"):
            digest.update(content[at:end])
        at = end
    return digest.hexdigest()
