"""Preparing any source into a dataset directory: resumable and atomic.

Everything is written into ``.NAME.part`` beside the directory. A study's journal line is written
after its files, so a line means that its study is complete. A killed run resumes with the studies
that have no line or whose source has changed since. At the end the journal becomes the manifest,
files that belong to no study are removed, and the folder is renamed.

A study that can't be prepared (an unreadable film) is left out with its reason; so is one whose
film also belongs to another patient's study, since nobody can say whose it is, and it might end up
in two splits. Studies that had it as their prior get the study before it.

Studies are processed one by one, also at the end, so that several hundred thousand take no more
memory than their ids and digests. Several machines can prepare a shard each; ``merge`` combines
them into exactly what one machine would have made.
"""

import hashlib
import json
import os
import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import track

from plainfilm import __version__
from plainfilm.core import DatasetError, PlainfilmError, check_folder
from plainfilm.core.files import encoded, locked, saying_why
from plainfilm.data.dataset import (
    CARD,
    MANIFEST,
    REFUSED,
    DataCard,
    Dataset,
    ManifestWriter,
    Row,
    check_manifest,
)
from plainfilm.data.films.prepared import file_digest
from plainfilm.data.journal import JOURNAL, Journal, Made

Item = TypeVar("Item")

_Task = tuple[str, tuple[str, Item]]
"""Study id, and (key, item)."""
Build = Callable[[str, Item], tuple[Row, Mapping[str, bytes]]]
"""(study id, source's item) → the study's row, and its files: relative path → content."""

_UNREADABLE, _SHARED = "a film cannot be read", "its film is another patient's too"
_LONGEST_ID = 200  # bytes; file names may have 255
_CHUNK, _AHEAD = 8, 4
"""Number of studies in a worker's chunk, and of chunks queued per worker."""
SHARD = "shard.json"
"""File that a shard writes beside its journal for the merge."""


