"""What is kept beside a dataset: maps and specialists' features of its films, clinical tables.

    maps/NAME.arrow       one row per film: study_id, image, values (uint8, packed by zlib)
    features/NAME.arrow   one row per study: study_id, values (float32)
    tables/NAME.arrow     a row a study: study_id, values (JSON)

All are Arrow files that are read in place: a study costs a look-up, whatever the number of
studies. Maps are pooled before they are kept, 212 of 16 × 16 cells in some kilobytes. The dataset
itself, and its fingerprint, stay as they are.
"""

import csv
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from plainfilm.core import DatasetError, Image, InputError, errors_as
from plainfilm.core.classes import ADDED, CLASSES, SUPERCLASSES
from plainfilm.core.study import Maps
from plainfilm.data.dataset import Dataset, Row, study_ids
from plainfilm.data.examples import frontal_index, readable
from plainfilm.data.masks import Mask, pool_masks, to_square
from plainfilm.text.clinical_table import check_columns, value_columns

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMANDS = {"maps": "maps", "features": "features", "tables": "values"}
SIDE = 16
"""Cells along each side of stored maps."""
TRUTH, SEGMENTER = "truth", "segmenter"
ALL = tuple(one.name for one in (*CLASSES, *ADDED))
"""Names of the 212 classes and of plainfilm's own."""

Films = Callable[[list[Image]], Sequence[npt.NDArray[np.float32]]]


def make_maps(
    dataset: Dataset,
    source: str,
    *,
    superclasses: bool = False,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    progress: bool = False,
) -> str:
    """Compute and store the maps of every frontal film; return their name.

    Args:
        dataset: the dataset.
        source: ``truth`` (the phantom's masks), ``segmenter`` (the shipped one), the folder of
            another segmenter, or a folder of CXAS's output (:mod:`plainfilm.data.map_files`).
        superclasses: with ``truth`` or files: the 20 superclasses instead of the classes; a
            superclass is the union of its classes' masks before pooling.
        classes: names of the classes, where the files have none.
        name: what maps from files are called; ``cxas`` if left out.
        progress: whether to show a progress bar.

    Raises:
        DatasetError: a study has no masks, or lacks a class that others have.
        InputError: superclasses were requested of a segmenter, which has its own classes.
        ModelError: there is no such segmenter.
    """
    if Path(source).is_dir() and not _is_segmenter(source):
        return _maps_from_files(
            dataset, Path(source), name or "cxas", superclasses, classes, progress
        )
    if classes is not None or name is not None:
        raise InputError("--classes and --name are of maps from files: leave them out")
    if source == TRUTH:
        name = "truth-superclasses" if superclasses else TRUTH
        classes = SUPERCLASSES if superclasses else ALL

        def pooled(row: Row) -> npt.NDArray[np.uint8]:
            return _true_maps(dataset, row, superclasses)
    elif superclasses:
        raise InputError("a segmenter's classes are its own: leave --superclasses out")
    else:
        segmenter = _segmenter(source)
        name, classes = str(segmenter.name), segmenter.classes

        def pooled(row: Row) -> npt.NDArray[np.uint8]:
            values = segmenter.maps(dataset.image(row, frontal_index(row)), SIDE)
            cells: npt.NDArray[np.uint8] = np.round(values * 255).astype(np.uint8)
            return cells

    def rows() -> Iterator[dict[str, Any]]:
        for row in _shown(readable(dataset.rows), name, progress):
            values = zlib.compress(pooled(row).tobytes(), 6)
            yield {"study_id": row.study_id, "image": frontal_index(row), "values": values}

    _write_maps(dataset, name, classes, rows())
    return name


def _write_maps(
    dataset: Dataset, name: str, classes: Sequence[str], rows: Iterator[dict[str, Any]]
) -> None:
    fields = [("study_id", pa.string()), ("image", pa.int16()), ("values", pa.binary())]
    meta = {
        "classes": json.dumps(list(classes)),
        "side": str(SIDE),
        "source": name,
        "data_fingerprint": dataset.fingerprint,
    }
    _write(dataset.path / "maps" / f"{name}.arrow", rows, pa.schema(fields, metadata=meta))


