"""Scoring in blocks: the same numbers, in memory that does not grow with the number of pairs."""

import random
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import Observation, Status
from plainfilm.metrics import align, scoring
from plainfilm.metrics.ngrams import count_ngrams
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import measure, score

NAMES = [
    "bleu-4", "rouge-l", "cider-d", "token-f1", "token-accuracy",
    "macro-f1-14", "example-f1-5", "finding-f1-side",
]  # fmt: skip
SENTENCES = [
    "The heart is normal in size.",
    "No pleural effusion.",
    "Small left pleural effusion.",
    "Mild edema.",
    "Possible pneumonia, 1 1/2 cm.",
    "Right PICC tip in the SVC.",
    "",
]


def _reports(count, seed):
    random_ = random.Random(seed)
    return [" ".join(random_.choices(SENTENCES, k=random_.randint(0, 3))) for _ in range(count)]


@pytest.mark.parametrize("block", [1, 7, 20])
def test_blocks_change_nothing(block):
    pairs = align(_reports(20, 0), _reports(20, 1))
    whole = measure(pairs, resolve(NAMES))
    parts = measure(replace(pairs, block=block, read={}), resolve(NAMES))
    sums = measure(replace(pairs, block=block), resolve(NAMES), rows=False)
    for name in NAMES:
        np.testing.assert_allclose(parts[name].rows, whole[name].rows, rtol=1e-12)
        np.testing.assert_allclose(sums[name].totals, whole[name].totals, rtol=1e-12)
        for found in (parts[name], sums[name]):
            assert found.value(found.totals) == pytest.approx(
                whole[name].value(whole[name].totals), rel=1e-12, nan_ok=True
            )
            assert found.undefined_count() == whole[name].undefined_count()


def test_score_goes_through_blocks(monkeypatch):
    def scored():
        found = score(_reports(20, 0), _reports(20, 1), NAMES, per_report=True, intervals=True)
        return {name: one.to_json() for name, one in found.items()}

    whole = scored()
    monkeypatch.setattr(
        scoring, "align", lambda *given, **options: replace(align(*given, **options), block=6)
    )
    assert scored() == whole


def test_progress_counts_pairs():
    seen = []

    def track(items, task):
        for item in items:
            seen.append((task, item))
            yield item
        seen.append((task, "end"))

    pairs = replace(align(_reports(10, 0), _reports(10, 1), track=track), block=4)
    blocks = [(len(block), len(seen)) for block in pairs.blocks()]
    assert blocks == [(4, 0), (4, 4), (2, 8)]
    assert seen == [("pairs", str(i)) for i in range(1, 11)] + [("pairs", "end")]


def test_document_frequencies_are_counted_over_all_references():
    references = [*_reports(30, 2), "mild mild edema"]
    pairs = replace(align(references, ["a new word"] * 31), block=3)
    words = [[*text.replace(".", "").lower().split()] for text in ("Mild edema.", "new edema")]
    asked = count_ngrams(words, [[], []], 4)
    lower = [text.lower() for text in references]
    expected = {word: sum(word in text for text in lower) for word in ("mild", "edema")}
    one, two, *_ = pairs.frequencies.of(asked)
    assert dict(zip(asked.words, one, strict=True)) == {**expected, "new": 0}
    together = [asked.words[i] for i in asked.counts[1].last], [*two]
    assert together == (["edema", "edema"], [sum("mild edema" in t for t in lower), 0])
    assert pairs.frequencies.references == 31


class Labeler:
    """Stands in for CheXbert: labels in no time."""

    name = "stand-in"

    def labels(self, texts):
        return [{Observation.EDEMA: Status.PRESENT} if "edema" in text else {} for text in texts]


def test_memory_does_not_grow_with_the_pairs():
    names = [name for name in NAMES if not name.startswith("finding")]
    random_ = random.Random(0)

    sentences = [" ".join(random_.choices("abcdefghijklm", k=6)) for _ in range(8)]

    def reports(count):
        return [" ".join(random_.choices(sentences, k=6)) for _ in range(count)]

    def peak(count):
        pairs = align(reports(count), reports(count), models={"chexbert": Labeler()})
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        measure(replace(pairs, block=200), resolve(names), rows=False)
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(200)  # loads what is loaded once
        few, many = peak(400), peak(2000)
    finally:
        tracemalloc.stop()
    assert many < 1.25 * few, (few, many)
