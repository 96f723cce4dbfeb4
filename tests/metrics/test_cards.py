"""Every metric has a card, and the cards' examples run."""

import doctest
from pathlib import Path

import pytest

from plainfilm.metrics import METRICS

CARDS = Path(__file__).parents[2] / "docs/metrics"


@pytest.mark.parametrize("card", sorted(CARDS.glob("*.md")), ids=lambda card: card.stem)
def test_examples_run(card):
    found = doctest.testfile(str(card), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_metric_has_a_card_that_names_it():
    for name, metric in METRICS.items():
        card = (CARDS / f"{metric.card}.md").read_text(encoding="utf-8")
        assert "| undefined |" in card, name
        assert "**What it misses.**" in card, name
        assert f"({metric.card}.md)" in (CARDS / "README.md").read_text(encoding="utf-8"), name
