"""Which studies an epoch shows, and in which order.

*Resampling* repeats the studies that show something rare: with t = ``oversample_below``, an
observation in a share f of the training studies has the repeat factor max(1, √(t / f)), and a study
the greatest factor of what it shows (repeat factor sampling: Gupta, Dollár and Girshick, LVIS, CVPR
2019, section 4). The paper's epoch grows by that; here it keeps its length, and the common studies
give way.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


def repeat_factors(labels: torch.Tensor, oversample_below: float | None) -> torch.Tensor:
    """Return how often each study is shown, relative to one that shows nothing rare.

    Args:
        labels: ``(studies, observations)`` in {0, 1}.
        oversample_below: the share of studies below which an observation counts as rare; None
            shows every study once.

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
    """The order of each epoch, from the seed and the epoch's number alone.

    So it is the same after an interruption, and on any number of processes. Each study comes as
    often as its share of ``weights`` says, rounded up or down at random (systematic resampling);
    once each where the weights are equal. The last batch is filled up from the epoch's beginning,
    so that every step sees a whole batch however it is split.

    Within a batch the studies stand by the length of their reports: the step is the same, and its
    micro-batches are padded less.

    Args:
        weights: ``(studies,)``, positive.
        lengths: of the reports, ``(studies,)``.
        batch: studies of an optimiser step, over all processes.
        seed: of the order.
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
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.expected) // self.batch) * self.batch

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        start = random.uniform(1e-9, 1 - 1e-6)  # the sums are whole numbers but for rounding
        ends = np.floor(np.cumsum(self.expected) + start).astype(int)
        chosen = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        order: Sequence[int] = random.permutation(chosen).tolist()
        whole = [order[index % len(order)] for index in range(len(self))]
        steps = (whole[first : first + self.batch] for first in range(0, len(whole), self.batch))
        return iter(
            [index for step in steps for index in sorted(step, key=self.lengths.__getitem__)]
        )


class HasEpoch(Protocol):
    """Something whose randomness depends on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""


class SetEpoch(TrainerCallback):
    """Tells sampler and examples which epoch begins; a resumed run skips what it has seen."""

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
