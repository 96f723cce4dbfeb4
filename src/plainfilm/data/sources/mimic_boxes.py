"""Bounding boxes on MIMIC-CXR's films from MS-CXR and Chest ImaGenome, which have no own films.

Layouts as published:

- MS-CXR (https://physionet.org/content/ms-cxr/, 0.1 and 1.1.0):
  ``MS_CXR_Local_Alignment_v1.1.0.csv`` (v1.0.0 before) with dicom_id, category_name, label_text,
  path, x, y, w, h, image_width, image_height (and in 1.1.0 split, which differs from MIMIC-CXR's
  and is not used): a phrase of a report and its box.
- Chest ImaGenome (https://physionet.org/content/chest-imagenome/, 1.0.0):
  ``silver_dataset/scene_graph.zip`` (or unpacked) with ``scene_graph/<dicom_id>_SceneGraph.json``:
  objects with bbox_name and original_x1, original_y1, original_x2, original_y2 (pixels of the
  original film), and attributes with bbox_name, phrases and attributes
  (``anatomicalfinding|yes|lung opacity``). ``silver_dataset/splits/images_to_avoid.csv`` lists the
  films (dicom_id) of the gold set's patients, which a model tested on that set must not see.

Notes:

- Silver boxes were made by a detector, for up to 36 regions of each frontal film; degenerate boxes
  are left out.
- Box edges are in pixels of MIMIC-CXR's own films, which have the same size in the JPG release.
"""

import json
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from plainfilm.core import DatasetError, errors_as
from plainfilm.data.sources.files import csv_rows, find_file, number_of, one_spaced

Boxes = Mapping[str, Sequence[Mapping[str, Any]]]
"""A film's dicom_id → its boxes."""

_MS_CXR = "MS-CXR's folder, with MS_CXR_Local_Alignment_v1.1.0.csv"
_COLUMNS = ("dicom_id", "category_name", "label_text", "x", "y", "w", "h", "image_width",
            "image_height")  # fmt: skip
_IMAGENOME = "Chest ImaGenome's folder, with silver_dataset/scene_graph.zip"
_ORIGINAL = ("original_x1", "original_y1", "original_x2", "original_y2")


def ms_cxr_boxes(folder: Path) -> Boxes:
    """Return MS-CXR's boxes.

    Raises:
        DatasetError: the folder is missing or has another layout.
    """
    path = find_file([folder], ["MS_CXR_Local_Alignment_v*.csv"], _MS_CXR)
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in csv_rows(path, _COLUMNS, _MS_CXR, multiline=True):
        numbers = [number_of(row[name]) for name in _COLUMNS[3:]]
        known = [number for number in numbers if number is not None]
        if len(known) < 6 or min(known[4:]) <= 0:
            raise DatasetError(
                f"{path}: a box of {row['dicom_id']} has no numbers; expected {_MS_CXR}"
            )
        x, y, w, h, width, height = known
        found[row["dicom_id"]].append(
            {
                "name": row["category_name"],
                "phrase": one_spaced(row["label_text"]),
                "reader": "ms-cxr",
                "left": x / width,
                "top": y / height,
                "right": (x + w) / width,
                "bottom": (y + h) / height,
            }
        )
    return found


def find_scene_graphs(folder: Path) -> Path:
    """Return the archive or the folder of Chest ImaGenome's scene graphs.

    Raises:
        DatasetError: neither exists.
    """
    for inside in ("silver_dataset/scene_graph.zip", "scene_graph.zip"):
        if (folder / inside).is_file():
            return folder / inside
    for inside in ("silver_dataset/scene_graph", "scene_graph"):
        if (folder / inside).is_dir():
            nested = folder / inside / "scene_graph"  # unpacked in a folder of its name
            return nested if nested.is_dir() else folder / inside
    raise DatasetError(
        f"{folder}: no silver_dataset/scene_graph.zip, nor unpacked; expected {_IMAGENOME}"
    )


def images_to_avoid(folder: Path) -> set[str]:
    """Return the films of the gold set's patients; empty if the list is missing."""
    for inside in ("silver_dataset/splits", "splits"):
        path = folder / inside / "images_to_avoid.csv"
        if path.is_file():
            return {row["dicom_id"] for row in csv_rows(path, ["dicom_id"], _IMAGENOME)}
    return set()


def scene_graph_boxes(graphs: Path, dicom_id: str) -> list[dict[str, Any]]:
    """Return the boxes of a film's scene graph; empty if it has none.

    Raises:
        DatasetError: the graph is damaged.
    """
    name = f"{dicom_id}_SceneGraph.json"
    with errors_as(DatasetError, f"{graphs}: {name} cannot be read", f"expected {_IMAGENOME}"):
        content = _member(graphs, name)
        if content is None:
            return []
        graph = json.loads(content)
        told: dict[str, list[str]] = defaultdict(list)
        for attribute in graph.get("attributes", ()):
            told[str(attribute.get("bbox_name"))] += map(one_spaced, attribute.get("phrases", ()))
        found = []
        for place in graph.get("objects", ()):
            edges = [number_of(place.get(edge)) for edge in _ORIGINAL]
            if None in edges:
                continue
            box = {"name": place["bbox_name"], "edges": edges, "reader": "chest-imagenome"}
            phrases = " ".join(dict.fromkeys(text for text in told[box["name"]] if text))
            found.append(box | ({"phrase": phrases} if phrases else {}))
        return found


def _member(graphs: Path, name: str) -> bytes | None:
    if graphs.suffix != ".zip":
        path = graphs / name
        return path.read_bytes() if path.is_file() else None
    archive = _opened(graphs)
    for inside in (f"scene_graph/{name}", name):
        try:
            return archive.read(inside)
        except KeyError:
            continue
    return None


@lru_cache(maxsize=1)
def _opened(graphs: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(graphs)
