"""RadCliQ-v1: the published linear combination of four scores into one; lower is better.

Yu et al., "Evaluating progress in automatic chest X-ray radiology report generation" (Patterns
2023) fitted it to the errors that radiologists counted. The constants are those of its released
model. Its parts come from other programs and checkpoints: RadGraph F1 (mean of entity and relation
F1), BERTScore (distilroberta-base, rescaled, without IDF), SembScore and BLEU-2,
each of one report.
"""

import numpy as np
import numpy.typing as npt

from plainfilm.core import MetricError
from plainfilm.metrics.statistics import Array

PARTS = ("radgraph", "bertscore", "sembscore", "bleu-2")
"""The order of the parts, and of the constants below."""

_MEAN = np.array([0.53792312, 0.61757256, 0.76479421, 0.44738335])
_SCALE = np.array([0.30282584, 0.22430938, 0.25394391, 0.29892717])
_COEFFICIENT = np.array([-0.377083683, -0.370300100, -0.252616218, 4.315e-12])
_INTERCEPT = 2.467e-10


def radcliq_v1(
    radgraph: npt.ArrayLike,
    bertscore: npt.ArrayLike,
    sembscore: npt.ArrayLike,
    bleu_2: npt.ArrayLike,
) -> Array:
    """Return RadCliQ-v1 of each report.

    Args:
        radgraph: mean of RadGraph's entity and relation F1, a number or (reports,).
        bertscore: BERTScore F1, likewise.
        sembscore: cosine of CheXbert's vectors, likewise.
        bleu_2: BLEU-2, likewise (its coefficient is practically 0).

    Returns:
        Numbers or (reports,); NaN where a part is NaN. Average these, and not their inverses:
        1 / RadCliQ, which leaderboards print, explodes near 0.

    Raises:
        MetricError: the parts differ in length.
    """
    given = [
        np.asarray(part, dtype=np.float64) for part in (radgraph, bertscore, sembscore, bleu_2)
    ]
    if len({part.shape for part in given}) > 1:
        shapes = ", ".join(f"{name} {part.shape}" for name, part in zip(PARTS, given, strict=True))
        raise MetricError(f"RadCliQ's parts must have one value for each report, got {shapes}")
    parts = np.stack(given, axis=-1)
    value: Array = ((parts - _MEAN) / _SCALE) @ _COEFFICIENT + _INTERCEPT
    return value
