"""CANDID-PTX (Feng et al., Radiol Artif Intell 2021;3:e210136): New Zealand, pneumothorax.

Layout as published at https://figshare.com/articles/dataset/CANDID-PTX/14173982 and read by its
users' code:

- ``Pneumothorax_reports.csv``: SOPInstanceUID, EncodedPixels (a run-length mask, ``-1`` without a
  pneumothorax), Report, filename (``P00123_…``: the patient before the underscore);
- ``chest_tube.csv`` and ``acute_rib_fracture.csv``: anon_SOPUID and mask_rle of films with one;
- films: ``dataset/<SOPInstanceUID>``, DICOM without a suffix (``chest_radiographs/`` in some
  copies).

Notes:

- In one copy some films are listed under several patients; such films are left out.
- A film may be on several lines, one for each mask: the first is used.
- Labels are read, but masks are not: their encoding (1-based or relative) could not be confirmed.
- Reports have headings and a signature, and are parsed into sections. There is no official split:
  it is made by a hash of the patient's id.
"""

from collections import defaultdict
from pathlib import Path

from plainfilm.data.dataset import Dataset
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    find_root,
    prepare_collection,
)
from plainfilm.data.sources.files import csv_rows, find_file
from plainfilm.data.sources.sectioned import texts_of_report
from plainfilm.data.splits import split_of

_EXPECTED = "CANDID-PTX's folder, with Pneumothorax_reports.csv and dataset/"
_COLUMNS = ("SOPInstanceUID", "EncodedPixels", "Report", "filename")
_OTHERS = {"Chest Tube": "chest_tube.csv", "Rib Fracture": "acute_rib_fracture.csv"}


def prepare_candid_ptx(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare CANDID-PTX into the dataset directory ``out``.

    Args:
        source: the folder with the CSV files.
        out: the dataset directory to create.
        films: the folder with the films, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    path = find_file([source], ["Pneumothorax_reports.csv"], _EXPECTED)
    patients: dict[str, set[str]] = defaultdict(set)
    for row in csv_rows(path, ["SOPInstanceUID", "filename"], _EXPECTED, multiline=True):
        patients[row["SOPInstanceUID"]].add(row["filename"].partition("_")[0])
    shown = {
        name: {row["anon_SOPUID"] for row in csv_rows(source / file, ["anon_SOPUID"], _EXPECTED)}
        for name, file in _OTHERS.items()
        if (source / file).is_file()
    }
    folder = films or source
    roots = [folder / "dataset", folder / "chest_radiographs", folder]
    root = find_root(roots, list(patients)[:20], _EXPECTED)
    done: set[str] = set()
    for row in csv_rows(path, _COLUMNS, _EXPECTED, multiline=True):
        uid = row["SOPInstanceUID"]
        patient = row["filename"].partition("_")[0]
        if uid in done:
            continue
        done.add(uid)
        if len(patients[uid]) > 1:
            entries.skip(patient, "its film is another patient's too")
            continue
        labels = {"Pneumothorax": "absent" if row["EncodedPixels"].strip() == "-1" else "present"}
        labels |= {name: "present" for name, films_of in shown.items() if uid in films_of}
        entries.add(
            uid,
            Entry(
                patient,
                split_of(patient),
                (Film(uid),),
                texts=texts_of_report(row["Report"]),
                institution="Dunedin Hospital",
                labels={"candid-ptx": labels},
            ),
        )
    return prepare_collection(out, Collection("candid-ptx", root, entries), options)
