"""Running one stage of a recipe, from its start or from a checkpoint."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import PartialState
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)

from plainfilm.core import write_atomically
from plainfilm.data.examples import Examples
from plainfilm.metrics.models import load_models
from plainfilm.models.family import Built, Family
from plainfilm.training.progress import ShowProgress
from plainfilm.training.recipe import watches_loss
from plainfilm.training.reinforcement import ReinforcementTrainer
from plainfilm.training.rewards import Rewards
from plainfilm.training.sampling import EpochSampler, SetEpoch, repeat_factors
from plainfilm.training.supervised import (
    HISTORY,
    CompleteMark,
    StageTrainer,
    StopAtNaN,
    latest_checkpoint,
    resolve_precision,
    split_batch,
    stopped_early,
    trainer_state,
)


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
    """Train a model in place in one stage, resuming from a checkpoint in ``folder``, if any.

    Args:
        stage: the recipe's stage.
        family: the model's family.
        built: the model and its processor.
        training: studies to learn from.
        validation: studies to check on.
        folder: the stage's folder, for checkpoints and history.
        seed: random seed for the order of studies and all random draws.
        progress: whether to show progress.
        report_to: tools that receive the curves, by transformers' names.
        start: folder of the model that the stage starts from, for the KL divergence from it.
        warn: called with warnings for the user.

    Returns:
        The weights, if they were sharded over processes and had to be gathered; else None.

    Raises:
        TrainingError: the loss became NaN or infinite, or the machine does not support the stage's
            settings.
    """
    precision = resolve_precision(stage)
    batch_size, accumulation = split_batch(stage, PartialState().num_processes)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=stage.epochs,
        max_steps=(stage.reinforcement and stage.reinforcement.steps) or -1,
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
        eval_on_start=stage.reinforcement is not None,  # what drafts were like before
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
        repeat_factors(training.labels, stage.oversample_below) * training.weights,
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
        history = trainer_state(checkpoint)["log_history"]
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
    settings = stage.reinforcement
    rewards = Rewards(
        settings.rewards,
        [report.text for report in training.reports],
        length_guard=settings.length_guard,
        language=training.dataset.card.language,
        models=load_models(settings.models),
    )
    rewards(["No effusion."], ["No effusion."], [False])  # what cannot be computed is said now
    reference = None
    if settings.beta and start is not None:
        reference = common["family"].load(start).model.eval().requires_grad_(False)
    return ReinforcementTrainer(
        rewards=rewards, reference=reference, collate=collate, warn=warn, **common
    )


def _watched(stage: Any) -> str:
    """Return the trainer's name of the quantity that early stopping watches."""
    return f"eval_{stage.watch}" if watches_loss(stage.watch) else f"eval_draft_{stage.watch}"
