"""Progress display of a stage: a progress bar, and a line at each check."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class ShowProgress(TrainerCallback):
    """Shows steps, loss and remaining time on standard error, in the first process only."""

    def __init__(self, stage: str, studies_per_step: int) -> None:
        self.stage = stage
        self.studies_per_step = studies_per_step
        self.bar: Progress | None = None
        self.loss = ""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the progress bar."""
        if not state.is_world_process_zero:
            return
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f} of {task.total:.0f}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.task = self.bar.add_task(
            self.stage, total=state.max_steps, completed=state.global_step
        )
        self.since, self.from_step = time.monotonic(), state.global_step
        self.bar.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Advance the progress bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss beside the bar; a check is printed on its own line."""
        if self.bar is None or not logs:
            return
        if "loss" in logs:
            self.bar.update(self.task, description=f"{self.stage}: loss {logs['loss']:.3f}")
        if "eval_loss" in logs:
            seconds = max(time.monotonic() - self.since, 1e-9)
            speed = (state.global_step - self.from_step) * self.studies_per_step / seconds
            self.bar.console.print(
                f"{self.stage}, step {state.global_step} of {state.max_steps}, epoch "
                f"{state.epoch or 0:.2f}: validation loss {logs['eval_loss']:.3f}, "
                f"{speed:.1f} studies a second",
                highlight=False,
            )
        drafts = {name: value for name, value in logs.items() if name.startswith("draft_")}
        if drafts:
            said = ", ".join(f"{name[6:]} {value:.3f}" for name, value in drafts.items())
            self.bar.console.print(f"{self.stage}, drafts of validation studies: {said}",
                                   highlight=False)  # fmt: skip

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Remove the progress bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
