"""RadCliQ-v1: the published linear combination of four metrics; lower is better.

Yu et al., "Evaluating progress in automatic chest X-ray radiology report generation" (Patterns
2023) fitted it to error counts by radiologists. The constants are those of its released model. Its
parts, each computed per report: RadGraph F1 (mean of entity and relation F1), BERTScore
(distilroberta-base, rescaled, without IDF), SembScore and BLEU-2. BLEU-2 uses plainfilm's
implementation and tokens instead of the program's; its coefficient is practically 0.
"""

import numpy as np
import numpy.typing as npt

from plainfilm.core import MetricError
from plainfilm.metrics.bertscore import BertScorer, bertscore_values
from plainfilm.metrics.clinical import sembscore_values
from plainfilm.metrics.external.radgraph import entity_relation_f1
from plainfilm.metrics.lexical import bleu
from plainfilm.metrics.models import MODELS
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Array, Statistics, ratio

PARTS = ("radgraph", "bertscore", "sembscore", "bleu-2")
"""Order of the parts, and of the constants below."""

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
        A number or (reports,); NaN where a part is NaN. Average these, not their inverses:
        1 / RadCliQ, which leaderboards print, diverges near 0.

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


def radcliq(pairs: Pairs) -> Statistics:
    """Return the mean of RadCliQ-v1 over reports, with the means of its four metrics as parts.

    The part ``1/mean`` is the number that leaderboards print.

    Raises:
        MetricError: a model of a part was not given, or BERTScore is not rescaled or uses IDF.
    """
    missing = [name for name in ("radgraph", "bertscore", "chexbert") if name not in pairs.models]
    if missing:
        what = "; ".join(MODELS[name].what for name in missing)
        give = " ".join(f"--model {MODELS[name].example}" for name in missing)
        raise MetricError(f"radcliq-v1 lacks {', '.join(missing)} ({what}): give {give}")
    radgraph, scorer, chexbert = (
        pairs.models[name] for name in ("radgraph", "bertscore", "chexbert")
    )
    _check_bertscore(scorer)
    of_bleu = bleu(pairs, order=2)
    parts = [
        entity_relation_f1(pairs, radgraph),
        bertscore_values(pairs, scorer),
        sembscore_values(pairs, chexbert),
        of_bleu.value(of_bleu.rows),
    ]
    columns = np.column_stack([radcliq_v1(*parts), *parts])
    undefined = np.isnan(columns).any(axis=1, keepdims=True)
    return Statistics(
        rows=np.hstack([np.where(undefined, 0.0, columns), 1.0 - undefined, 1.0 * undefined]),
        value=lambda totals: ratio(totals[..., 0], totals[..., -2]),
        parts=_parts,
        undefined=lambda totals: int(totals[-1]),
        protocol={
            **of_bleu.protocol,
            "checkpoint": f"{radgraph.name}+{scorer.name}+{chexbert.name}",
            "undefined": "left-out",
        },
    )


def _parts(totals: Array) -> dict[str, float]:
    means = ratio(totals[:-2], totals[-2])
    inverse = ratio(np.ones(()), means[0])
    return {**dict(zip(PARTS, means[1:].tolist(), strict=True)), "1/mean": float(inverse)}


def _check_bertscore(scorer: BertScorer) -> None:
    if scorer.idf or scorer.baseline is None:
        raise MetricError(
            f"radcliq-v1 was fitted to BERTScore rescaled and without IDF, got {scorer.name}: "
            "give --model bertscore=distilroberta-base,layer=5,baseline=distilroberta-base.tsv"
        )
