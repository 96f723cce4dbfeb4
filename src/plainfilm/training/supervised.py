"""One training stage, through transformers' Trainer.

What is ours: which parts train at which rate, a loss that does not depend on how a batch is split
into accumulation steps and over processes, frozen parts that keep their batch statistics, class
balance, a NaN that stops the run, and checkpoints that are only resumed from when they were written
to their end.
"""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from plainfilm.core import TrainingError, write_atomically
from plainfilm.data.examples import Examples
from plainfilm.metrics import score
from plainfilm.training.recipe import Precision, Stage
from plainfilm.training.sampling import (
    EpochSampler,
    SetEpoch,
    positive_weights,
    repeat_factors,
)

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


def part_rates(model: PreTrainedModel, rates: dict[str, float]) -> dict[str, float]:
    """Return the peak learning rate of each parameter that trains; the longest prefix decides."""
    prefixes = {prefix: rate for part, rate in rates.items() for prefix in model.parts[part]}
    chosen = {}
    for name, _ in model.named_parameters():
        fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
        if fitting:
            chosen[name] = prefixes[max(fitting, key=len)]
    return chosen


class StageTrainer(Trainer):
    """transformers' Trainer with a rate for each part and the stage's objective."""

    optimizer: torch.optim.Optimizer | None

    def __init__(
        self,
        *,
        stage: Stage,
        sampler: EpochSampler | None = None,
        positive_weights: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        self.stage = stage
        self.sampler = sampler
        self.positive_weights = positive_weights
        super().__init__(**kwargs)
        rates = part_rates(self.model, stage.learning_rate)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in rates)
        self.rates = rates
        self.frozen = list(_frozen_modules(self.model))
        # The loss below divides by the whole batch's counts itself.
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.sampler or super()._get_train_sampler(train_dataset)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW over the parts that train; norms and biases are not decayed."""
        optimizer: torch.optim.Optimizer | None = self.optimizer
        if optimizer is None:
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if name in self.rates:
                    decay = self.stage.weight_decay if name in decayed else 0.0
                    groups.setdefault((self.rates[name], decay), []).append(parameter)
            self.optimizer = optimizer = torch.optim.AdamW(
                [
                    {"params": parameters, "lr": rate, "weight_decay": decay}
                    for (rate, decay), parameters in groups.items()
                ]
            )
        return optimizer

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the stage's loss, the same whether a batch comes whole or in micro-batches."""
        if model.training:
            for module in self.frozen:
                module.eval()  # a frozen backbone keeps its running statistics
        inputs = dict(inputs)
        if self.stage.objective == "labels":
            inputs.pop("labels")
        elif self.stage.objective == "report":
            inputs.pop("observation_labels")
        elif self.stage.objective == "pretraining":
            return self._pretraining_loss(model, inputs, return_outputs, num_items_in_batch)
        outputs = model(**inputs)
        loss = self._reweighted(outputs, inputs)
        if model.training and num_items_in_batch is not None:
            loss = self._micro_batch_loss(outputs, inputs, num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the validation loss; a stage that learns reports logs scores of drafts, too."""
        found: dict[str, float] = super().evaluate(*args, **kwargs)
        if self.stage.check_drafts and "report" in self.stage.objective:
            if self.is_world_process_zero():
                self.log(self._draft_scores())
            PartialState().wait_for_everyone()
        return found

    def _draft_scores(self) -> dict[str, float]:
        """Return the scores of the first validation studies' reports, drafted greedily."""
        examples, processor = self.eval_dataset, self.data_collator.processor
        count = min(self.stage.check_drafts, len(examples))
        references, drafts = [], []
        self.model.eval()
        for first in range(0, count, self.stage.batch_size):
            last = min(first + self.stage.batch_size, count)
            batch = [examples[index] for index in range(first, last)]
            inputs = processor(
                [one["image"] for one in batch], [one["indication"] for one in batch]
            )
            inputs = {name: value.to(self.args.device) for name, value in inputs.items()}
            with self.accelerator.autocast():
                tokens, _ = self.model.draft(**inputs, num_beams=1)
            drafts += [report.text for report in processor.decode_reports(tokens)]
            references += [one["report"].text for one in batch]
        scores = score(references, drafts, DRAFT_METRICS)
        return {f"draft_{name}": one.value for name, one in scores.items()}

    def _pretraining_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool,
        words_in_batch: torch.Tensor | int | None,
    ) -> Any:
        """Return the mean over the batch's hidden words plus the mean over its films."""
        words = (inputs["labels"] != -100).sum()
        inputs["text_labels"] = inputs.pop("labels")
        outputs = model(**inputs, attention=self.stage.attention)
        loss = outputs.loss
        if model.training and words_in_batch is not None:
            share = words * self.accelerator.num_processes / words_in_batch
            films = outputs.matching_loss / self.current_gradient_accumulation_steps
            loss = outputs.token_loss * share + films
        return (loss, outputs) if return_outputs else loss

    def _reweighted(self, outputs: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss with the observations' weights, which replace the model's label loss."""
        if self.positive_weights is None or outputs.label_loss is None:
            return cast(torch.Tensor, outputs.loss)
        targets = inputs["observation_labels"]
        known = ~targets.isnan()
        outputs.label_loss = binary_cross_entropy_with_logits(
            outputs.label_logits.float()[known],
            targets[known],
            pos_weight=self.positive_weights.to(targets.device).expand_as(targets)[known],
        )
        if outputs.report_loss is None:
            return cast(torch.Tensor, outputs.label_loss)
        weight = self.model.config.label_loss_weight
        return cast(torch.Tensor, outputs.report_loss + weight * outputs.label_loss)

    def _micro_batch_loss(
        self, outputs: Any, inputs: dict[str, torch.Tensor], tokens_in_batch: torch.Tensor | int
    ) -> torch.Tensor:
        """Return this process's part of the loss; gradients are averaged over the processes."""
        loss = torch.zeros((), device=outputs.loss.device)
        if outputs.report_loss is not None:
            tokens = (inputs["labels"] != -100).sum() * self.accelerator.num_processes
            loss = loss + outputs.report_loss * tokens / tokens_in_batch
        if outputs.label_loss is not None:
            weight = 1.0 if outputs.report_loss is None else self.model.config.label_loss_weight
            loss = loss + weight * outputs.label_loss / self.current_gradient_accumulation_steps
        return loss


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
    stage: Stage,
    *,
    model: PreTrainedModel,
    training: Examples,
    validation: Examples,
    collate: Any,
    folder: Path,
    seed: int,
    progress: bool,
) -> None:
    """Train ``model`` in place through ``stage``, resuming from ``folder`` where it holds a part.

    Raises:
        TrainingError: the loss became NaN or infinite, or the machine cannot do what is asked.
    """
    precision = resolve_precision(stage)
    batch_size, accumulation = split_batch(stage, PartialState().num_processes)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=stage.epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=stage.batch_size,
        gradient_accumulation_steps=accumulation,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": stage.minimum_rate},
        warmup_steps=stage.warmup,  # below 1: a share of all steps
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        ddp_find_unused_parameters=(
            stage.objective not in ("report", "report+labels")
            or model.pretraining_heads is not None  # heads that this stage has no use for
        ),
        eval_strategy="steps",
        eval_steps=stage.check_every,
        save_strategy="steps",
        save_steps=stage.check_every,
        save_total_limit=2,
        load_best_model_at_end=stage.patience is not None,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=min(50, stage.check_every),
        logging_nan_inf_filter=False,
        restore_callback_states_from_checkpoint=True,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=seed,
        report_to="none",
        disable_tqdm=not progress,
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
    trainer = StageTrainer(
        stage=stage,
        sampler=sampler,
        positive_weights=positive_weights(training.labels, stage.positive_weights),
        model=model,
        args=arguments,
        train_dataset=training,
        eval_dataset=validation,
        data_collator=collate,
        callbacks=callbacks,
    )
    checkpoint = latest_checkpoint(folder)
    PartialState().wait_for_everyone()
    best = stopped_early(checkpoint, stage.patience)
    if checkpoint is not None and best is not None:
        weights = load_file(best / "model.safetensors")
        model.load_state_dict(weights, strict=False)  # tied weights are stored once
        history = _trainer_state(checkpoint)["log_history"]
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        history = cast(Any, trainer.state).log_history
    if PartialState().is_main_process:
        write_atomically(folder / HISTORY, json.dumps(history, indent=1))
