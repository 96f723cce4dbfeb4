"""What a table tells of a row beside its scores: what its classifier knows, what conditions changed
in its drafts, how the gradients of its losses lay."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from plainfilm.evaluation.evaluate import CONDITIONS_FILE, CONSISTENCY_FILE
from plainfilm.training.supervised import HISTORY


def beside(folders: Sequence[Path]) -> dict[str, Any]:
    """Return how classifier and text agree, and what conditions changed; nothing without either.

    Args:
        folders: with the evaluation of each seed.

    Returns:
        ``classifier``: name → value of each seed; ``observations`` and ``conditions``: those of
        each seed.
    """
    found: dict[str, Any] = {}
    told = [folder / CONSISTENCY_FILE for folder in folders]
    if all(path.is_file() for path in told):
        read = [json.loads(path.read_text(encoding="utf-8")) for path in told]
        found["classifier"] = {
            name: [one["scores"][name]["value"] for one in read] for name in read[0]["scores"]
        } | {"auc": [one["auc"] for one in read]}
        found["observations"] = [one["observations"] for one in read]
    told = [folder / CONDITIONS_FILE for folder in folders]
    if all(path.is_file() for path in told):
        found["conditions"] = [json.loads(path.read_text(encoding="utf-8")) for path in told]
    return found


def logged(runs: Sequence[Path]) -> dict[str, Any]:
    """Return what was measured of gradients and learned weights, mean over each run's training.

    Returns:
        ``logged``: name → value of each run; nothing where nothing was measured.
    """
    means = []
    for run in runs:
        values: dict[str, list[float]] = {}
        for history in sorted(run.glob(f"stages/*/{HISTORY}")):
            for entry in json.loads(history.read_text(encoding="utf-8")):
                for name, value in entry.items():
                    if name.startswith("gradient_") or name.endswith("_weight"):
                        values.setdefault(name, []).append(value)
        means.append({name: fmean(one) for name, one in values.items()})
    names = sorted({name for one in means for name in one})
    return {"logged": {name: [one.get(name) for one in means] for name in names}} if names else {}
