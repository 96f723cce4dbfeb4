"""A throw-away family: a linear layer on a thumbnail picks one of the training reports."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel

from plainfilm.core import Report
from plainfilm.models.family import Built, Draft, Family, Loss, ModelSettings
from plainfilm.vision.preparation import letterbox, read_images

SIDE = 8


class ToySettings(ModelSettings):
    reports: int = 20


class ToyConfig(PreTrainedConfig):
    model_type = "toy"

    def __init__(self, texts: list[list[str]] | None = None, **kwargs: Any) -> None:
        self.texts = texts or [["", ""]]
        super().__init__(**kwargs)


class ToyModel(PreTrainedModel):
    config_class = ToyConfig
    parts = {"all": "pick"}  # noqa: RUF012

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.pick = torch.nn.Linear(SIDE * SIDE, len(config.texts))
        self.post_init()

    def forward(self, pixels: torch.Tensor, chosen: torch.Tensor) -> Loss:
        total = torch.nn.functional.cross_entropy(self.pick(pixels), chosen, reduction="sum")
        return Loss(total, torch.tensor(len(chosen)))


class ToyProcessor:
    def __init__(self, texts: list[list[str]]) -> None:
        self.texts = texts

    def __call__(self, studies: Any, reports: Any = None, rngs: Any = None) -> dict[str, Any]:
        films = [letterbox(read_images(study, 1)[0].pixels, SIDE).ravel() for study in studies]
        batch = {"pixels": torch.from_numpy(np.stack(films))}
        if reports is not None:
            known = [[report.findings, report.impression] for report in reports]
            places = [self.texts.index(text) if text in self.texts else 0 for text in known]
            batch["chosen"] = torch.tensor(places)
        return batch

    def save_pretrained(self, folder: Path) -> None:
        """Nothing: the texts stand in the configuration."""


class ToyFamily(Family):
    settings = ToySettings
    model_types = ("toy",)

    def build(self, settings: Any, *, stages: Any, views: int, training: Any, seed: int) -> Built:
        torch.manual_seed(seed)
        chosen = training.reports[: settings.reports]
        texts = [[report.findings, report.impression] for report in chosen]
        return Built(ToyModel(ToyConfig(texts)), ToyProcessor(texts))

    def load(self, folder: Path, *, dtype: Any = None, device_map: Any = None, trainable=False):
        model = ToyModel.from_pretrained(folder, dtype=dtype or torch.float32)
        return Built(model, ToyProcessor(model.config.texts))

    def counts(self, batch: Any, stage: Any) -> dict[str, torch.Tensor]:
        return {"pick": torch.tensor(len(batch["chosen"]))}

    def losses(self, model: Any, batch: Any, stage: Any) -> dict[str, Loss]:
        return {"pick": model(**batch)}

    def draft(self, model: Any, processor: Any, studies: Any, **generation: Any) -> list[Draft]:
        chosen = model.pick(processor(studies)["pixels"].to(model.device)).argmax(dim=1)
        texts = [processor.texts[place] for place in chosen.tolist()]
        return [Draft(Report(findings=f, impression=i), (0,)) for f, i in texts]


family = ToyFamily()
