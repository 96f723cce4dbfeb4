"""RadGraph F1: RadGraph's entities and relations of both reports, compared as sets.

Jain et al., "RadGraph" (NeurIPS 2021) annotate a report with entities (words and a label) and
relations between them. Delbrouck et al., "Improving the Factual Correctness of Radiology Report
Generation with Semantic Rewards" (EMNLP 2022) compare them at three levels, and Yu et al. (Patterns
2023) use the mean of an entity and a relation F1 in RadCliQ. RadGraph itself runs in a separate
environment; the comparison follows package ``radgraph`` 0.1.18: words inside a relation of level
``complete`` are lower-cased, others are compared unchanged, and the value is 0 if nothing was found
in one of the two reports. It departs in one case: two empty texts are undefined.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from plainfilm.core import MetricError
from plainfilm.metrics.external.bridge import Bridge
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Array, Statistics, mean_of

Annotation = Mapping[str, Mapping[str, Any]]
"""Entity number → ``tokens``, ``label``, and ``relations`` as (kind, entity number)."""
Level = Literal["simple", "partial", "complete"]


def radgraph_f1(pairs: Pairs, level: Level) -> Statistics:
    """Return the mean over reports of RadGraph F1.

    Args:
        pairs: the reports.
        level: ``simple`` compares words and label of entities; ``partial`` also whether an entity
            has a relation; ``complete`` each relation, and entities without one.

    Raises:
        MetricError: RadGraph was not given, or failed.
    """
    bridge: Bridge = pairs.model("radgraph", "radgraph-f1")
    values = _values(pairs, bridge, lambda one, other: annotation_f1(one, other, level))
    return mean_of(values, checkpoint=bridge.name, undefined="left-out")


def entity_relation_f1(pairs: Pairs, bridge: Bridge) -> Array:
    """Return the mean of entity and relation F1 of each report, (reports,), for RadCliQ."""

    def mean(reference: Annotation, prediction: Annotation) -> float:
        entities = _f1(_entities(reference, "simple"), _entities(prediction, "simple"))
        return (entities + _f1(_relations(reference), _relations(prediction))) / 2

    return _values(pairs, bridge, mean)


def annotation_f1(reference: Annotation, prediction: Annotation, level: Level) -> float:
    """Return the F1 of two annotations; 0 if either has no entity."""
    return _f1(_entities(reference, level), _entities(prediction, level))


def _values(
    pairs: Pairs, bridge: Bridge, compare: Callable[[Annotation, Annotation], float]
) -> Array:
    def annotate(texts: Sequence[str]) -> list[Annotation]:
        asked = [text for text in texts if text.strip()]
        answers = bridge.ask([{"text": text} for text in asked]) if asked else []
        found = dict(zip(asked, answers, strict=True))
        return [_checked(found.get(text, {})) for text in texts]

    texts = zip(pairs.references, pairs.predictions, strict=True)
    annotated = zip(*pairs.each(annotate, f"annotations by {bridge.name}"), strict=True)
    return np.array(
        [
            compare(*both) if "".join(pair).strip() else math.nan
            for pair, both in zip(texts, annotated, strict=True)
        ]
    )


def _checked(annotation: Any) -> Annotation:
    try:
        for entity in annotation.values():
            hash((entity["tokens"], entity["label"]))
            for _, other in entity["relations"]:
                hash(annotation[other]["tokens"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MetricError(
            f"RadGraph's worker answered {str(annotation)[:200]}, expected entities by number with "
            "tokens, label and relations"
        ) from error
    checked: Annotation = annotation
    return checked


def _entities(annotation: Annotation, level: Level) -> set[tuple[Any, ...]]:
    found: set[tuple[Any, ...]] = set()
    for entity in annotation.values():
        words, label, relations = entity["tokens"], entity["label"], entity["relations"]
        if level == "simple" or not relations:
            found.add((words, label))
        elif level == "partial":
            found.add((words, label, True))
        else:
            found.update(
                (words.lower(), label, kind, annotation[other]["tokens"].lower())
                for kind, other in relations
            )
    return found


def _relations(annotation: Annotation) -> set[tuple[Any, ...]]:
    def named(entity: Mapping[str, Any]) -> tuple[str, str]:
        return entity["tokens"], entity["label"]

    return {
        (named(entity), named(annotation[other]), kind)
        for entity in annotation.values()
        for kind, other in entity["relations"]
    }


def _f1(reference: set[tuple[Any, ...]], prediction: set[tuple[Any, ...]]) -> float:
    both = len(reference) + len(prediction)
    return 2 * len(reference & prediction) / both if both else 0.0
