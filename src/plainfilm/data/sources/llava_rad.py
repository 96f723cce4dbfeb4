"""LLaVA-Rad's annotations of MIMIC-CXR (Zambrano Chaves et al., Nat Commun 2025;16:3108).

Layout as published at https://physionet.org/content/llava-rad-mimic-cxr-annotation/ (1.0.0) and
read by LLaVA-Rad's own code (https://github.com/microsoft/LLaVA-Rad):
``chat_train_MIMIC_CXR_all_gpt4extract_rulebased_v1.json``, ``chat_dev_…`` and ``chat_test_…``,
lists of entries, one per film: id, image (``mimic/p10/p10000032/s50414267/….jpg``), generate_method
(rule-based or gpt4), reason (the indication), conversations (a human question, and the findings as
the answer) and chexpert_labels. The films are MIMIC-CXR-JPG's.

Notes:

- The training and validation files also contain GPT-4's extractions. If a study has several
  entries, GPT-4's findings take precedence over the rules'; in the test file the first entry does.
- Views are not given. Other fields (impression, view) could not be confirmed and are not read.
"""

import re
from pathlib import Path
from typing import Any

from plainfilm.core import OBSERVATIONS, DatasetError
from plainfilm.data.dataset import Dataset
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    find_root,
    prepare_collection,
)
from plainfilm.data.sources.files import one_spaced, read_json, statuses

_EXPECTED = "LLaVA-Rad's folder, with chat_train_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"
_PARTS = {"train": "train", "dev": "validate", "test": "test"}
_PATH = re.compile(r"(?:mimic/)?(p\d\d/(p\d+)/(s\d+)/[\w-]+\.\w+)")
_REQUIRED = {"image", "conversations"}


def prepare_llava_rad(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare LLaVA-Rad's annotations into the dataset directory ``out``.

    Args:
        source: the folder with the JSON files.
        out: the dataset directory to create.
        films: MIMIC-CXR-JPG's folder, with ``files/``.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    studies: dict[str, dict[str, Any]] = {}
    found = False
    for part, split in _PARTS.items():
        for path in sorted(source.glob(f"chat_{part}_MIMIC_CXR*.json")):
            found = True
            for entry in read_json(path, _EXPECTED):
                _take(path, entry, split, studies)
    if not found:
        raise DatasetError(f"{source}: no chat_train_MIMIC_CXR*.json; expected {_EXPECTED}")
    names = [film for study in list(studies.values())[:20] for film in study["films"]]
    folder = films or source
    root = find_root([folder / "files", folder], names, "MIMIC-CXR-JPG's films: --films")
    for study_id, study in studies.items():
        labels = {"chexpert": study["labels"]} if study["labels"] else {}
        entries.add(
            study_id,
            Entry(
                study["patient"],
                study["split"],
                tuple(Film(film) for film in study["films"]),
                texts={name: words for name in ("findings", "indication")
                       if (words := study[name])},
                institution="Beth Israel Deaconess Medical Center",
                labels=labels,
            ),
        )  # fmt: skip
    return prepare_collection(out, Collection("llava-rad", root, entries), options)


def _take(path: Path, entry: Any, split: str, studies: dict[str, dict[str, Any]]) -> None:
    told = entry if isinstance(entry, dict) else {}
    place = _PATH.fullmatch(str(told.get("image", "")))
    answers = [turn.get("value") for turn in told.get("conversations") or ()
               if isinstance(turn, dict) and turn.get("from") == "gpt"]  # fmt: skip
    if not told.keys() >= _REQUIRED or place is None or len(answers) != 1:
        raise DatasetError(
            f"{path}: an entry needs image (mimic/p10/p1…/s5…/….jpg) and conversations with one "
            f"answer, got {str(entry)[:80]!r}"
        )
    film, patient, study_id = place.groups()
    study = studies.setdefault(
        study_id,
        {"patient": patient, "split": split, "films": [], "findings": "", "indication": "",
         "labels": {}, "by_model": False},
    )  # fmt: skip
    if film not in study["films"]:
        study["films"].append(film)
    by_model = told.get("generate_method") == "gpt4" and split != "test"
    if not study["findings"] or (by_model and not study["by_model"]):
        study["findings"], study["by_model"] = one_spaced(answers[0]), by_model
    study["indication"] = study["indication"] or one_spaced(told.get("reason"))
    labels = told.get("chexpert_labels")
    if isinstance(labels, dict) and not study["labels"]:
        study["labels"] = statuses(labels, [name for name in map(str, OBSERVATIONS)
                                            if name in labels])  # fmt: skip