def _maps_from_files(
    dataset: Dataset,
    folder: Path,
    name: str,
    superclasses: bool,
    classes: Sequence[str] | None,
    progress: bool,
) -> str:
    """Keep maps from files that another program wrote; a study without one has none."""
    from plainfilm.data.map_files import KNOWN, find_masks, read_mask_file
    from plainfilm.phantom.film.structures import superclass_masks

    films = {}
    for row in readable(dataset.rows):
        stem = Path(row.images[frontal_index(row)]).stem
        if (path := find_masks(folder, (row.study_id, stem))) is not None:
            films[row.study_id] = path
    if not films:
        raise DatasetError(
            f"{folder} has no masks of this dataset's films: expected FILM.npz, FILM.json or a "
            f"folder FILM, called by the study's id or the film's file name ({stem})"
        )
    first = read_mask_file(next(iter(films.values())), classes)
    # Classes that no model here knows (CXAS has humeri) are left out.
    names = tuple(one for one in first if one in KNOWN)
    if not names:
        raise DatasetError(
            f"{folder}: none of its {len(first)} classes ({', '.join(list(first)[:3])}, …) is one "
            "of the 212 of plainfilm.core.classes: check the names"
        )
    kept = SUPERCLASSES if superclasses else names
    name = f"{name}-superclasses" if superclasses else name

    def rows() -> Iterator[dict[str, Any]]:
        chosen = [row for row in readable(dataset.rows) if row.study_id in films]
        for row in _shown(chosen, name, progress):
            path = films[row.study_id]
            masks = read_mask_file(path, classes)
            missing = [one for one in names if one not in masks]
            if missing:
                raise DatasetError(
                    f"{path} lacks {len(missing)} classes that other films have "
                    f"({', '.join(missing[:3])}): name all with --classes, or write it again"
                )
            squares = {one: to_square(masks[one]) for one in names}
            squares = superclass_masks(squares) if superclasses else squares
            values = zlib.compress(pool_masks(squares, kept, SIDE).tobytes(), 6)
            yield {"study_id": row.study_id, "image": frontal_index(row), "values": values}

    _write_maps(dataset, name, kept, rows())
    return name


def make_features(dataset: Dataset, source: str, *, progress: bool = False) -> str:
    """Compute and store a specialist's feature of every frontal film; return its name.

    Args:
        dataset: the dataset.
        source: ``segmenter`` (the shipped one), the folder of another segmenter, or published
            weights of a ResNet-50 (such as LVM-Med's), whose last feature map is averaged.
        progress: whether to show a progress bar.

    Raises:
        ModelError: there is no such model.
    """
    name, look = _specialist(source)

    def rows() -> Iterator[dict[str, Any]]:
        for row in _shown(readable(dataset.rows), name, progress):
            values = look(dataset.image(row, frontal_index(row)))
            yield {"study_id": row.study_id, "values": values.astype(np.float32).tolist()}

    fields = [("study_id", pa.string()), ("values", pa.list_(pa.float32()))]
    meta = {"source": name, "data_fingerprint": dataset.fingerprint}
    schema = pa.schema(fields, metadata=meta)
    _write(dataset.path / "features" / f"{name}.arrow", rows(), schema)
    return name


def make_table(dataset: Dataset, file: Path, name: str | None = None) -> tuple[str, int]:
    """Keep a clinical table of one's own beside a dataset.

    Args:
        dataset: the dataset.
        file: a CSV file, UTF-8, with the columns ``study_id`` and one for each value, named as
            :mod:`plainfilm.text.clinical_table` says; an empty cell was not measured.
        name: what it is called; the file's name where left out.

    Returns:
        Its name, and how many of the dataset's studies it has a row of; the others have no value.

    Raises:
        InputError: the file can't be read, has no row, an unknown column, an unknown study, or one
            twice.
    """
    name = name or file.stem
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a table: give letters, digits, '-', '_' or '.'")
    with (
        errors_as(InputError, f"cannot read {file}", "give a CSV file in UTF-8"),
        file.open(encoding="utf-8-sig", newline="") as opened,
    ):
        reader = csv.DictReader(opened, strict=True)
        heads = list(reader.fieldnames or ())
        lines = list(reader)
    if "study_id" not in heads or len(heads) < 2 or not lines:
        raise InputError(f"{file}: expected the column study_id, one for each value, and rows")
    columns = [head for head in heads if head != "study_id"]
    if len(set(heads)) < len(heads):
        raise InputError(f"{file}: a column comes twice: {', '.join(heads)}")
    check_columns(columns, str(file))
    known, seen = set(study_ids(dataset.rows)), set()
    for place, line in enumerate(lines, start=2):
        study = line["study_id"]
        if None in line or None in line.values():
            raise InputError(f"{file}, line {place}: expected {len(heads)} cells")
        if study not in known or study in seen:
            why = "comes twice" if study in seen else f"is no study of {dataset.path}"
            raise InputError(f"{file}, line {place}: study {study!r} {why}")
        seen.add(study)

    def rows() -> Iterator[dict[str, Any]]:
        for line in lines:
            values = {column: _table_value(line[column]) for column in columns}
            yield {"study_id": line["study_id"], "values": json.dumps(values, ensure_ascii=False)}

    fields = [("study_id", pa.string()), ("values", pa.string())]
    schema = pa.schema(fields, metadata={"source": name, "columns": json.dumps(columns)})
    _write(dataset.path / "tables" / f"{name}.arrow", rows(), schema)
    return name, len(lines)


def _table_value(text: str) -> float | str | None:
    text = text.strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


