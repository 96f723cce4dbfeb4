"""Supervised training of one stage with transformers' Trainer.

Added to the Trainer: a learning rate for each part, a loss that does not depend on how a batch is
split into accumulation steps and over processes, frozen parts that keep their batch statistics,
stopping at NaN, and resuming only from checkpoints that were written completely.
"""

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from plainfilm.core import Report, TrainingError
from plainfilm.metrics import align, score
from plainfilm.models.family import Batch, Built, Family, Loss, whole_loss
from plainfilm.training.gradients import compare_gradients
from plainfilm.training.recipe import Precision, Stage, watches_loss
from plainfilm.training.sampling import EpochSampler
from plainfilm.training.variety import template_sentences, variety

HISTORY = "history.json"
"""File in a stage's folder with losses and learning rates by step."""
DRAFT_METRICS = ("bleu-4", "rouge-l", "token-f1", "token-recall")
"""Metrics of the training curves, those of the seed paper's Figs. 2 and 3."""
_COMPLETE = "complete"


class CompleteMark(TrainerCallback):
    """Marks a checkpoint once it is completely on disk, to recognise an interrupted write."""

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Write the mark into this step's checkpoint after every process has written."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()


class StopAtNaN(TrainerCallback):
    """Stops the run when its loss becomes NaN or infinite."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check each logged loss."""
        for name in ("loss", "eval_loss"):
            if logs and name in logs and not math.isfinite(logs[name]):
                raise TrainingError(
                    f"{name} is {logs[name]} at step {state.global_step}: lower the learning "
                    "rate, or train in float32"
                )


def part_rates(
    names: Iterable[str], parts: Mapping[str, str], rates: Mapping[str, float]
) -> dict[str, float]:
    """Return the peak learning rate of each trainable parameter; the longest match decides.

    Args:
        names: names of the model's parameters.
        parts: name of a part → regular expression for its parameters' names.
        rates: name of a part → its learning rate.

    Raises:
        TrainingError: a part is unknown, or has no parameters.
    """
    patterns = {}
    for part, rate in rates.items():
        if part not in parts:
            raise TrainingError(
                f"learning_rate.{part}: unknown part; expected one of {', '.join(parts)}"
            )
        patterns[part] = (re.compile(parts[part]), rate)
    chosen: dict[str, float] = {}
    used: set[str] = set()
    for name in names:
        plain = name.removeprefix("base_model.model.")
        found = [
            (match.end(), rate, part)
            for part, (pattern, rate) in patterns.items()
            if (match := pattern.match(plain))
        ]
        if found:
            _, chosen[name], part = max(found)
            used.update(one for *_, one in found)
    empty = [part for part in rates if part not in used]
    if empty:
        raise TrainingError(
            f"learning_rate.{', '.join(empty)}: this model has no such weights: leave the part out"
        )
    return chosen


