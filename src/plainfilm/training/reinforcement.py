"""One stage of reinforcement: drafts are sampled, rewarded, and made more or less likely.

GRPO (Shao et al., arXiv:2402.03300, section 4.1): each study gets a group of drafts, and a draft's
advantage is its reward less the group's mean, over the group's standard deviation. The loss is the
clipped policy gradient with DAPO's clip-higher and token mean (Yu et al., arXiv:2503.14476) or
Dr. GRPO's (Liu et al., arXiv:2503.20783), and a divergence from the starting model if wanted.

It goes through the family's agreement (``rollout``, ``log_probabilities``), so that whatever a
processor reads of a study (maps, features, table, earlier film) reaches rollout and update alike,
and encoder-decoders learn as language models do. Checkpoints, rates, resuming and many processes
are those of a supervised stage.
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from plainfilm.core import MissingDependencyError, Report, write_atomically
from plainfilm.data.examples import Example
from plainfilm.evaluation.plots import Curve, curve_chart
from plainfilm.metrics import score
from plainfilm.models.family import Batch
from plainfilm.text.targets import IGNORED
from plainfilm.training.rewards import REWARDS, Rewards
from plainfilm.training.supervised import StageTrainer

Piece = dict[str, Any]
"""Drafts of some studies: the family's batch, their advantages and log-probabilities."""

GAMED = "gaming.json"
"""In a stage's folder: reward and watched measures of validation drafts at each check."""
PLOT = "gaming.svg"
"""The same, drawn."""
TIME = "time.json"
"""In a stage's folder: seconds by part of a step, of its last start."""
PARTS = ("rollout", "rewards", "log-probabilities", "update")
"""Of a step: sampling; scoring; what the sampling and the starting model give each token; loss and
gradient of the model that learns."""
_FALLS = 0.7
"""A watched measure below this share of what it was at the first check is told."""
_RISES = 0.1
"""So is a fault that rises by more."""


