"""Merging of shards prepared by several machines into what one machine would have made.

A shard is a dataset directory with its journal beside the manifest. The merged directory has the
same rows, files and fingerprint as a preparation without shards; a film shared by two patients in
two shards is detected here.
"""

import heapq
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import track

from plainfilm.core import DatasetError, errors_as
from plainfilm.core.files import saying_why
from plainfilm.data.dataset import CARD, Dataset
from plainfilm.data.journal import JOURNAL, Made, lines_of, made_at
from plainfilm.data.prepare import SHARD, check_out, finish, working_folder
from plainfilm.data.splits import Shard, read_shard

_ALIKE = ("description", "licence", "simulated", "language", "linked", "plainfilm")


class _Part(NamedTuple):
    path: Path
    dataset: Dataset
    shard: Shard
    skipped: dict[str, int]
    marked: bool


def merge(out: Path, shards: Sequence[Path], *, progress: bool = True) -> Dataset:
    """Merge all shards of one preparation into the dataset directory ``out``.

    Films are hard-linked if the file system allows it, else copied; the shards are kept.

    Raises:
        DatasetError: a folder is not a shard, a shard is missing or given twice, or they were made
            from different sources or settings.
        OutputError: ``out`` cannot be written.
    """
    out = Path(os.path.realpath(out))
    check_out(out)
    if out.exists():
        raise DatasetError(f"{out} exists: choose another directory")
    parts = sorted(map(_part, shards), key=lambda part: part.shard)
    source = _check(parts)
    with working_folder(out) as part, ExitStack() as files:
        lines = [lines_of(one.path / JOURNAL) for one in parts]
        opened = [files.enter_context((one.path / JOURNAL).open("rb")) for one in parts]

        def in_order(number: int) -> Iterator[tuple[int, Made]]:
            for place, start in sorted(lines[number].values()):
                yield place, made_at(opened[number], start)

        def studies() -> Iterator[Made]:
            every = [in_order(number) for number in range(len(parts))]
            for _, made in heapq.merge(*every, key=lambda placed: placed[0]):
                yield made

        for one in track(parts, "linking films", disable=not progress, transient=True):
            _take_over(one.path, part)
        card = {name: getattr(parts[0].dataset.card, name) for name in _ALIKE[:-1]}
        skipped: Counter[str] = Counter()
        for one in parts:
            skipped.update(one.skipped)
        finish(part, out, studies, source, card, skipped=skipped, marked=parts[0].marked)
    return Dataset(out)


def _part(path: Path) -> _Part:
    dataset = Dataset(path)
    if not (path / SHARD).is_file():
        raise DatasetError(
            f"{path} is no shard: {SHARD} is missing; expected what plainfilm data … --shard wrote"
        )
    with errors_as(DatasetError, f"cannot read {path / SHARD}", "prepare the shard again"):
        values = json.loads((path / SHARD).read_bytes())
        return _Part(
            path, dataset, read_shard(values["shard"]), values["skipped"], bool(values["marked"])
        )


def _check(parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the common source of the shards; raise DatasetError if they don't belong together."""
    if not parts:
        raise DatasetError("no shard was given")
    sources = [
        {name: value for name, value in part.dataset.card.source.items()
         if name not in ("shard", "read", "seen")} for part in parts
    ]  # fmt: skip
    first = parts[0]
    for part, source in zip(parts, sources, strict=True):
        cards = (first.dataset.card, part.dataset.card)
        if source != sources[0] or any(
            getattr(cards[0], name) != getattr(cards[1], name) for name in _ALIKE
        ):
            raise DatasetError(
                f"{part.path} and {first.path} were made from different sources or settings: see "
                f"their {CARD}"
            )
    given = [part.shard for part in parts]
    of = given[0].of
    expected = [Shard(number, of) for number in range(1, of + 1)]
    if given != expected:
        missing = [str(one) for one in expected if one not in given]
        more = [f"{one} twice" for one, count in Counter(given).items() if count > 1]
        more += [f"{one}, of another number of shards" for one in given if one.of != of]
        what = "; ".join([f"missing {', '.join(missing)}"] * bool(missing) + more)
        raise DatasetError(f"expected each of {of} shards once: {what}")
    return sources[0]


def _take_over(shard: Path, part: Path) -> None:
    """Link or copy the files in a shard's subfolders into the working folder."""
    for folder, _, names in os.walk(shard):
        inside = Path(folder).relative_to(shard)
        if inside == Path():
            continue
        with saying_why(part):
            (part / inside).mkdir(parents=True, exist_ok=True)
            for name in names:
                _link(Path(folder, name), part / inside / name)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
