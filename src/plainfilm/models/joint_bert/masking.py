"""Masking of a report's tokens, for models that learn to predict them.

Both ways are MedViLL's (Moon et al., IEEE JBHI 2022, section III and its published code). The mask
depends only on the random generator, so that an example in an epoch is masked identically in any
batch and any process.
"""

from collections.abc import Sequence

import numpy as np

from plainfilm.text.targets import IGNORED


def mask_for_pretraining(
    tokens: Sequence[int],
    *,
    mask_token: int,
    vocabulary_size: int,
    random: np.random.Generator,
    share: float = 0.15,
) -> tuple[list[int], list[int]]:
    """Mask each token with probability ``share``, at least one (Devlin et al., 2019, section 3.1).

    80 % of the chosen tokens become ``mask_token``, 10 % a random token, and 10 % stay.

    Returns:
        The tokens after masking, and labels: the true token where one was chosen, else -100.
    """
    inputs, labels = list(tokens), [IGNORED] * len(tokens)
    chosen = np.flatnonzero(random.random(len(tokens)) < share).tolist()
    if not chosen and len(tokens):
        chosen = [int(random.integers(len(tokens)))]
    for place in chosen:
        labels[place] = tokens[place]
        fate = random.random()
        if fate < 0.8:
            inputs[place] = mask_token
        elif fate < 0.9:
            inputs[place] = int(random.integers(vocabulary_size))
    return inputs, labels


def mask_for_writing(
    tokens: Sequence[int],
    *,
    mask_token: int,
    random: np.random.Generator,
    share: float = 0.15,
) -> tuple[list[int], list[int]]:
    """Mask ``share`` of the tokens, at least one, to train writing by filling in masks.

    All chosen tokens become ``mask_token``. The last token, which ends the report, is masked half
    of the time, so that the model learns where to stop.

    Returns:
        Like :func:`mask_for_pretraining`.
    """
    inputs, labels = list(tokens), [IGNORED] * len(tokens)
    last = len(tokens) - 1
    chosen = random.permutation(last)[: max(1, round(last * share))].tolist()
    if not last or random.random() < 0.5:
        chosen = [*chosen[:-1], last]
    for place in chosen:
        inputs[place], labels[place] = mask_token, tokens[place]
    return inputs, labels