class Derived:
    """One file of kept maps, features or tables, read in place.

    Args:
        folder: the dataset's folder.
        name: ``maps/NAME``, ``features/NAME`` or ``tables/NAME``.
        fingerprint: the dataset's; not compared where left out.

    Raises:
        DatasetError: the file is missing, damaged, or was made from another dataset's films.
    """

    def __init__(self, folder: Path, name: str, fingerprint: str | None = None) -> None:
        path = folder / f"{name}.arrow"
        kind, _, source = name.partition("/")
        if not path.is_file():
            known = sorted(one.stem for one in (folder / kind).glob("*.arrow"))
            raise DatasetError(
                f"{folder} has no {kind} from {source!r} (it has: {', '.join(known) or 'none'}): "
                f"make them with plainfilm {_COMMANDS[kind]}"
            )
        with errors_as(
            DatasetError, f"cannot read {path}", f"make it again by plainfilm {_COMMANDS[kind]}"
        ):
            self.table: pa.Table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            self._places = {
                study: place for place, study in enumerate(self.table["study_id"].to_pylist())
            }
            meta = {
                key.decode(): value.decode() for key, value in self.table.schema.metadata.items()
            }
            made_of = meta.get("data_fingerprint", fingerprint)
            if fingerprint is not None and made_of is not None and made_of != fingerprint:
                raise DatasetError(
                    f"{path} is of other films: it was made of a dataset with the fingerprint "
                    f"{made_of[:12]}, this one has {fingerprint[:12]}: make it again by plainfilm "
                    f"{kind}"
                )
            self.source = source
            if kind == "maps":
                self._classes = tuple(json.loads(meta["classes"]))
                self._side = int(meta["side"])
            columns = json.loads(meta["columns"]) if kind == "tables" else ()
            self.columns = tuple(value_columns(columns))
            """Of a clinical table, by name."""

    def maps(self, study_id: str) -> tuple[int, Maps] | None:
        """Return the image's index and the maps of a study; None if it has none."""
        place = self._places.get(study_id)
        if place is None:
            return None
        packed = zlib.decompress(self.table["values"][place].as_py())
        shape = (len(self._classes), self._side, self._side)
        with errors_as(DatasetError, f"maps of {study_id} are damaged", "make them again"):
            cells = np.frombuffer(packed, np.uint8).reshape(shape)
        image = int(self.table["image"][place].as_py())
        values = cells.astype(np.float32) / np.float32(255)
        found = Maps(classes=self._classes, values=values, source=self.source, study=study_id)
        return image, found

    def clinical(self, study_id: str) -> dict[str, float | str | None]:
        """Return the clinical table of a study; nothing was measured where it has none."""
        place = self._places.get(study_id)
        if place is None:
            return dict.fromkeys(self.columns)
        values: dict[str, float | str | None] = json.loads(self.table["values"][place].as_py())
        return values

    def feature(self, study_id: str) -> npt.NDArray[np.float32] | None:
        """Return the feature vector of a study; None if it has none."""
        place = self._places.get(study_id)
        if place is None:
            return None
        return np.asarray(self.table["values"][place].as_py(), np.float32)


def _true_maps(dataset: Dataset, row: Row, superclasses: bool) -> npt.NDArray[np.uint8]:
    from plainfilm.phantom.film.structures import superclass_masks

    masks: Mapping[str, Mask] = dataset.structures(row)
    if not masks:
        raise DatasetError(
            f"study {row.study_id} has no masks of classes: simulate with plainfilm data phantom "
            "--structures"
        )
    if superclasses:
        masks = superclass_masks(masks)
    squares = {name: to_square(mask) for name, mask in masks.items()}
    return pool_masks(squares, SUPERCLASSES if superclasses else ALL, SIDE)


def _segmenter(source: str) -> Any:
    from plainfilm.vision import segmenter

    return segmenter.shipped() if source == SEGMENTER else segmenter.Segmenter(source)


def _is_segmenter(source: str) -> bool:
    """Return whether a path is the folder of a segmenter of ours."""
    config = Path(source) / "config.json"
    return config.is_file() and '"plainfilm-segmenter"' in config.read_text("utf-8")


def _specialist(source: str) -> tuple[str, Callable[[Image], npt.NDArray[np.float32]]]:
    """Return a specialist's name, and a function that computes a film's feature."""
    if source == SEGMENTER or _is_segmenter(source):
        segmenter = _segmenter(source)
        return segmenter.name, segmenter.features
    import torch
    from transformers import ResNetConfig

    from plainfilm.vision.checkpoints import load_backbone
    from plainfilm.vision.preparation import FilmImageProcessor

    network = load_backbone(Path(source), ResNetConfig()).eval()
    # Mean and standard deviation of ImageNet, as in LVM-Med's training.
    prepare = FilmImageProcessor(
        size=224, image_mean=(0.485, 0.456, 0.406), image_std=(0.229, 0.224, 0.225)
    )

    @torch.no_grad()
    def look(film: Image) -> npt.NDArray[np.float32]:
        found = network(prepare.preprocess(film)["pixel_values"]).last_hidden_state
        values: npt.NDArray[np.float32] = found.mean(dim=(2, 3))[0].numpy()
        return values

    return Path(source).stem, look


def _write(path: Path, rows: Iterator[dict[str, Any]], schema: pa.Schema) -> None:
    """Write an Arrow file atomically."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == 1024:
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                waiting.clear()
        writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
    part.replace(path)


def _shown(rows: Sequence[Row], what: str, progress: bool) -> Any:
    from rich.console import Console
    from rich.progress import track

    return track(
        rows, description=what, console=Console(stderr=True), disable=not progress, transient=True
    )
