"""Sampling: which studies an epoch contains, and in which order.

*Oversampling* repeats studies with rare observations: with t = ``oversample_below``, an observation
in a share f of the training studies has the repeat factor max(1, √(t / f)), and a study has the
largest factor of its observations (repeat factor sampling: Gupta, Dollár and Girshick, LVIS, CVPR
2019, section 4). In the paper this lengthens the epoch; here its length is kept, and common studies
are shown less often.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


def repeat_factors(labels: torch.Tensor, oversample_below: float | None) -> torch.Tensor:
    """Return how often each study is shown, relative to one without rare observations.

    Args:
        labels: ``(studies, observations)`` in {0, 1}.
        oversample_below: share of studies below which an observation counts as rare; None for no
            oversampling.

    Returns:
        ``(studies,)``, at least 1.
    """
    if oversample_below is None:
        return torch.ones(len(labels), dtype=torch.float64)
    present = labels.double().nan_to_num(0.0)
    share = present.mean(dim=0).clamp_min(1 / len(labels))
    factors = (oversample_below / share).sqrt().clamp_min(1.0)
    return (present * factors).max(dim=1).values.clamp_min(1.0)


class EpochSampler(Sampler[int]):
    """The order of studies in each epoch, determined by the seed and the epoch's number alone.

    It is therefore the same after an interruption, and for any number of processes. Each study
    appears in proportion to its weight, rounded up or down at random (systematic resampling); with
    equal weights, once. The last batch is filled up from the epoch's beginning, so that every step
    has a whole batch however it is split.

    Within a batch, studies are sorted by the length of their reports: this does not change the
    step, but reduces the padding of its micro-batches.

    Args:
        weights: ``(studies,)``, positive.
        lengths: lengths of the reports, ``(studies,)``.
        batch: number of studies in an optimiser step, over all processes.
        seed: random seed of the order.
    """

    def __init__(
        self, weights: torch.Tensor, lengths: Sequence[int], *, batch: int, seed: int
    ) -> None:
        self.expected = (weights / weights.mean()).double().numpy()
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.expected) // self.batch) * self.batch

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        start = random.uniform(1e-9, 1 - 1e-6)  # the sums are integers up to rounding errors
        ends = np.floor(np.cumsum(self.expected) + start).astype(int)
        chosen = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        order: Sequence[int] = random.permutation(chosen).tolist()
        whole = [order[index % len(order)] for index in range(len(self))]
        steps = (whole[first : first + self.batch] for first in range(0, len(whole), self.batch))
        return iter(
            [index for step in steps for index in sorted(step, key=self.lengths.__getitem__)]
        )


class HasEpoch(Protocol):
    """An object whose random draws depend on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch."""


class SetEpoch(TrainerCallback):
    """Tells sampler and examples which epoch begins; a resumed run skips studies already seen."""

    def __init__(self, *told: HasEpoch) -> None:
        self.told = told

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Set the epoch."""
        for one in self.told:
            one.set_epoch(int((state.epoch or 0.0) + 1e-6))