class StageTrainer(Trainer):
    """transformers' Trainer with a learning rate for each part and a family's losses."""

    optimizer: torch.optim.Optimizer | None

    def __init__(
        self,
        *,
        family: Family[Any, Any],
        built: Built,
        stage: Any,
        sampler: EpochSampler | None = None,
        **kwargs: Any,
    ) -> None:
        self.family = family
        self.built = built
        self.stage = stage
        self.sampler = sampler
        self.terms: dict[str, list[torch.Tensor]] = {}
        """Name of a loss → its total and count since the last log."""
        self.templates: frozenset[str] | None = None
        """Sentences that many training reports have, once they were counted."""
        self.measured: dict[str, list[float]] = {}
        """Name of a measurement of the gradients, or of a learned weight of a loss → what was found
        since it was last logged, in this process."""
        self._compared = -1
        """The step at which gradients were compared last."""
        super().__init__(model=built.model, **kwargs)
        names = [name for name, _ in self.model.named_parameters()]
        rates = part_rates(names, family.parts(self.model), stage.learning_rate)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in rates)
        self.rates = rates
        self.frozen = list(_frozen_modules(self.model))
        # compute_loss itself divides by the whole batch's counts.
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.sampler or super()._get_train_sampler(train_dataset)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW for the trainable parts, without weight decay for norms and biases."""
        optimizer: torch.optim.Optimizer | None = self.optimizer
        if optimizer is None:
            groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
            decayed = set(self.get_decay_parameter_names(self.model))
            for name, parameter in self.model.named_parameters():
                if name in self.rates:
                    matrix = name in decayed and parameter.ndim > 1
                    decay = self.stage.weight_decay if matrix else 0.0
                    groups.setdefault((self.rates[name], decay), []).append(parameter)
            self.optimizer = optimizer = torch.optim.AdamW(
                [
                    {"params": parameters, "lr": rate, "weight_decay": decay}
                    for (rate, decay), parameters in groups.items()
                ]
            )
        return optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], Any]:
        """Return the micro-batches of the next batch, and each loss's item count.

        The counts are summed over micro-batches and processes.
        """
        pieces = list(islice(epoch_iterator, num_batches))
        counts: dict[str, torch.Tensor] = {}
        for piece in pieces:
            for name, count in self.family.counts(piece, self.stage).items():
                counts[name] = counts.get(name, torch.zeros((), dtype=torch.long)) + count.cpu()
        names = sorted(counts)
        if names:
            summed = torch.stack([counts[name] for name in names]).to(device)
            counts = dict(zip(names, self.accelerator.reduce(summed), strict=True))
        return pieces, counts

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the stage's loss of a micro-batch, normalised by the counts of the whole batch.

        Args:
            model: the model, possibly wrapped.
            inputs: one micro-batch.
            return_outputs: whether to return the named losses as well.
            num_items_in_batch: the counts from :meth:`get_batch_samples`; if None, the micro-batch
                is treated as a whole batch.
        """
        if model.training:
            for module in self.frozen:
                module.eval()  # a frozen backbone keeps its running statistics
        losses = self.family.losses(model, inputs, self.stage)
        for name, one in losses.items():
            total, count = self.terms.setdefault(name, [torch.zeros(()), torch.zeros(())])
            self.terms[name] = [total + one.total.detach().cpu(), count + one.items.cpu()]
        if model.training and isinstance(num_items_in_batch, dict):
            loss = torch.zeros((), device=next(iter(losses.values())).total.device)
            for name, one in losses.items():
                whole = num_items_in_batch[name].clamp_min(1)
                # Gradients are averaged over processes, so multiply by their number to get the sum.
                part = one.total * self.accelerator.num_processes / whole
                loss = loss + one.weight * part
        else:
            loss = whole_loss(losses)
        if model.training:
            self._measure(losses)
        return (loss, {"losses": losses}) if return_outputs else loss

    def _measure(self, losses: Mapping[str, Loss]) -> None:
        """Note learned weights and, at the steps that the recipe asks for, compare gradients."""
        for name, one in losses.items():
            if isinstance(one.weight, torch.Tensor):
                self.measured.setdefault(f"{name}_weight", []).append(float(one.weight.detach()))
        every, step = self.stage.compare_gradients, self.state.global_step
        if every is None or step % every or step == self._compared:
            return
        self._compared = step
        trained = [one for one in self.model.parameters() if one.requires_grad]
        for name, value in compare_gradients(losses, trained).items():
            self.measured.setdefault(name, []).append(value)

    def prediction_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, None, None]:
        """Return the loss of a validation batch."""
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, adding each named loss if there are several."""
        if "loss" in logs:
            logs |= self._named_losses("") | self._means()
        super().log(logs, *args, **kwargs)

    def _named_losses(self, prefix: str) -> dict[str, float]:
        """Return the mean of each loss since the last call, over all processes."""
        names = sorted(self.terms)
        terms, self.terms = self.terms, {}
        if len(names) < 2 and not prefix:
            return {}
        sums = torch.stack([torch.stack(terms[name]) for name in names]).to(self.args.device)
        summed = self.accelerator.reduce(sums).tolist()
        return {
            f"{prefix}{name}_loss": total / max(count, 1)
            for name, (total, count) in zip(names, summed, strict=True)
        }

    def _means(self) -> dict[str, float]:
        """Return the mean of what was measured since the last call, over all processes."""
        told: dict[str, list[float]] = {}
        if PartialState().num_processes == 1:
            told = self.measured
        else:
            for theirs in gather_object([self.measured]):
                for name, values in theirs.items():
                    told.setdefault(name, []).extend(values)
        self.measured = {}
        return {name: fmean(values) for name, values in sorted(told.items())}

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the validation losses and, if the stage learns reports, scores of drafts."""
        kept, self.terms = self.terms, {}
        found: dict[str, float] = super().evaluate(*args, **kwargs)
        named = self._named_losses("eval_")
        self.terms = kept
        if named:
            self.log(named)
        found |= named
        if self.stage.check_drafts and self.family.writes(self.stage):
            scores = self._draft_scores()
            self.log(scores)
            found |= {f"eval_{name}": value for name, value in scores.items()}
        return found

    def _draft_scores(self) -> dict[str, float]:
        """Return the scores of greedy drafts for the first validation studies.

        Every process drafts its share in the same number of batches, since processes with sharded
        weights must call the model together.
        """
        examples, state = self.eval_dataset, PartialState()
        indices = range(min(self.stage.check_drafts, len(examples)))
        size = self.stage.batch_size
        batches = [list(indices[first : first + size]) for first in range(0, len(indices), size)]
        rounds = -(-len(batches) // state.num_processes)
        written: dict[int, Report] = {}
        self.model.eval()
        for number in range(rounds):
            place = number * state.num_processes + state.process_index
            batch = batches[place % len(batches)]
            studies = [examples[index].study for index in batch]
            with self.accelerator.autocast():
                drafts = self.family.draft(self.model, self.built.processor, studies, num_beams=1)
            written |= {i: draft.report for i, draft in zip(batch, drafts, strict=True)}
        for others in gather_object([written]):
            written |= others
        measured = self.draft_measures(
            [examples.reports[index].text for index in indices],
            [written[index] for index in indices],
        )
        return {f"draft_{name}": value for name, value in measured.items()}

    def draft_measures(
        self, references: Sequence[str], drafts: Sequence[Report]
    ) -> dict[str, float]:
        """Return the measures of validation drafts at a check, by name."""
        texts = [draft.text for draft in drafts]
        examples = self.eval_dataset
        metrics = dict.fromkeys(DRAFT_METRICS)
        if not watches_loss(self.stage.watch):
            metrics[self.stage.watch] = None
        language = examples.dataset.card.language
        scores = score(references, texts, list(metrics), language=language)
        earlier = [row.prior_study_id is not None for row in examples.rows[: len(drafts)]]
        if self.templates is None:
            self.templates = template_sentences([one.text for one in self.train_dataset.reports])
        pairs = align(references, texts, language=language)
        return {name: one.value for name, one in scores.items()} | variety(
            pairs, earlier, self.templates
        )


def _frozen_modules(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            yield module


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in ``folder``; incomplete ones are removed."""
    complete = []
    for path in folder.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            complete.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)  # another process may be removing it too
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def stopped_early(checkpoint: Path | None, patience: int | None) -> Path | None:
    """Return the best checkpoint if training was to stop early at ``checkpoint``, else None.

    A run killed at that moment must not continue training when resumed, as transformers would.
    """
    if checkpoint is None or patience is None:
        return None
    state = trainer_state(checkpoint)
    kept = state["stateful_callbacks"].get("EarlyStoppingCallback", {}).get("attributes", {})
    if kept.get("early_stopping_patience_counter", 0) < patience:
        return None
    return checkpoint.parent / Path(state["best_model_checkpoint"]).name


def trainer_state(checkpoint: Path) -> dict[str, Any]:
    """Return the state that transformers' Trainer saved in a checkpoint."""
    state: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    return state


def split_batch(stage: Stage, processes: int) -> tuple[int, int]:
    """Return each process's batch size and accumulation steps for the recipe's whole batch.

    Raises:
        TrainingError: the batch cannot be split evenly.
    """
    if stage.accumulation % processes == 0:
        return stage.batch_size, stage.accumulation // processes
    if stage.batch_size % processes == 0:
        return stage.batch_size // processes, stage.accumulation
    raise TrainingError(
        f"stage {stage.name}: a batch of {stage.batch_size} x {stage.accumulation} cannot be split "
        f"over {processes} processes: choose a number that divides either"
    )


def resolve_precision(stage: Stage) -> Precision:
    """Return the stage's precision; ``auto`` becomes the fastest that the hardware supports.

    A GPU uses bfloat16 if it supports it, else float16; a CPU bfloat16 if it has instructions for
    it (AVX512-BF16, AMX), else float32.

    Raises:
        TrainingError: float16 was requested without a GPU.
    """
    cuda = torch.cuda.is_available()
    if stage.precision == "float16" and not cuda:
        raise TrainingError(
            f"stage {stage.name}: float16 needs a GPU, and torch sees none here: "
            "set the stage's precision to auto, bfloat16 or float32"
        )
    if stage.precision != "auto":
        return stage.precision
    if cuda:
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"