class LeftOutError(DatasetError):
    """A study that is left out; such studies are counted by ``reason``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail

    def __reduce__(self) -> tuple[type["LeftOutError"], tuple[str, str]]:
        return LeftOutError, (self.reason, self.detail)


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
    inputs: Callable[[Item], Sequence[str | Path]] | None = None,
    facts: Callable[[Item], Any] = repr,
    linked: Path | None = None,
    prior: Callable[[Item], str | None] | None = None,
    shard: str | None = None,
    places: Mapping[str, int] | None = None,
    workers: int = 1,
    progress: bool = True,
) -> Dataset:
    """Prepare a dataset directory and open it.

    Args:
        out: the directory to create; it may exist if it is empty. A dataset made from the same
            source is opened as it is.
        items: study id → the input of ``build``; the ids become file names.
        build: prepares one study; a top-level function (or a partial of one) if ``workers`` > 1.
        source: the kind of source and its settings, JSON values.
        description: one line for the card.
        licence: licence of the source.
        simulated: whether the films are simulated.
        language: language of the reports.
        skipped: number of the source's studies that are not in ``items``, by reason.
        inputs: returns the files that a study is made from. If given, the card holds a fingerprint
            of everything that was read, so that a changed source counts as another one.
        facts: returns the study's other inputs as JSON values.
        linked: folder that the rows' images are relative to, if the films stay in it; then only
            their names and sizes are checked, never their contents.
        prior: returns an item's earlier study; called for studies that are left out.
        shard: ``3/16`` if ``items`` are the third of sixteen shards.
        places: study id → index among the items of all shards.
        workers: number of processes; the result does not depend on it.
        progress: whether to show a progress bar.

    Raises:
        DatasetError: ``out`` exists and is another dataset or not a dataset, its source has
            changed, another process is preparing it, there is nothing to prepare, no study can be
            prepared, or a patient is in two splits.
        OutputError: ``out`` cannot be written.
    """
    settings = json.loads(json.dumps(source))
    card = {
        "description": description, "licence": licence, "simulated": simulated,
        "language": language, "linked": None if linked is None else str(linked),
    }  # fmt: skip
    out = Path(os.path.realpath(out))
    check_out(out)
    contents = _size if linked is not None else _contents
    told = settings | ({"shard": shard} if shard else {})
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        return _existing(out, items, told, card, inputs, facts, contents)
    if not items:
        raise DatasetError(f"nothing to prepare into {out}: the source has no usable study")
    for study_id in items:
        if not usable_id(study_id):
            raise DatasetError(
                f"study id {study_id[:60]!r} cannot be a file name: rename it in the source"
            )
    with (
        working_folder(out) as part,
        closing(Journal(part, str(settings.get("kind", "")))) as journal,
    ):
        keys = {
            study_id: _key(settings, study_id, item, inputs, facts, _seen)
            for study_id, item in items.items()
        }
        todo = [study_id for study_id in items if not journal.has(study_id, keys[study_id])]
        content_key = partial(_content_key, settings, inputs, facts, contents)
        make = partial(_make, build, part, linked, content_key)
        tasks = ((study_id, (keys[study_id], items[study_id])) for study_id in todo)
        for made in track(
            _built(make, tasks, workers),
            total=len(items),
            completed=len(items) - len(todo),
            description=f"preparing {out.name}",
            disable=not progress,
            transient=True,
        ):
            before = prior(items[made.study_id]) if prior and made.row is None else None
            place = 0 if places is None else places[made.study_id]
            journal.add(made._replace(prior=before, place=place))
        del todo
        finish(
            part,
            out,
            lambda: (journal.made(study_id) for study_id in items),
            told,
            card,
            skipped=skipped or {},
            marked=inputs is not None,
            shard=shard,
        )
    return Dataset(out)


@contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """Create ``.NAME.part`` beside ``out``, and hold its lock.

    Raises:
        DatasetError: another process holds the lock.
    """
    part = out.with_name(f".{out.name}.part")
    with saying_why(part):
        part.mkdir(parents=True, exist_ok=True)
    with locked(part) as free:
        if not free:
            raise DatasetError(f"another process is preparing {out}: wait for it")
        yield part


def finish(
    part: Path,
    out: Path,
    studies: Callable[[], Iterable[Made]],
    source: dict[str, Any],
    card: Mapping[str, Any],
    *,
    skipped: Mapping[str, int],
    marked: bool,
    shard: str | None = None,
) -> None:
    """Write manifest and card into ``part``, and rename it to ``out``.

    Args:
        part: the working folder.
        out: the final folder.
        studies: yields the result of each study, in order; called twice.
        source: the kind of source and its settings.
        card: description, licence, simulated, language and linked.
        skipped: number of studies that the source itself left out, by reason.
        marked: whether the card holds a fingerprint of everything that was read.
        shard: the shard, if this is one; then the files that a merge needs are kept.
    """
    there, refused, priors = _looked_through(studies())
    reasons: Counter[str] = Counter(skipped)
    with saying_why(part):
        writer = ManifestWriter(part)
        read, seen = hashlib.sha256(), hashlib.sha256()
        files: set[str] = set()
        for one in studies():
            read.update(one.read.encode())
            seen.update(one.key.encode())
            if one.study_id in refused:
                reasons[one.reason if one.row is None else _SHARED] += 1
            elif one.row is not None:
                writer.add(_with_kept_prior(one.row, there, priors), one.files)
                if card["linked"] is None:
                    files.update(one.files)
        fingerprint = writer.close()
    if not any(writer.studies.values()):
        shutil.rmtree(part)
        raise DatasetError(
            f"nothing to prepare into {out}: none of {len(refused)} studies can be made; the "
            f"first: {next(iter(refused.values()))}"
        )
    if marked:
        source = source | {"read": read.hexdigest(), "seen": seen.hexdigest()}
    values = DataCard(
        source=source,
        plainfilm=__version__,
        studies=writer.studies,
        skipped=dict(sorted(reasons.items())),
        fingerprint=fingerprint,
        **card,
    )
    check_manifest(part)
    with saying_why(part):
        _sweep(part, files | {MANIFEST, *({JOURNAL} if shard else ())})
        if shard:
            told = {"shard": shard, "skipped": dict(skipped), "marked": marked}
            (part / SHARD).write_text(json.dumps(told), encoding="utf-8")
        (part / CARD).write_bytes(encoded(values.to_json(indent=1)))
        if refused:
            lines = [
                json.dumps({"study_id": study_id, "reason": reason}) + "\n"
                for study_id, reason in refused.items()
            ]
            (part / REFUSED).write_text("".join(lines), encoding="utf-8")
        part.replace(out)


def check_out(out: Path) -> None:
    """Raise OutputError now if the dataset directory does not exist and can't be created."""
    with saying_why(out):
        if not out.exists():
            check_folder(out)


