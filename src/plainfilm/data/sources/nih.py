"""NIH ChestX-ray14 (Wang et al., CVPR 2017): labels and some boxes, no reports.

Layout as published at https://nihcc.app.box.com/v/ChestXray-NIHCC:

- ``Data_Entry_2017_v2020.csv`` (``Data_Entry_2017.csv`` in older copies): Image Index
  (``00000001_000.png``), Finding Labels (separated by ``|``), Follow-up #, Patient ID, Patient Age,
  Patient Gender or Patient Sex, View Position (PA, AP) and more;
- ``BBox_List_2017.csv``: Image Index, Finding Label, and the box in four columns named ``Bbox [x``,
  ``y``, ``w``, ``h]``, in pixels of the published 1024 × 1024 pictures;
- ``train_val_list.txt`` and ``test_list.txt``: one film per line;
- films: ``images/``, or ``images_001/images/`` to ``images_012/images/``.

Notes:

- Labels were extracted by rules from unpublished reports; about 10 % are wrong. A label that is not
  listed was not mentioned; *No Finding* is a label.
- The older table has ages up to 414; those over 120 become blank.
- Boxes call infiltration *Infiltrate*.
- The official test list is kept. 10 % of the other patients become *validate*, by a hash of their
  id; each patient is in one list only. Follow-up numbers order a patient's films: the prior is the
  previous one.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa

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
from plainfilm.data.sources.files import (
    age_of,
    csv_rows,
    csv_table,
    find_file,
    number_of,
    sex_of,
    view_of,
)
from plainfilm.data.splits import split_of

_EXPECTED = "ChestX-ray14's folder, with Data_Entry_2017_v2020.csv, test_list.txt and the films"
_COLUMNS = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age",
            "View Position")  # fmt: skip
_BOX = ("Bbox [x", "y", "w", "h]")
_SIDE = 1024
_SHARES = {"train": 0.9, "validate": 0.1}
_FOLDERS = ("images", *(f"images_{number:03d}/images" for number in range(1, 13)))


def prepare_nih(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare ChestX-ray14 into the dataset directory ``out``; the target is ``any``.

    Args:
        source: the folder with the tables and lists.
        out: the dataset directory to create.
        films: the folder with the films' folders, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    options = options._replace(target="any")
    entries = options.entries()
    path = find_file([source], ["Data_Entry_2017_v2020.csv", "Data_Entry_2017*.csv"], _EXPECTED)
    table = csv_table(
        path,
        _COLUMNS,
        _EXPECTED,
        optional=["Patient Gender", "Patient Sex"],
        types={"Patient ID": pa.int64(), "Follow-up #": pa.int64()},
    )
    order = ("Patient ID", "Follow-up #", "Image Index")
    table = table.sort_by([(name, "ascending") for name in order])
    test = _listed(find_file([source], ["test_list.txt"], _EXPECTED))
    boxes = _boxes(source)
    root = films or source
    places = _places(root)
    names = table.slice(0, 20).column("Image Index").to_pylist()
    find_root([root], [places.get(name, f"images/{name}") for name in names], _EXPECTED)
    before: tuple[str, str] | None = None
    for batch in table.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            name, patient = row["Image Index"], f"nih-{row['Patient ID']:05d}"
            study_id = name.rpartition(".")[0]
            labels = [one for one in row["Finding Labels"].split("|") if one]
            entries.add(
                study_id,
                Entry(
                    patient,
                    "test" if name in test else split_of(patient, _SHARES),
                    (Film(places.get(name, f"images/{name}"), view_of(row["View Position"]),
                          (_SIDE, _SIDE)),),
                    institution="NIH Clinical Center",
                    table={"age_years": age_of(row["Patient Age"]),
                           "sex": sex_of(row.get("Patient Gender") or row.get("Patient Sex"))},
                    labels={"nih": dict.fromkeys(labels, "present")},
                    boxes=tuple(boxes.get(name, ())),
                    prior=before[1] if before is not None and before[0] == patient else None,
                ),
            )  # fmt: skip
            before = patient, study_id
    return prepare_collection(out, Collection("nih", root, entries), options)


def _listed(path: Path) -> set[str]:
    names = set(path.read_text(encoding="utf-8").split())
    if not names:
        raise DatasetError(f"{path}: names no film; expected {_EXPECTED}")
    return names


def _places(root: Path) -> dict[str, str]:
    """Return film → path, listing each folder once."""
    return {
        path.name: f"{folder}/{path.name}"
        for folder in _FOLDERS
        if (root / folder).is_dir()
        for path in (root / folder).iterdir()
    }


def _boxes(source: Path) -> dict[str, list[dict[str, Any]]]:
    """Return film → boxes; empty if the optional file is missing."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    path = next(iter(sorted(source.glob("BBox_List_2017*.csv"))), None)
    if path is None:
        return found
    for row in csv_rows(path, ["Image Index", "Finding Label", *_BOX], _EXPECTED):
        numbers = [number for column in _BOX if (number := number_of(row[column])) is not None]
        if len(numbers) == 4:
            left, top, width, height = numbers
            edges = [left, top, left + width, top + height]
            found[row["Image Index"]].append({"name": row["Finding Label"], "edges": edges})
    return found
