"""Which tokens of a report are hidden from a model that learns to say them.

Both ways are MedViLL's (Moon et al., IEEE JBHI 2022, section III and its published code). What is
hidden depends on the generator alone, so the same example in the same epoch is masked alike
whatever batch it comes in and whatever process it lies on.
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
    """Hide each token with probability ``share``, at least one (Devlin et al., 2019, section 3.1).

    Of the hidden ones 80 % become ``mask_token``, 10 % any token, and 10 % stay.

    Returns:
        The tokens with some hidden, and as many labels: the true token where one was chosen, else
        -100.
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
    """Hide ``share`` of the tokens, at least one, as a decoder by masked tokens meets them.

    All hidden ones become ``mask_token``. The last token, which ends the report, is among them half
    of the time, so that the model learns where to stop.

    Returns:
        As :func:`mask_for_pretraining`.
    """
    inputs, labels = list(tokens), [IGNORED] * len(tokens)
    last = len(tokens) - 1
    chosen = random.permutation(last)[: max(1, round(last * share))].tolist()
    if not last or random.random() < 0.5:
        chosen = [*chosen[:-1], last]
    for place in chosen:
        inputs[place], labels[place] = mask_token, tokens[place]
    return inputs, labels
