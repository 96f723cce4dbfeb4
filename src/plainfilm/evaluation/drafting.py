"""Drafting of many studies, shared between the processes that torchrun started."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from plainfilm.core import Report, Study
from plainfilm.core.processes import processes
from plainfilm.pipeline import ReportModel

Found = TypeVar("Found")

BATCH = 16
"""Number of studies drafted in one batch."""


def draft_all(
    model: ReportModel,
    study: Callable[[int], Study],
    count: int,
    *,
    progress: bool = False,
    **generation: Any,
) -> list[Report]:
    """Return the drafts of all studies, in order, without the heatmaps of their evidence.

    Each process drafts whole batches, so that the drafts equal those of a single process, and
    receives the drafts of the others. The heatmaps are dropped, since those of 100,000 studies fill
    ten gigabytes.

    Args:
        model: the model.
        study: returns the study with a given index.
        count: number of studies.
        progress: whether to show a progress bar.
        generation: passed to ``generate()``.
    """
    place, others = processes()
    batches = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
    found: dict[int, Report] = {}
    for batch in track(
        batches[place::others],
        description=escape(f"reports by {model.card.name}"),
        console=Console(stderr=True),
        disable=not progress or place > 0,
        transient=True,
    ):
        reports = model.reports((study(index) for index in batch), batch_size=BATCH, **generation)
        found |= {index: _without_maps(one) for index, one in zip(batch, reports, strict=True)}
    for theirs in gathered(found):
        found |= theirs
    return [found[index] for index in range(count)]


def gathered(found: Found) -> list[Found]:
    """Return the value of ``found`` in each process, by rank."""
    if processes()[1] == 1:
        return [found]
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather_object

    PartialState(cpu=not torch.cuda.is_available())
    everything: list[Found] = gather_object([found])
    return everything


def _without_maps(report: Report) -> Report:
    evidence = tuple(one.model_copy(update={"heatmap": ()}) for one in report.evidence)
    return report.model_copy(update={"evidence": evidence})


def mixed_contexts(studies: Sequence[str], patients: Sequence[str]) -> list[int]:
    """Return for each study the index of another patient's study, whose context replaces its own.

    Args:
        studies: study ids, which determine the pairing.
        patients: the patient of each study.
    """
    order = sorted(range(len(studies)), key=lambda index: zlib.crc32(studies[index].encode()))
    given = [0] * len(studies)
    for place, index in enumerate(order):
        for step in range(1, len(order)):
            other = order[(place + step) % len(order)]
            if patients[other] != patients[index]:
                break
        given[index] = other if len(order) > 1 else index
    return given
