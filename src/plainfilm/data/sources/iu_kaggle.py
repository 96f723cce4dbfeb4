"""IU X-ray in Kaggle's version: two CSV files and normalised PNG.

Layout as published at https://www.kaggle.com/datasets/raddar/chest-xrays-indiana-university:

- ``indiana_reports.csv``: uid, MeSH, Problems, image, indication, comparison, findings, impression;
- ``indiana_projections.csv``: uid, filename (``1_IM-0001-4001.dcm.png``), projection (Frontal or
  Lateral);
- films: ``images/images_normalized/``.

Notes: the same studies as Open-i's (one per patient), with a view for each film, which Open-i's
archive lacks. A frontal film can be PA or AP, so its view stays unknown; models then read it as
frontal. Removed words are ``XXXX``. There is no official split: it is made by a hash of the study's
id, or taken from R2Gen's file.
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
from plainfilm.data.sources.files import csv_rows, find_file, one_spaced
from plainfilm.data.sources.iu_xray import read_r2gen_split
from plainfilm.data.splits import split_of

_EXPECTED = "Kaggle's folder of IU X-ray, with indiana_reports.csv and indiana_projections.csv"
_TEXTS = ("indication", "comparison", "findings", "impression")


def prepare_iu_kaggle(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    split: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare Kaggle's IU X-ray into the dataset directory ``out``.

    Args:
        source: the folder with both CSV files.
        out: the dataset directory to create.
        films: the folder with the films, if that is elsewhere.
        split: R2Gen's ``annotation.json``; studies that it lacks are left out.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    shown: dict[str, list[tuple[str, str]]] = defaultdict(list)
    projections = find_file([source], ["indiana_projections.csv"], _EXPECTED)
    for row in csv_rows(projections, ["uid", "filename", "projection"], _EXPECTED):
        shown[row["uid"]].append((row["filename"], row["projection"].strip().lower()))
    folder = films or source
    roots = [folder / "images/images_normalized", folder / "images", folder]
    names = [name for films_of in list(shown.values())[:20] for name, _ in films_of]
    root = find_root(roots, names, _EXPECTED)
    chosen = None if split is None else read_r2gen_split(split)
    reports = find_file([source], ["indiana_reports.csv"], _EXPECTED)
    rows = csv_rows(reports, ["uid", *_TEXTS], _EXPECTED, optional=["Problems"], multiline=True)
    for row in rows:
        study_id = f"CXR{row['uid']}"
        if row["uid"] not in shown:
            entries.skip(study_id, "no film in the projections")
        elif chosen is not None and study_id not in chosen:
            entries.skip(study_id, "not in the split file")
        else:
            problems = [one for one in map(one_spaced, row.get("Problems", "").split(";")) if one]
            films_of = shown[row["uid"]]
            entries.add(
                study_id,
                Entry(
                    study_id,
                    split_of(study_id) if chosen is None else chosen[study_id].split,
                    tuple(
                        Film(name, "lateral" if view == "lateral" else None)
                        for name, view in sorted(films_of, key=lambda film: film[1])
                    ),
                    texts={name: words for name in _TEXTS if (words := one_spaced(row[name]))},
                    institution="Indiana University",
                    labels={"mesh": dict.fromkeys(problems, "present")} if problems else {},
                ),
            )
    return prepare_collection(out, Collection("iu-kaggle", root, entries), options)