def as_examples(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Keep examples as they are: drafts are made of them first."""
    return {"examples": list(examples)}


class ReinforcementTrainer(StageTrainer):
    """Trains a model on rewards of its own drafts."""

    def __init__(
        self,
        *,
        rewards: Rewards,
        reference: Any,
        collate: Callable[[Sequence[Example]], Batch],
        warn: Callable[[str], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(data_collator=as_examples, **kwargs)
        self.rewards = rewards
        self.reference = reference
        self.collate = collate
        self.warn = warn
        self.settings = self.stage.reinforcement
        self.pieces: list[Piece] = []
        self.counted: dict[str, float] = {}
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Return the drafts of the next step in pieces, and how many items the loss is over."""
        given = [next(epoch_iterator) for _ in range(num_batches)]
        if self.state.global_step % self.settings.num_iterations == 0 or not self.pieces:
            self.pieces = [self._drafted(one["examples"], place) for place, one in enumerate(given)]
        count = torch.tensor([self._items(piece) for piece in self.pieces]).sum().to(device)
        return self.pieces, {"items": self.accelerator.reduce(count)}

    def _items(self, piece: Piece) -> int:
        if self.settings.loss_type == "dapo":
            return int((piece["batch"]["labels"] != IGNORED).sum())
        return len(piece["advantages"])

    def _drafted(self, examples: Sequence[Example], place: int) -> Piece:
        """Sample and reward the drafts of some studies."""
        settings, device = self.settings, self.args.device
        # Processes take turns at the batch's pieces: each is drawn as a single process would.
        place = place * self.args.world_size + self.args.process_index
        rng = np.random.default_rng([self.args.seed, self.state.global_step, place])
        chosen = list(examples)
        self.model.eval()  # what is sampled and what is learned are one distribution: no dropout
        for attempt in range(settings.refill + 1):
            piece, flat = self._rolled(chosen, int(rng.integers(2**31)))
            self._count("flat_groups", float(np.mean(flat)))
            if not any(flat) or attempt == settings.refill:
                break
            others = rng.integers(len(self.train_dataset), size=len(chosen))
            chosen = [
                self.train_dataset[int(other)] if useless else example
                for example, other, useless in zip(chosen, others, flat, strict=True)
            ]
        with torch.no_grad(), self._timed("log-probabilities"):
            if settings.num_iterations > 1:  # else the model that learns is the one that sampled
                piece["old"], _ = self.family.log_probabilities(self.model, piece["batch"])
            if self.reference is not None:
                self.reference.to(device)
                piece["kept"], _ = self.family.log_probabilities(self.reference, piece["batch"])
        return piece

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Count the time of what is done inside as that of a part of the step."""
        begun = self._now()
        yield
        self.seconds[part] += self._now() - begun

    def _now(self) -> float:
        if self.args.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Take the gradient of a piece."""
        with self._timed("update"):
            loss: torch.Tensor = super().training_step(*args, **kwargs)
        return loss

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, then tell how the time of a step was spent."""
        found = super().train(*args, **kwargs)
        total = sum(self.seconds.values())
        if self.is_world_process_zero() and total:
            shares = ", ".join(f"{name} {100 * one / total:.1f} %" for name, one in
                               self.seconds.items())  # fmt: skip
            self.warn(f"time of the steps: {shares}")
            folder = Path(str(self.args.output_dir))
            write_atomically(folder / TIME, json.dumps(self.seconds, indent=1))
            if (folder / GAMED).is_file():
                checks = json.loads((folder / GAMED).read_text("utf-8"))
                with suppress(MissingDependencyError):  # matplotlib
                    write_atomically(folder / PLOT, gaming_chart(checks, self.rewards.weights))
        return found

    def _rolled(self, examples: Sequence[Example], seed: int) -> tuple[Piece, list[bool]]:
        """Return drafts with their advantages, and which studies' drafts are worth the same."""
        settings = self.settings
        repeated = [one for one in examples for _ in range(settings.num_generations)]
        devices = [self.args.device] if self.args.device.type == "cuda" else []
        with (
            self._timed("rollout"),
            torch.no_grad(),
            torch.random.fork_rng(devices=devices),
            self.accelerator.autocast(),
        ):
            torch.manual_seed(seed)
            reports, batch = self.family.rollout(
                self.model,
                self.built.processor,
                [one.study for one in repeated],
                do_sample=True,
                num_beams=1,
                temperature=settings.temperature,
                top_p=settings.top_p,
                top_k=0,
            )
        with self._timed("rewards"):
            worth = self.rewards(
                [one.report.text for one in repeated],
                reports,
                [one.study.prior is not None for one in repeated],
            )
        groups = worth.total.reshape(len(examples), settings.num_generations)
        spread = groups.std(axis=1, keepdims=True)
        greedy = settings.baseline == "greedy"
        advantages = groups - (
            self._greedy(examples)[:, None] if greedy else groups.mean(axis=1, keepdims=True)
        )
        if settings.loss_type != "dr_grpo" and not greedy:
            advantages = advantages / (spread + 1e-4)
        self._count("reward", float(worth.total.mean()))
        self._count("reward_spread", float(spread.mean()))
        self._count("rollout_words", float(np.mean([len(one.text.split()) for one in reports])))
        for name, values in worth.parts.items():
            self._count(f"reward_{name}", float(values.mean()))
        found = torch.tensor(advantages.ravel(), dtype=torch.float32, device=self.args.device)
        useless = np.abs(advantages).max(axis=1) < 1e-6
        return {"batch": batch, "advantages": found}, useless.tolist()

    def _greedy(self, examples: Sequence[Example]) -> Any:
        """Return the reward of each study's most likely draft."""
        studies = [one.study for one in examples]
        with self._timed("rollout"), torch.no_grad(), self.accelerator.autocast():
            drafts = self.family.draft(self.model, self.built.processor, studies, num_beams=1)
        with self._timed("rewards"):
            worth = self.rewards(
                [one.report.text for one in examples],
                [draft.report for draft in drafts],
                [study.prior is not None for study in studies],
            )
        return worth.total

    def _count(self, name: str, value: float) -> None:
        self.counted.setdefault(f"{name}/sum", 0.0)
        self.counted.setdefault(f"{name}/n", 0.0)
        self.counted[f"{name}/sum"] += value
        self.counted[f"{name}/n"] += 1

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the clipped policy gradient's loss of a piece; that of reports on validation."""
        if not isinstance(num_items_in_batch, dict):
            batch = self._prepare_inputs(self.collate(inputs["examples"]))
            return super().compute_loss(model, batch, return_outputs)
        settings, piece = self.settings, inputs
        model.eval()  # without dropout; gradients flow all the same
        new, written = self.family.log_probabilities(model, piece["batch"])
        ratio = (new - piece.get("old", new.detach())).exp()
        advantages = piece["advantages"][:, None]
        clipped = ratio.clamp(1 - settings.epsilon, 1 + settings.epsilon_high)
        loss = -torch.minimum(ratio * advantages, clipped * advantages)
        if "kept" in piece:  # the estimator that is never negative (arXiv:2402.03300, equation 4)
            apart = piece["kept"] - new
            divergence = apart.exp() - apart - 1
            loss = loss + settings.beta * divergence
            self._count("kl", float(divergence[written].mean().detach()))
        loss = torch.where(written, loss, 0.0)
        if settings.loss_type == "dapo":
            total = loss.sum()
        elif settings.loss_type == "grpo":
            total = (loss.sum(dim=1) / written.sum(dim=1).clamp_min(1)).sum()
        else:
            total = loss.sum() / self.built.model.generation_config.max_new_tokens
        return total * self.accelerator.num_processes / num_items_in_batch["items"].clamp_min(1)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log rewards beside the loss."""
        if "loss" in logs and self.counted:
            everybody = gather_object([self.counted])
            self.counted = {}
            names = sorted({key.split("/")[0] for one in everybody for key in one})
            for name in names:
                total, number = (
                    sum(one.get(f"{name}/{part}", 0.0) for one in everybody)
                    for part in ("sum", "n")
                )
                logs[name] = total / max(number, 1)
        super().log(logs, *args, **kwargs)

    def draft_measures(
        self, references: Sequence[str], drafts: Sequence[Report]
    ) -> dict[str, float]:
        """Return what the reward does not count, beside what it does, on validation drafts."""
        examples = self.eval_dataset
        texts = [draft.text for draft in drafts]
        earlier = [row.prior_study_id is not None for row in examples.rows[: len(drafts)]]
        worth = self.rewards(references, drafts, earlier)
        scores = score(
            references, texts, self.settings.watch, language=examples.dataset.card.language
        )
        measured = super().draft_measures(references, drafts)
        scored = {name: one.value for name, one in scores.items()}
        return measured | scored | {"reward": float(worth.total.mean())}

    def _draft_scores(self) -> dict[str, float]:
        found = super()._draft_scores()
        fallen = self.is_world_process_zero() and self._watch(found)
        if any(gather_object([fallen])) and self.settings.when_gamed == "stop":
            self.control.should_training_stop = True
        return found

    def _watch(self, found: Mapping[str, float]) -> bool:
        """Keep what was measured; tell whether the reward rises while something else falls."""
        path = Path(str(self.args.output_dir)) / GAMED
        seen: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
        step = self.state.global_step
        now: dict[str, Any] = {"step": step} | {
            name.removeprefix("draft_"): None if math.isnan(value) else value
            for name, value in found.items()
        }
        seen = [*(one for one in seen if one["step"] < step), now]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(seen, indent=1))
        first = seen[0]
        if (now.get("reward") or 0) <= (first.get("reward") or 0):
            return False
        fallen = gamed(first, now, self.rewards.weights)
        if fallen:
            stop = "; the stage stops here" if self.settings.when_gamed == "stop" else ""
            self.warn(
                f"step {self.state.global_step}: the reward rises ({first['reward']:.3f} → "
                f"{now['reward']:.3f}) while {', '.join(fallen)}: it may be gamed{stop}"
            )
        return bool(fallen)


def gaming_chart(checks: Sequence[Mapping[str, Any]], rewarded: Collection[str]) -> str:
    """Return curves of the reward, of its parts and of what it does not count, as SVG.

    Args:
        checks: what :data:`GAMED` holds.
        rewarded: names of rewards.
    """
    names = [name for name in checks[0] if name not in ("step", "reward")]
    names.sort(key=lambda name: name not in rewarded)
    charts = {
        name + (", rewarded" if name in rewarded else ""): [
            Curve(name, [(one["step"], one[name]) for one in checks if one.get(name) is not None])
        ]
        for name in ["reward", *names]
    }
    charts = {name: curves for name, curves in charts.items() if curves[0].points}
    note = "greedy drafts of validation studies, before the first step and at each check"
    return curve_chart("What reinforcement changes", charts, along="steps", note=note)


def gamed(first: Mapping[str, Any], now: Mapping[str, Any], rewarded: Collection[str]) -> list[str]:
    """Return what has become worse of all that is not rewarded, in words.

    Args:
        first: what was measured of validation drafts at the first check, by name.
        now: what is measured now.
        rewarded: names of rewards, which are left out.
    """
    worse = []
    for name, value in now.items():
        before = first.get(name)
        if before is None or value is None or name in ("step", "reward", *rewarded):
            continue
        if name in REWARDS:
            bad = value > before + _RISES
        elif name == "template-sentences":
            bad = False  # a better writer may have more of them or fewer
        else:
            bad = before > 0 and value < _FALLS * before
        if bad:
            worse.append(f"{name} {before:.3g} → {value:.3g}")
    return worse
