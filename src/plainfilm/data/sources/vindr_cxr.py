"""VinDr-CXR (Nguyen et al., Sci Data 2022;9:429): labels and boxes by radiologists, no reports.

Layout as published at https://physionet.org/content/vindr-cxr/ (1.0.0):

- films: ``train/`` (15,000) and ``test/`` (3,000), each ``<image_id>.dicom``;
- ``annotations/image_labels_train.csv``: image_id, rad_id and 28 labels (0 or 1), one line for each
  of three radiologists; ``image_labels_test.csv``: the consensus of five, without rad_id;
- ``annotations/annotations_train.csv``: image_id, rad_id, class_name, x_min, y_min, x_max, y_max
  (in the film's own pixels; blank for *No finding*); ``annotations_test.csv``: the same without
  rad_id.

Notes:

- A column is called *Other diseases* in the training file and *Other disease* in the test file.
- A training label is present if at least two of three radiologists say so, absent if none does, and
  uncertain if one does. All boxes are kept, with their annotators.
- Patients are not identified: each film counts as a patient. The training films are split into
  *train* and *validate* (10 %) by a hash of the film's id; the test split is the official one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plainfilm.core import DatasetError
from plainfilm.data.dataset import Dataset
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    find_root,
    prepare_collection,
)
from plainfilm.data.sources.files import check_columns, csv_rows, find_file, number_of
from plainfilm.data.splits import split_of

_EXPECTED = "VinDr-CXR's folder, with annotations/, train/ and test/"
_SHARES = {"train": 0.9, "validate": 0.1}
_EDGES = ("x_min", "y_min", "x_max", "y_max")


def prepare_vindr_cxr(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare VinDr-CXR into the dataset directory ``out``; the target is ``any``.

    Args:
        source: the folder with ``annotations/``.
        out: the dataset directory to create.
        films: the folder with ``train/`` and ``test/``, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    options = options._replace(target="any")
    entries = options.entries()
    folders = [folder for folder in (source / "annotations", source, source / "train",
                                     source / "test") if folder.is_dir()] or [source]  # fmt: skip
    root: Path | None = None
    for part in ("train", "test"):
        labels = _labels(find_file(folders, [f"image_labels_{part}.csv"], _EXPECTED))
        boxes = _boxes(find_file(folders, [f"annotations_{part}.csv"], _EXPECTED))
        names = [f"{part}/{image}.dicom" for image in list(labels)[:20]]
        root = root or find_root([films or source], names, _EXPECTED)
        for image, told in labels.items():
            entries.add(
                image,
                Entry(
                    image,
                    "test" if part == "test" else split_of(image, _SHARES),
                    (Film(f"{part}/{image}.dicom"),),
                    labels={"radiologists": _majority(told)},
                    boxes=tuple(boxes.get(image, ())),
                ),
            )
    return prepare_collection(out, Collection("vindr-cxr", root or source, entries), options)


def _labels(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return film → the labels of each radiologist, or of their consensus."""
    columns = check_columns(path, ["image_id", "No finding"], _EXPECTED)
    names = [name for name in columns if name not in ("image_id", "rad_id")]
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in csv_rows(path, ["image_id", *names], _EXPECTED):
        image = row.pop("image_id")
        found[image].append({name.replace("Other diseases", "Other disease"): value
                             for name, value in row.items()})  # fmt: skip
    if not found:
        raise DatasetError(f"{path}: has no line below its header; expected {_EXPECTED}")
    return dict(found)


def _majority(told: Iterable[Mapping[str, str]]) -> dict[str, str]:
    votes: dict[str, list[bool]] = defaultdict(list)
    for one in told:
        for name, value in one.items():
            if value.strip():
                votes[name].append(number_of(value) == 1)
    return {
        name: "present" if 2 * sum(said) > len(said) else "uncertain" if any(said) else "absent"
        for name, said in votes.items()
    }


def _boxes(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    columns = ["image_id", "class_name", *_EDGES]
    for row in csv_rows(path, columns, _EXPECTED, optional=["rad_id"]):
        edges = [number_of(row[edge]) for edge in _EDGES]
        if None not in edges:
            reader = {"reader": row["rad_id"]} if row.get("rad_id") else {}
            found[row["image_id"]].append({"name": row["class_name"], "edges": edges} | reader)
    return found
