"""One training stage, through transformers' Trainer.

What is ours: which parts train at which rate, a loss that does not depend on how a batch is split
into accumulation steps and over processes, frozen parts that keep their batch statistics, a NaN
that stops the run, and checkpoints that are only resumed from when they were written to their end.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from plainfilm.core import TrainingError, write_atomically
from plainfilm.data.examples import Examples
from plainfilm.metrics import score
from plainfilm.models.family import Batch, Built, Family, whole_loss
from plainfilm.training.progress import ShowProgress
from plainfilm.training.recipe import Precision, Stage, watches_loss
from plainfilm.training.rewards import Rewards
from plainfilm.training.sampling import EpochSampler, SetEpoch, repeat_factors

HISTORY = "history.json"
"""Losses and rates of a stage by step, in its folder."""
DRAFT_METRICS = ("bleu-4", "rouge-l", "token-f1", "token-recall")
"""Of the training curves: those of the seed paper's Figs. 2 and 3."""
_COMPLETE = "complete"


class CompleteMark(TrainerCallback):
    """Marks a checkpoint when all of it is on disk, so that a killed write is told apart."""

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Write the mark into the checkpoint of this step, once every process has written."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()


class StopAtNaN(TrainerCallback):
    """Stops the run when its loss is no number."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at each loss that is logged."""
        for name in ("loss", "eval_loss"):
            if logs and name in logs and not math.isfinite(logs[name]):
                raise TrainingError(
                    f"{name} is {logs[name]} at step {state.global_step}: lower the learning "
                    "rate, or train in float32"
                )


