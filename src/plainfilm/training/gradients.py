"""Whether the losses of a stage pull its weights the same way.

The cosine between two losses' gradients is 1 where a step for one serves the other, 0 where they
have nothing to do with each other, and negative where they are at odds (Du et al. 2018,
arXiv:1812.02224; Yu et al. 2020, arXiv:2001.06782). It is taken over the weights that both reach.
"""

import itertools
from collections.abc import Mapping, Sequence

import torch

from plainfilm.models.family import Loss

Gradients = Sequence[torch.Tensor | None]


def compare_gradients(
    losses: Mapping[str, Loss], weights: Sequence[torch.nn.Parameter]
) -> dict[str, float]:
    """Return the cosine between each two losses' gradients, and each gradient's length.

    The graph is kept, and no gradient is left at the weights. A loss's own weight doesn't count:
    gradients are of its mean over its items.

    Args:
        losses: by name.
        weights: those that train.

    Returns:
        ``gradient_cosine_FIRST_SECOND`` and ``gradient_norm_NAME``, this over the weights that any
        other loss reaches, too. Pairs that share no weight are left out.
    """
    known = {name: one for name, one in losses.items() if one.total.requires_grad and one.items > 0}
    found: dict[str, Gradients] = {
        name: torch.autograd.grad(
            one.total / one.items, list(weights), retain_graph=True, allow_unused=True
        )
        for name, one in known.items()
    }
    measured: dict[str, float] = {}
    for first, second in itertools.combinations(sorted(found), 2):
        shared = [
            (one.float(), other.float())
            for one, other in zip(found[first], found[second], strict=True)
            if one is not None and other is not None
        ]
        if not shared:
            continue
        product = sum(float((one * other).sum()) for one, other in shared)
        lengths = [
            sum(float(pair[side].square().sum()) for pair in shared) ** 0.5 for side in (0, 1)
        ]
        measured[f"gradient_norm_{first}"], measured[f"gradient_norm_{second}"] = lengths
        if all(lengths):
            measured[f"gradient_cosine_{first}_{second}"] = product / (lengths[0] * lengths[1])
    return measured
