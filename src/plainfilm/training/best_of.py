"""The best of several drafts of a model by a reward: what reinforcement is to beat.

*Best with the reference*: the draft that the reward prefers, the radiologist's report in hand. No
system for use, but a bound: reinforcement can hardly make a model write better than the best of
many things that it writes already.

*Consensus*: the draft that the reward prefers when each other draft in turn is taken for the
reference (minimum Bayes risk, arXiv:2004.04002 for its use in translation). It needs no reference,
and as many drafts at every use.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, model_validator
from rich.progress import track

from plainfilm.core import Report, Word
from plainfilm.data import Dataset
from plainfilm.data.examples import target_report, teachable
from plainfilm.pipeline import ReportModel
from plainfilm.training.rewards import Rewards, check_rewards

BEST, CONSENSUS = "best with the reference", "consensus"
"""The columns of :func:`best_of`."""
_BATCH = 8


class BestOf(Word):
    """Which drafts are chosen from, and by what."""

    rows: tuple[str, ...]
    """Rows of the table whose models draft."""
    number: Annotated[int, Field(ge=2)] = 8
    """Drafts of each study."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    rewards: dict[str, float]
    length_guard: tuple[float, float] | None = (0.5, 2.0)

    @model_validator(mode="after")
    def _rewards_are_known(self) -> "BestOf":
        check_rewards(self.rewards)
        return self


def best_of(
    settings: BestOf,
    model: ReportModel,
    dataset: Dataset,
    training: Sequence[str],
    *,
    split: str = "test",
    seed: int = 0,
    progress: bool = False,
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Draft every test study several times, and choose.

    Args:
        settings: how many drafts and which reward.
        model: the model.
        dataset: whose studies are drafted.
        training: the training reports, for rewards with statistics of a whole set.
        split: which of them.
        seed: of the sampling.
        progress: whether to show a progress bar.

    Returns:
        Study id → reference; and column → study id → the draft chosen.
    """
    target = model.card.target
    rows = teachable(dataset.split(split), target)
    reads = model.family.reads(model.processor)
    rewards = Rewards(
        settings.rewards, training, length_guard=settings.length_guard,
        language=dataset.card.language,
    )  # fmt: skip
    references = {row.study_id: target_report(row, target).text for row in rows}
    chosen: dict[str, dict[str, str]] = {BEST: {}, CONSENSUS: {}}
    starts = range(0, len(rows), _BATCH)
    for start in track(starts, "several drafts", disable=not progress, transient=True):
        part = rows[start : start + _BATCH]
        studies = [
            dataset.study(row, derived=reads).model_copy(update={"report": None})
            for row in part
            for _ in range(settings.number)
        ]
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed * 1_000_003 + start)
            reports, _ = model.family.rollout(
                model.model, model.processor, studies, do_sample=True, num_beams=1,
                temperature=settings.temperature, top_p=1.0, top_k=0,
            )  # fmt: skip
        for place, row in enumerate(part):
            drafts = reports[place * settings.number : (place + 1) * settings.number]
            earlier = row.prior_study_id is not None
            found = _choose(drafts, references[row.study_id], earlier, rewards)
            for column, draft in found.items():
                chosen[column][row.study_id] = draft
    return references, chosen


def _choose(
    drafts: Sequence[Report], reference: str, earlier: bool, rewards: Rewards
) -> Mapping[str, str]:
    number = len(drafts)
    against = rewards([reference] * number, drafts, [earlier] * number).total
    pairs = [(a, b) for a in range(number) for b in range(number) if a != b]
    between = rewards(
        [drafts[other].text for _, other in pairs],
        [drafts[mine] for mine, _ in pairs],
        [earlier] * len(pairs),
    ).total
    agreed = between.reshape(number, number - 1).mean(axis=1)
    return {
        BEST: drafts[int(np.argmax(against))].text,
        CONSENSUS: drafts[int(np.argmax(agreed))].text,
    }
