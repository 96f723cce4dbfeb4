"""The baseline rows of a table.

"Most common report" predicts the most frequent report of the training split for every film;
"nearest training report" copies the report of the most similar training film (cosine of the films
at 32², contrast-normalised). A model that does not beat them has learned to write, not to see. Two
rows use the indication alone or the clinical table alone, and no film. For simulated studies,
whose truth is known, *perfect vision* reports everything visible
(:mod:`plainfilm.evaluation.baselines`).
"""

from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.progress import track

from plainfilm.core import Pixels
from plainfilm.data import Dataset, Row
from plainfilm.data.examples import frontal_index, target_report
from plainfilm.evaluation.baselines import (
    INDICATION,
    TABLE,
    VISION,
    VISION_ELSEWHERE,
    blind_answers,
    vision_answers,
)
from plainfilm.metrics.outputs import MOST_COMMON, template_answers
from plainfilm.vision.preparation import letterbox

NEAREST = "nearest training report"
NAMES = (MOST_COMMON, NEAREST, INDICATION, TABLE, VISION, VISION_ELSEWHERE)
"""Names of all baseline rows, in order."""
_THUMBNAIL = 32
_BLOCK = 1024
"""Number of studies whose distances are computed at once."""


def reference_rows(
    dataset: Dataset,
    rows: Sequence[Row],
    source: Dataset,
    training: Sequence[Row],
    target: str,
    *,
    progress: bool = False,
) -> dict[str, dict[str, str]]:
    """Return the predictions of every baseline that applies: name → study id → text.

    Args:
        dataset: the dataset of ``rows``.
        rows: studies to predict.
        source: the dataset of ``training``.
        training: studies whose reports are learned from and copied.
        target: the scored part of the report.
        progress: whether to show a progress bar.
    """
    language = dataset.card.language
    texts = [target_report(row, target).text for row in training]
    common = template_answers(texts, len(rows))[MOST_COMMON]
    nearest = _nearest(
        _thumbnails(dataset, rows, "test films", progress),
        _thumbnails(source, training, "training films", progress),
    )
    answers = {
        MOST_COMMON: {row.study_id: text for row, text in zip(rows, common, strict=True)},
        NEAREST: {row.study_id: texts[index] for row, index in zip(rows, nearest, strict=True)},
    }
    blind = blind_answers(training, rows, target, language)
    if any(row.indication for row in training):
        answers[INDICATION] = blind[INDICATION]
    if any(row.table for row in training):
        answers[TABLE] = blind[TABLE]
    if dataset.card.simulated and all(row.truth is not None for row in rows):
        known = {row.study_id: row for row in dataset.rows} if _with_priors(rows) else {}
        answers |= vision_answers(rows, known, target, language)
    return answers


def _with_priors(rows: Sequence[Row]) -> bool:
    return any(row.prior_study_id for row in rows)


def _nearest(asked: Pixels, known: Pixels) -> list[int]:
    """Return for each film in ``asked`` the index of the most similar one in ``known``."""
    found: list[int] = []
    for first in range(0, len(asked), _BLOCK):
        block = asked[first : first + _BLOCK]
        best = np.full(len(block), -np.inf, dtype=np.float32)
        place = np.zeros(len(block), dtype=int)
        for start in range(0, len(known), _BLOCK):
            alike = block @ known[start : start + _BLOCK].T
            most = alike.argmax(axis=1)
            values = alike[np.arange(len(block)), most]
            better = values > best
            best[better], place[better] = values[better], most[better] + start
        found += place.tolist()
    return found


def _thumbnails(dataset: Dataset, rows: Sequence[Row], what: str, progress: bool) -> Pixels:
    """Return the films as contrast-normalised unit vectors, ``(rows, 1024)``."""
    films: Iterable[Row] = track(
        rows,
        description=f"looking at the {what}",
        console=Console(stderr=True),
        disable=not progress,
        transient=True,
    )
    vectors: Pixels = np.stack(
        [
            letterbox(dataset.image(row, frontal_index(row)).pixels, _THUMBNAIL).ravel()
            for row in films
        ]
    )
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors
