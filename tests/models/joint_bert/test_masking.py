"""Which tokens are hidden: how many, how, and that it depends on the generator alone."""

import numpy as np
import pytest

from plainfilm.models.joint_bert.masking import mask_for_pretraining, mask_for_writing
from plainfilm.text.targets import IGNORED

MASK = 4


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_fifteen_percent_of_which_80_10_10() -> None:
    tokens = list(range(100, 20_100))
    hidden, labels = mask_for_pretraining(
        tokens, mask_token=MASK, vocabulary_size=50, random=draws()
    )
    chosen = [i for i, label in enumerate(labels) if label != IGNORED]
    assert [labels[i] for i in chosen] == [tokens[i] for i in chosen]
    assert all(hidden[i] == tokens[i] for i in range(len(tokens)) if labels[i] == IGNORED)
    assert len(chosen) / len(tokens) == pytest.approx(0.15, abs=0.01)
    fates = [
        "mask" if hidden[i] == MASK else "kept" if hidden[i] == tokens[i] else "any" for i in chosen
    ]
    for fate, share in (("mask", 0.8), ("kept", 0.1), ("any", 0.1)):
        assert fates.count(fate) / len(fates) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_at_least_one_is_chosen(seed: int) -> None:
    _, labels = mask_for_pretraining(
        [7, 8], mask_token=MASK, vocabulary_size=50, random=draws(seed)
    )
    assert any(label != IGNORED for label in labels)


def test_writing_hides_a_share_behind_mask_alone() -> None:
    tokens = list(range(100, 200))
    ends = 0
    for seed in range(200):
        hidden, labels = mask_for_writing(tokens, mask_token=MASK, random=draws(seed), share=0.15)
        chosen = [i for i, label in enumerate(labels) if label != IGNORED]
        assert len(chosen) == 15
        assert all(hidden[i] == MASK and labels[i] == tokens[i] for i in chosen)
        assert sum(token == MASK for token in hidden) == 15
        ends += 99 in chosen
    assert ends == pytest.approx(100, abs=25)  # the end, half of the time


def test_an_empty_report_teaches_its_end() -> None:
    assert mask_for_writing([3], mask_token=MASK, random=draws()) == ([MASK], [3])


def test_the_generator_alone_decides() -> None:
    tokens = list(range(100, 140))
    once, again, other = (
        mask_for_writing(tokens, mask_token=MASK, random=draws(seed)) for seed in (5, 5, 6)
    )
    assert once == again != other