def part_rates(
    names: Iterable[str], parts: Mapping[str, str], rates: Mapping[str, float]
) -> dict[str, float]:
    """Return the peak learning rate of each parameter that trains; the longest match decides.

    Args:
        names: of the model's parameters.
        parts: name of a part → regular expression of its parameters' names.
        rates: name of a part → its rate.

    Raises:
        TrainingError: a part is unknown, or has no parameter.
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
    """transformers' Trainer with a rate for each part and a family's losses."""

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
        """Name of a loss → its total and count since they were last logged."""
        super().__init__(model=built.model, **kwargs)
        names = [name for name, _ in self.model.named_parameters()]
        rates = part_rates(names, family.parts(self.model), stage.learning_rate)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in rates)
        self.rates = rates
        self.frozen = list(_frozen_modules(self.model))
        # compute_loss divides by the whole batch's counts itself.
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.sampler or super()._get_train_sampler(train_dataset)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW over the parts that train; norms and biases are not decayed."""
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
        """Return the pieces of the next batch, and how many items each loss of all of it is over.

        The counts are summed over pieces and processes.
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
        """Return the stage's loss, the same whether a batch comes whole or in pieces.

        Args:
            model: the model, perhaps wrapped.
            inputs: one piece of a batch.
            return_outputs: whether the named losses are returned as well.
            num_items_in_batch: the counts of :meth:`get_batch_samples`; without them the piece
                counts as a batch of its own.
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
                # Gradients are averaged over the processes, so each counts its part that often.
                part = one.total * self.accelerator.num_processes / whole
                loss = loss + one.weight * part
        else:
            loss = whole_loss(losses)
        return (loss, {"losses": losses}) if return_outputs else loss

    def prediction_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, None, None]:
        """Return the loss of a batch of validation studies."""
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, with each named loss beside their sum where there are several."""
        if "loss" in logs:
            logs |= self._named_losses("")
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

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the validation losses and, where a stage learns reports, scores of drafts."""
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
        """Return the scores of the first validation studies' reports, drafted greedily.

        Every process drafts its share, in as many batches as the others, since processes that
        share a model's weights must call it together.
        """
        examples, state = self.eval_dataset, PartialState()
        indices = range(min(self.stage.check_drafts, len(examples)))
        size = self.stage.batch_size
        batches = [list(indices[first : first + size]) for first in range(0, len(indices), size)]
        rounds = -(-len(batches) // state.num_processes)
        texts: dict[int, str] = {}
        self.model.eval()
        for number in range(rounds):
            place = number * state.num_processes + state.process_index
            batch = batches[place % len(batches)]
            studies = [examples[index].study for index in batch]
            with self.accelerator.autocast():
                drafts = self.family.draft(self.model, self.built.processor, studies, num_beams=1)
            texts |= {i: draft.report.text for i, draft in zip(batch, drafts, strict=True)}
        for others in gather_object([texts]):
            texts |= others
        measured = self.draft_measures(
            [examples.reports[index].text for index in indices],
            [texts[index] for index in indices],
        )
        return {f"draft_{name}": value for name, value in measured.items()}

    def draft_measures(self, references: Sequence[str], drafts: Sequence[str]) -> dict[str, float]:
        """Return what is measured of validation drafts at a check, by name."""
        metrics = dict.fromkeys(DRAFT_METRICS)
        if not watches_loss(self.stage.watch):
            metrics[self.stage.watch] = None
        language = self.eval_dataset.dataset.card.language
        scores = score(references, drafts, list(metrics), language=language)
        return {name: one.value for name, one in scores.items()}


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
            shutil.rmtree(path, ignore_errors=True)  # another process may be at it too
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def stopped_early(checkpoint: Path | None, patience: int | None) -> Path | None:
    """Return the best checkpoint, if training was to end early at ``checkpoint``; else None.

    A run that was killed right then must not train on: transformers would.
    """
    if checkpoint is None or patience is None:
        return None
    state = _trainer_state(checkpoint)
    kept = state["stateful_callbacks"].get("EarlyStoppingCallback", {}).get("attributes", {})
    if kept.get("early_stopping_patience_counter", 0) < patience:
        return None
    return checkpoint.parent / Path(state["best_model_checkpoint"]).name


def _trainer_state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    return state


def split_batch(stage: Stage, processes: int) -> tuple[int, int]:
    """Return batch size and accumulation steps of each process, for the recipe's whole batch.

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
    """Return the stage's precision; ``auto`` becomes the fastest that this hardware computes in.

    A GPU gets bfloat16 where it knows it, else float16; a processor bfloat16 where it has
    instructions for it (AVX512-BF16, AMX), else float32.

    Raises:
        TrainingError: float16 without a GPU.
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


def run_stage(
    stage: Any,
    *,
    family: Family[Any, Any],
    built: Built,
    training: Examples,
    validation: Examples,
    folder: Path,
    seed: int,
    progress: bool,
    report_to: Sequence[str] = (),
    start: Path | None = None,
    warn: Callable[[str], None] = print,
) -> Mapping[str, torch.Tensor] | None:
    """Train a model in place through ``stage``, resuming from ``folder`` where it holds a part.

    Args:
        stage: of the recipe.
        family: the model's.
        built: the model and its processor.
        training: studies to learn from.
        validation: studies to check on.
        folder: of the stage: checkpoints and history.
        seed: of order and random choices.
        progress: whether to show progress.
        report_to: tools that get the curves, as transformers' Trainer calls them.
        start: where the model that the stage starts from lies, for the divergence from it.
        warn: told what a person should know while the stage runs.

    Returns:
        The weights, where they are spread over processes and had to be gathered; else None.

    Raises:
        TrainingError: the loss became NaN or infinite, or the machine cannot do what is asked.
    """
    precision = resolve_precision(stage)
    batch_size, accumulation = split_batch(stage, PartialState().num_processes)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=stage.epochs,
        max_steps=-1 if stage.reinforcement is None else stage.reinforcement.steps,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=stage.batch_size,
        gradient_accumulation_steps=accumulation,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": stage.minimum_rate},
        warmup_steps=stage.warmup,  # below 1: a share of all steps
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        ddp_find_unused_parameters=True,  # a family may have heads that a stage has no use for
        max_grad_norm=stage.clip_norm,
        eval_strategy="steps",
        eval_steps=stage.check_every,
        save_strategy="steps",
        save_steps=stage.check_every,
        save_total_limit=2,
        load_best_model_at_end=stage.patience is not None,
        metric_for_best_model=_watched(stage),
        greater_is_better=not watches_loss(stage.watch),
        logging_steps=min(50, stage.check_every),
        logging_nan_inf_filter=False,
        restore_callback_states_from_checkpoint=True,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=stage.workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=seed,
        report_to=list(report_to) or "none",
        disable_tqdm=True,
    )
    if arguments.n_gpu > 1:  # without torchrun the Trainer would multiply the batch by the GPUs
        arguments._n_gpu = 1
    sampler = EpochSampler(
        repeat_factors(training.labels, stage.oversample_below),
        [len(report.text) for report in training.reports],
        batch=stage.batch_size * stage.accumulation,
        seed=seed,
    )
    callbacks: list[TrainerCallback] = [CompleteMark(), StopAtNaN(), SetEpoch(sampler, training)]
    if stage.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=stage.patience))
    family.prepare(built.model, stage, training)
    if stage.gradient_checkpointing:
        built.model.gradient_checkpointing_enable({"use_reentrant": False})
        if hasattr(built.model, "peft_config"):  # nothing before the first adapter has a gradient
            built.model.enable_input_require_grads()
    if progress:
        callbacks.append(ShowProgress(stage.name, stage.batch_size * stage.accumulation))
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder.resolve() / "tensorboard"))
    common: dict[str, Any] = {
        "family": family,
        "built": built,
        "stage": stage,
        "sampler": sampler,
        "args": arguments,
        "train_dataset": training,
        "eval_dataset": validation,
        "callbacks": callbacks,
    }
    collate = family.collate(built, stage)
    if stage.reinforcement is None:
        trainer = StageTrainer(data_collator=collate, **common)
    else:
        trainer = _reinforcing(stage, training, start, collate, warn, common)
    trainer.remove_callback(PrinterCallback)
    checkpoint = latest_checkpoint(folder)
    PartialState().wait_for_everyone()
    best = stopped_early(checkpoint, stage.patience)
    if checkpoint is not None and best is not None:
        trainer.state.best_model_checkpoint = str(best)
        trainer._load_best_model()
        history = _trainer_state(checkpoint)["log_history"]
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        history = cast(Any, trainer.state).log_history
    if PartialState().is_main_process:
        write_atomically(folder / HISTORY, json.dumps(history, indent=1))
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return cast(
            Mapping[str, torch.Tensor], trainer.accelerator.get_state_dict(trainer.model_wrapped)
        )
    return None


def _reinforcing(
    stage: Any,
    training: Examples,
    start: Path | None,
    collate: Any,
    warn: Callable[[str], None],
    common: dict[str, Any],
) -> StageTrainer:
    """Return the trainer of a stage that learns from rewards."""
    from plainfilm.training.reinforcement import ReinforcementTrainer

    settings = stage.reinforcement
    rewards = Rewards(
        settings.rewards,
        [report.text for report in training.reports],
        length_guard=settings.length_guard,
        language=training.dataset.card.language,
    )
    reference = None
    if settings.beta and start is not None:
        reference = common["family"].load(start).model.eval().requires_grad_(False)
    return ReinforcementTrainer(
        rewards=rewards, reference=reference, collate=collate, warn=warn, **common
    )


def _watched(stage: Any) -> str:
    """Return the name under which the trainer knows what early stopping watches."""
    return f"eval_{stage.watch}" if watches_loss(stage.watch) else f"eval_draft_{stage.watch}"
