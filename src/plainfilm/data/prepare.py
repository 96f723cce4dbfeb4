"""Any source into a dataset directory: resumable, and whole or not there at all.

Everything is written into ``.NAME.part`` beside the directory. A study's row is written behind its
files, so a row says that its study is complete, and a run that was killed goes on with the next
study. At the end the rows become the manifest and the folder takes its name.
"""

import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import track

from plainfilm import __version__
from plainfilm.core import DatasetError, check_folder, write_atomically
from plainfilm.data.dataset import (
    CARD,
    DataCard,
    Dataset,
    Row,
    check_patients,
    fingerprint,
    write_manifest,
)
from plainfilm.data.splits import SPLITS

Item = TypeVar("Item")

Build = Callable[[str, Item], tuple[Row, Mapping[str, bytes]]]
"""(study id, what the source knows of it) → its row, and its files: relative path → content."""


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
    workers: int = 1,
    progress: bool = True,
) -> Dataset:
    """Prepare a dataset directory and open it.

    Args:
        out: the directory to make; it may exist if it is empty. One made from the same source is
            opened as it is.
        items: study id → what ``build`` needs to make the study; the ids become file names.
        build: makes one study; a top-level function (or a partial of one) where ``workers`` > 1.
        source: the kind of source and its settings, JSON values; decides whether two preparations
            are the same.
        description: one line for the card.
        licence: of the source.
        simulated: whether the films are simulated.
        language: of the reports.
        skipped: studies of the source that are not in ``items``, by reason.
        workers: processes to build with; the result does not depend on it.
        progress: whether to show a progress bar.

    Raises:
        DatasetError: ``out`` exists and is another dataset or no dataset, there is nothing to
            prepare, or a patient lies in two splits.
    """
    source = json.loads(json.dumps(source))
    check_folder(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / CARD).is_file():
            raise DatasetError(f"{out} exists and is no dataset: choose another directory")
        dataset = Dataset(out)
        if dataset.card.source != source:
            raise DatasetError(f"{out} holds another dataset: choose another directory")
        return dataset
    if not items:
        raise DatasetError(f"nothing to prepare into {out}: the source has no usable study")
    part = out.with_name(f".{out.name}.part")
    _claim(part, source)
    todo = {key: item for key, item in items.items() if not _row_path(part, key).exists()}
    for _ in track(
        _built(partial(_make, build, part), todo, workers),
        total=len(items),
        completed=len(items) - len(todo),
        description=f"preparing {out.name}",
        disable=not progress,
        transient=True,
    ):
        pass
    rows = [
        Row.from_dict(json.loads(_row_path(part, key).read_text(encoding="utf-8"))) for key in items
    ]
    check_patients(rows)
    write_manifest(part, rows)
    counts = Counter(row.split for row in rows)
    card = DataCard(
        source=source,
        description=description,
        licence=licence,
        simulated=simulated,
        language=language,
        plainfilm=__version__,
        studies={split: counts[split] for split in SPLITS},
        skipped=dict(skipped or {}),
        fingerprint=fingerprint(part, rows),
    )
    (part / CARD).write_text(card.to_json(indent=1), encoding="utf-8")
    shutil.rmtree(part / "rows")
    (part / "source.json").unlink()
    part.replace(out)
    return Dataset(out)


def _claim(part: Path, source: Mapping[str, Any]) -> None:
    """Make ``part`` the working folder of ``source``, or refuse to mix two sources."""
    begun = part / "source.json"
    if begun.exists():
        if json.loads(begun.read_text(encoding="utf-8")) != source:
            raise DatasetError(
                f"{part} holds an unfinished preparation with other settings: finish that one, "
                "or remove the folder"
            )
        return
    (part / "rows").mkdir(parents=True, exist_ok=True)
    write_atomically(begun, json.dumps(source))


def _row_path(part: Path, study_id: str) -> Path:
    if not study_id or "/" in study_id or "\\" in study_id or study_id.startswith("."):
        raise DatasetError(f"study id {study_id!r} cannot be a file name: rename it in the source")
    return part / "rows" / f"{study_id}.json"


def _built(
    make: Callable[[tuple[str, Item]], None], todo: Mapping[str, Item], workers: int
) -> Iterator[None]:
    if workers == 1:
        yield from map(make, todo.items())
        return
    # Fresh processes: a fork of one that runs threads (torch, pyarrow) may lock up.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(make, todo.items(), chunksize=8)


def _end_with_parent() -> None:
    """Let this worker end when the process that started it is killed; else it waits for ever."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _make(build: Build[Item], part: Path, entry: tuple[str, Item]) -> None:
    study_id, item = entry
    row, files = build(study_id, item)
    for name, content in files.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    values = json.dumps(row.to_dict(), ensure_ascii=False)
    write_atomically(_row_path(part, study_id), values)
