"""Metrics: lexical and clinical scores of reports, each with a signature of its protocol.

Arguments are always (references, predictions). Every metric has a card in ``docs/metrics``.
"""

from plainfilm.metrics.bootstrap import Bootstrap
from plainfilm.metrics.corpus import Corpus
from plainfilm.metrics.protocol import Scoring
from plainfilm.metrics.registry import DEFAULT_METRICS, METRICS, Metric
from plainfilm.metrics.scoring import SIGNATURE_VERSION as signature_version  # noqa: N811
from plainfilm.metrics.scoring import align, score
from plainfilm.metrics.tokenizer import tokenize

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "Bootstrap",
    "Corpus",
    "Metric",
    "Scoring",
    "align",
    "score",
    "signature_version",
    "tokenize",
]