def _existing(
    out: Path,
    items: Mapping[str, Item],
    settings: Mapping[str, Any],
    card: Mapping[str, Any],
    inputs: Callable[[Item], Sequence[str | Path]] | None,
    facts: Callable[[Item], Any],
    contents: Callable[[str | Path], Any],
) -> Dataset:
    """Open an existing dataset, if it was made from the same source."""
    if not (out / CARD).is_file():
        raise DatasetError(f"{out} exists and is no dataset: choose another directory")
    dataset = Dataset(out)
    known = dict(dataset.card.source)
    read, seen = known.pop("read", None), known.pop("seen", None)
    alike = ("licence", "language", "linked")
    if known != settings or any(getattr(dataset.card, name) != card[name] for name in alike):
        raise DatasetError(f"{out} holds another dataset: choose another directory")
    if inputs is None:
        return dataset
    made_from = {name: value for name, value in settings.items() if name != "shard"}
    for mark, of in ((seen, _seen), (read, contents)):  # sizes and times first: reading takes long
        keys = (_key(made_from, key, item, inputs, facts, of) for key, item in items.items())
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
    inputs: Callable[[Item], Sequence[str | Path]] | None,
    facts: Callable[[Item], Any],
    of: Callable[[str | Path], Any],
) -> str:
    """Return the digest of a study's inputs; ``of`` returns what identifies a file."""
    files = [] if inputs is None else [of(path) for path in inputs(item)]
    values = json.dumps([settings, study_id, facts(item), files], sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()


def _seen(path: str | Path) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - 400,000 paths as text are looked at faster
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _contents(path: str | Path) -> str:
    try:
        return file_digest(Path(path))
    except OSError:  # the reason is reported when the film is read
        return ""


def _content_key(
    settings: Mapping[str, Any],
    inputs: Callable[[Item], Sequence[str | Path]] | None,
    facts: Callable[[Item], Any],
    contents: Callable[[str | Path], Any],
    study_id: str,
    item: Item,
) -> str:
    return _key(settings, study_id, item, inputs, facts, contents)


def _size(path: str | Path) -> int:
    """Return what identifies a linked film: its size, which a copy elsewhere shares."""
    return _seen(path)[0]


def _linked_digest(folder: Path, name: str) -> str:
    return hashlib.sha256(f"{name}:{_size(f'{folder}/{name}')}".encode()).hexdigest()


def _total(digests: Iterable[str]) -> str:
    total = hashlib.sha256()
    for digest in digests:
        total.update(digest.encode())
    return total.hexdigest()


def usable_id(study_id: str) -> bool:
    """Return whether a study's id can be part of a file name on any system."""
    return (
        study_id.isprintable()
        and 0 < len(encoded(study_id)) <= _LONGEST_ID
        and not study_id.startswith(".")
        and not any(mark in study_id for mark in "/\\")
    )


def _looked_through(
    studies: Iterable[Made],
) -> tuple[set[str], dict[str, str], dict[str, str | None]]:
    """Return the ids of the studies to keep, and the reasons and priors of the others."""
    there: set[str] = set()
    refused: dict[str, str] = {}
    priors: dict[str, str | None] = {}
    shown: dict[bytes, tuple[str, str]] = {}
    for one in studies:
        row, why = one.row, one.refused
        if row is not None:
            own = row.study_id, row.patient_id
            others = [shown.setdefault(bytes.fromhex(film), own) for film in one.films]
            other = next((study for study, patient in others if patient != row.patient_id), None)
            if other is not None:
                why = f"{_SHARED}: study {other} shows it; give both one patient_id, or keep one"
        if why:
            refused[one.study_id] = why
            priors[one.study_id] = one.prior if row is None else row.prior_study_id
        else:
            there.add(one.study_id)
    return there, refused, priors


def _with_kept_prior(row: Row, there: set[str], priors: Mapping[str, str | None]) -> Row:
    """Return the row with a prior that was left out replaced by the one before it, if any."""
    prior = row.prior_study_id
    while prior is not None and prior not in there:
        prior = priors.get(prior)
    return row if prior == row.prior_study_id else replace(row, prior_study_id=prior)


def _sweep(part: Path, named: set[str]) -> None:
    """Remove files that belong to no study: leftovers of killed runs and of other sources."""
    for folder, folders, files in os.walk(part, topdown=False):
        for name in files:
            path = Path(folder, name)
            if path.relative_to(part).as_posix() not in named:
                path.unlink()
        for name in folders:
            if not any(Path(folder, name).iterdir()):
                Path(folder, name).rmdir()


def _built(
    make: Callable[[_Task[Item]], Made], tasks: Iterable[_Task[Item]], workers: int
) -> Iterator[Made]:
    """Yield the result of each study, in order, with a short queue."""
    if workers == 1:
        yield from map(make, tasks)
        return
    # Spawn, since forking a process with threads (torch, pyarrow) may deadlock.
    context = get_context("spawn")
    waiting: deque[Future[list[Made]]] = deque()
    try:
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
            tasks = iter(tasks)
            while chunk := list(islice(tasks, _CHUNK)):
                waiting.append(pool.submit(_make_each, make, chunk))
                if len(waiting) > _AHEAD * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DatasetError(
            "a process that prepares studies was killed (perhaps for want of memory): run the same "
            "command again with fewer --workers, it goes on where it stopped"
        ) from error


def _make_each(make: Callable[[_Task[Item]], Made], tasks: Sequence[_Task[Item]]) -> list[Made]:
    return [make(task) for task in tasks]


def _end_with_parent() -> None:
    """Make this worker end when its parent process is killed, instead of waiting for ever."""
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
    linked: Path | None,
    content_key: Callable[[str, Item], str],
    entry: _Task[Item],
) -> Made:
    """Prepare one study and write its files; called in a worker."""
    study_id, (key, item) = entry
    try:
        row, files = build(study_id, item)
    except PlainfilmError as error:
        reason = error.reason if isinstance(error, LeftOutError) else _UNREADABLE
        read = content_key(study_id, item)
        return Made(study_id, key, None, {}, (), read, str(error), reason)
    with saying_why(part):
        for name, content in files.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)  # valid only once the study's journal line is written
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    films = tuple(_picture_digest(files[name]) for name in row.images if name in files)
    if linked is not None:
        digests |= {name: _linked_digest(linked, name) for name in row.images}
    return Made(study_id, key, row, digests, films, content_key(study_id, item), "")


def _picture_digest(content: bytes) -> str:
    """Return the digest of a film's pixels: a PNG's without text chunks, else the whole file's."""
    digest, at = hashlib.sha256(), 8
    if not content.startswith(b"\x89PNG"):
        return hashlib.sha256(content).hexdigest()
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] in (b"IHDR", b"IDAT"):
            digest.update(content[at:end])
        at = end
    return digest.hexdigest()
