"""LLaVA with more inputs to its projector, as a family (ASaRG).

The tower and the language model are a checkpoint's, or put together; the fusion is chosen by the
recipe (``fusion.py``). The rest is what all families share that are asked in words.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoConfig, PreTrainedConfig

from plainfilm.core import OBSERVATIONS, InputError, ModelError, Observation, Study
from plainfilm.core.model_folder import OFFLINE, loading, read_json
from plainfilm.data.examples import Example, Examples
from plainfilm.models.conversation import adapters
from plainfilm.models.conversation.base import (
    PARTS,
    ConversationFamily,
    draft_settings,
    known_columns,
    load_weights,
)
from plainfilm.models.conversation.processor import CONTEXT_FILE
from plainfilm.models.family import Batch, Built, Draft, Loss
from plainfilm.models.llava import FusedLlava, FusedLlavaConfig, FusedOnevisionConfig
from plainfilm.models.llava.classification import targets
from plainfilm.models.llava.frozen import keep_tokens
from plainfilm.models.llava.fusion_values import fusion_values
from plainfilm.models.llava.modeling_llava import fused_tokens
from plainfilm.models.llava.parts import put_together
from plainfilm.models.llava.processing_llava import FilmProcessor, fused_processor
from plainfilm.models.llava.settings import Classification, LlavaSettings, LlavaStage
from plainfilm.text.targets import IGNORED

_CONFIGS: Mapping[str, type[PreTrainedConfig]] = {
    "llava": FusedLlavaConfig,
    "llava_onevision": FusedOnevisionConfig,
    "plainfilm_llava": FusedLlavaConfig,
    "plainfilm_onevision": FusedOnevisionConfig,
}
"""Type of a checkpoint → the configuration that it gets here."""
_FILMS = ("pixel_values", "image_sizes", "batch_num_images", "image_features")
"""What of a batch the tower and its classifier read."""
_OWN = ("model_type", "architectures", "transformers_version", "auto_map", "fusion", "label_count",
        "classification")  # fmt: skip


class LlavaFamily(ConversationFamily[LlavaSettings, LlavaStage]):
    """LLaVA-1.5 and LLaVA-OneVision that read a specialist's feature and maps."""

    settings = LlavaSettings
    stage = LlavaStage
    model_types = ("plainfilm_llava", "plainfilm_onevision")
    model_parts: Mapping[str, str] = PARTS | {
        "fusion": r"model\.fusion\.",
        "label_head": r"model\.label_head\.",
        "classification_head": r"model\.classification_head\.",
        "balance": r"model\.classification_head\.(.*\.)?log_variances",
    }
    inner_parts: Mapping[str, str] = {"balance": "classification_head"}
    processor = FilmProcessor

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """See the base class."""
        found = super().problems(values)
        model = values.get("model")
        fused = isinstance(model, dict) and model.get("fusion")
        begun = not isinstance(model, dict) or model.get("checkpoint")
        stages = [stage for stage in values.get("stages") or () if isinstance(stage, dict)]
        for stage in stages:
            rates = stage.get("learning_rate")
            rates = rates if isinstance(rates, dict) else {}
            name = stage.get("name")
            if "fusion" in rates and not fused:
                found.append(f"stage {name}: learning_rate.fusion needs model.fusion")
            objectives = stage.get("objectives") or ()
            learned = stage.get("observation_weight") == "learned"
            headless = not begun and not model.get("classification")  # type: ignore[union-attr]
            if "observations" in objectives and headless:
                found.append(f"stage {name}: the objective observations needs model.classification")
            if learned and ("balance" not in rates or {"report", "observations"} - set(objectives)):
                found.append(
                    f"stage {name}: observation_weight: learned needs the objectives report and "
                    "observations, and learning_rate.balance"
                )
            if "balance" in rates and not learned:
                found.append(
                    f"stage {name}: learning_rate.balance needs observation_weight: learned"
                )
            if "label_head" in rates and "labels" not in objectives:
                found.append(
                    f"stage {name}: learning_rate.label_head needs labels among the objectives"
                )
        return found

    def build(
        self,
        settings: LlavaSettings,
        *,
        stages: Sequence[LlavaStage],
        views: int,
        training: Examples | None,
        seed: int,
    ) -> Built:
        """See the base class."""
        fusion = None if settings.fusion is None else fusion_values(settings.fusion.values())
        labels = len(OBSERVATIONS) if any("labels" in one.objectives for one in stages) else 0
        head = None if settings.classification is None else settings.classification.values()
        folder = settings.checkpoint
        model: Any
        if folder is None:
            model, inner = put_together(settings, fusion, labels, training, seed, head)
            stops: Any = ()
        else:
            with loading(folder, "the checkpoint"):
                config = fused_config(folder, fusion, labels, head)
                inner = fused_processor(folder, config)
                torch.manual_seed(seed)
                model = load_weights(
                    folder,
                    config=config,
                    dtype=getattr(torch, settings.dtype),
                    attention=settings.attention,
                    quantised=settings.adapter is not None and settings.adapter.kind == "qlora",
                )
            stops = model.generation_config.eos_token_id or ()
            stops = [stops] if isinstance(stops, int) else stops
        if model.config.classification is None and any(
            "observations" in one.objectives for one in stages
        ):
            raise ModelError(
                f"the objective observations needs a classification head, and {folder} has none: "
                "give model.classification"
            )
        inner.added_image_tokens = fused_tokens(model.config)
        context = known_columns(settings.context, training)
        if context.image_size is None:
            context = context.model_copy(update={"image_size": _film_size(model.config, folder)})
        processor = FilmProcessor(
            inner, context, views=views, stops=stops, fusion=settings.fusion,
            classification=settings.classification, agreement=settings.agreement,
        )  # fmt: skip
        draft_settings(model, processor)
        return self.configure(Built(model, processor), settings, folder, seed)

    def base_config(self, folder: Path) -> PreTrainedConfig | None:
        """See the base class: a published LLaVA has no fusion of its own."""
        values = read_json(folder / "config.json")
        values.pop("quantization_config", None)
        kind = _CONFIGS[values.pop("model_type")]
        return kind(**values)

    def collate(
        self, built: Built, stage: LlavaStage | None
    ) -> Callable[[Sequence[Example]], Batch]:
        """See the base class; with ``observations`` where a stage learns labels of films, and with
        ``observation_labels`` ``(studies, observations)`` where the head learns."""
        batched = super().collate(built, stage)
        objectives = () if stage is None else stage.objectives
        head = built.processor.classification or Classification()

        def with_labels(examples: Sequence[Example]) -> Batch:
            batch = dict(batched(examples))
            if "labels" in objectives:
                # The labels of each film; those of an earlier study's are not known.
                labels = [
                    example.labels if study is example.study else example.labels * torch.nan
                    for example in examples
                    for study, _ in built.processor.placed(example.study)
                ]
                batch["observations"] = torch.stack(labels).float()
            if "observations" in objectives:
                batch["observation_labels"] = targets(
                    [example.statuses for example in examples],
                    classified(built.model), head.uncertain, head.unmentioned,
                )  # fmt: skip
            return batch

        return with_labels

    def keep_frozen(
        self, built: Built, stage: Any, examples: Sequence[Examples], folder: Path
    ) -> None:
        """See the base class: the tower's tokens are kept."""
        if "vision" in stage.learning_rate:
            raise InputError("keep_frozen: the tower trains in this stage: leave keep_frozen out")
        model = built.model
        if adapters.has_adapter(model):
            if any(".vision_tower." in name and ".lora_" in name for name, _ in
                   model.named_parameters()):  # fmt: skip
                raise InputError("keep_frozen: the adapter changes the tower: leave it out")
            model = model.get_base_model()
        if not isinstance(model, FusedLlava):
            raise InputError("keep_frozen: LLaVA-OneVision's tiles are not kept: leave it out")
        limit = int(stage.frozen_gib * 2**30)
        built.processor.kept = keep_tokens(model, built.processor, examples, folder, limit)

    def writes(self, stage: LlavaStage) -> bool:
        """See the base class."""
        return "report" in stage.objectives

    def counts(self, batch: Batch, stage: LlavaStage) -> dict[str, torch.Tensor]:
        """See the base class."""
        found: dict[str, torch.Tensor] = {}
        if set(stage.objectives) & {"report", "language"}:
            found |= super().counts(batch, stage)
        if "labels" in stage.objectives:
            found["labels"] = (~batch["observations"].isnan()).sum()
        if _learns_observations(stage):
            found["observations"] = (~batch["observation_labels"].isnan()).sum()
        if stage.observation_weight == "learned":
            found["balance"] = torch.tensor(len(batch["observation_labels"]))
        return found

    def losses(self, model: Any, batch: Batch, stage: LlavaStage) -> dict[str, Loss]:
        """Return the losses of the stage's objectives, by name.

        ``report``: cross-entropy of the report's tokens; ``labels`` and ``observations``: binary
        cross-entropy of those that are known; ``balance``: what keeps learned variances small.
        """
        inputs = dict(batch)
        observations = inputs.pop("observations", None)
        told = inputs.pop("observation_labels", None)
        found: dict[str, Loss] = {}
        if observations is not None:
            films = {name: inputs[name] for name in _FILMS if name in inputs}
            logits = model(**films, labels_of_films=True).logits
            found["labels"] = _binary(logits, observations, 1.0)
        if "language" in stage.objectives:
            config = getattr(model, "module", model).config
            films = inputs["input_ids"] == config.image_token_id
            inputs = {name: inputs[name] for name in ("input_ids", "labels")} | {
                "attention_mask": inputs["attention_mask"] * ~films
            }
        learned = _learns_observations(stage)
        if set(stage.objectives) & {"report", "language"}:
            more = {"prompt_mask": prompt_mask(inputs)} if learned else {}
            report, output = self.report_loss(model, inputs, **more)
            found["report"] = report
        elif learned:  # no token of the report is needed: the prompts alone are run
            output = model(**prompts(inputs), use_cache=False, logits_to_keep=1)
        if learned:
            weights: Sequence[float | torch.Tensor] = (
                (1.0, float(stage.observation_weight))
                if stage.observation_weight != "learned"
                else (-output.log_variances).exp()
            )
            if "report" in found:
                found["report"] = found["report"]._replace(weight=weights[0])
            found["observations"] = _binary(output.observation_logits, told, weights[1])
        if stage.observation_weight == "learned":
            studies = torch.tensor(len(told), device=told.device)
            found["balance"] = Loss(output.log_variances.sum() / 2 * studies, studies)
        return found

    def draft(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> list[Draft]:
        """See the base class; with the head's probabilities where there is one.

        With ``agreement`` (the recipe's, or given here) and several beams, each draft comes with
        all of its beams as candidates.
        """
        names = classified(model)
        if not names:
            return super().draft(model, processor, studies, **generation)
        agreement = float(generation.pop("agreement", processor.agreement))
        batch = {name: value.to(model.device) for name, value in processor(studies).items()}
        with torch.no_grad():
            output = model(
                **batch, prompt_mask=batch["attention_mask"], use_cache=False, logits_to_keep=1
            )
        chances = output.observation_logits.float().sigmoid().tolist()
        beams = int(generation.get("num_beams", model.generation_config.num_beams) or 1)
        ranked = agreement > 0 and beams > 1
        several = {"num_return_sequences": beams, "return_dict_in_generate": True,
                   "output_scores": True} if ranked else {}  # fmt: skip
        written = self.written(model, processor, batch, **generation, **several)
        each = beams if ranked else 1
        found = []
        for place, study in enumerate(studies):
            texts = written[place * each : (place + 1) * each]
            report, _, warnings = texts[0]
            found.append(
                Draft(
                    report,
                    tuple(study.films_to_read(processor.views)),
                    probabilities=dict(zip(names, chances[place], strict=True)),
                    warnings=warnings,
                    candidates=tuple(texts) if ranked else (),
                    agreement=agreement if ranked else 0.0,
                )
            )
        return found

    def ranks_beams(self, model: Any) -> bool:
        """See the base class: with a classification head."""
        return bool(classified(model))

    def reads(self, processor: Any) -> frozenset[str]:
        """See the base class."""
        found = set(super().reads(processor))
        fusion = processor.fusion
        if fusion is not None and fusion.features is not None:
            found.add(f"features/{fusion.features.name}")
        if fusion is not None and fusion.maps is not None:
            found.add(f"maps/{fusion.maps.source}")
        return frozenset(found)


def _film_size(config: PreTrainedConfig, checkpoint: Path | None) -> int | None:
    """Return the side of the square into which films are fitted where a recipe does not say.

    A tower that is put together here sees films as plainfilm fits them; a checkpoint as it was
    trained; a published one as its own processor does.
    """
    if checkpoint is None:
        return int(config.vision_config.image_size)
    if not (checkpoint / CONTEXT_FILE).is_file():
        return None
    found: int | None = read_json(checkpoint / CONTEXT_FILE)["context"].get("image_size")
    return found


def prompt_mask(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return where a training batch's prompts are, ``(batch, tokens)``: before all that is learned.

    A chat's later questions are not learned either, but they have seen the answers before them.
    """
    learned = (inputs["labels"] != IGNORED).cumsum(dim=1) > 0
    return inputs["attention_mask"] * ~learned


def prompts(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a training batch without its answers, and with the ``prompt_mask``."""
    prompt = prompt_mask(inputs)
    longest = int(prompt.sum(dim=1).max())  # answers follow, and padding is on the right
    found = {}
    for name, value in inputs.items():
        if name != "labels":
            found[name] = value[:, :longest] if value.shape == prompt.shape else value
    cut = prompt[:, :longest]
    return found | {"attention_mask": cut, "prompt_mask": cut}


def classified(model: Any) -> list[Observation]:
    """Return what a model's classification head tells; nothing without one."""
    values = getattr(model, "module", model).config.classification
    return [] if values is None else [Observation(name) for name in values["observations"]]


def _learns_observations(stage: LlavaStage) -> bool:
    return "observations" in stage.objectives and stage.observation_weight != 0


def _binary(logits: torch.Tensor, labels: torch.Tensor, weight: float | torch.Tensor) -> Loss:
    """Return the binary cross-entropy of the labels that are known."""
    known = ~labels.isnan()
    total = binary_cross_entropy_with_logits(logits.float()[known], labels[known], reduction="sum")
    return Loss(total, known.sum(), weight)


def fused_config(
    folder: Path,
    fusion: dict[str, Any] | None,
    labels: int,
    classification: dict[str, Any] | None = None,
) -> PreTrainedConfig:
    """Return a LLaVA checkpoint's configuration with a fusion and a classification head.

    Raises:
        ModelError: the folder holds another kind of model.
    """
    config = AutoConfig.from_pretrained(folder, **OFFLINE)
    kind = _CONFIGS.get(config.model_type)
    if kind is None:
        raise ModelError(
            f"{folder} holds a {config.model_type!r} model: expected LLaVA-1.5 or LLaVA-OneVision"
        )
    values = {name: value for name, value in config.to_dict().items() if name not in _OWN}
    labels = labels or getattr(config, "label_count", 0)
    classification = classification or getattr(config, "classification", None)
    before = getattr(config, "fusion", None)
    if before and fusion:
        differing = [name for name in before if name not in ("kind", "weight")
                     and before[name] != fusion[name]]  # fmt: skip
        if differing:
            raise ModelError(
                f"{folder} was trained with other {', '.join(differing)} than the recipe's "
                "model.fusion has: give the same, or begin with a checkpoint without a fusion"
            )
    return kind(**values, fusion=fusion, label_count=labels, classification=classification)


family = LlavaFamily()
