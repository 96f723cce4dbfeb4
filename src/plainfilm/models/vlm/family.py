"""Any vision-language model of transformers' (``AutoModelForImageTextToText``) as a family.

The checkpoint is a local folder as ``save_pretrained`` writes it; its own processor, chat template
and generation stay its own. Whole weights are trained, or an adapter beside them (LoRA, QLoRA),
which is saved alone, with the name and the hash of the base that it belongs to.

Tried on LLaVA-1.5, LLaVA-OneVision, Qwen2.5-VL, Qwen3-VL, Gemma 3, PaliGemma, Idefics3 and SmolVLM.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from plainfilm.core import InputError, ModelError, Provenance, Report, Study, errors_as, one_line
from plainfilm.core.model_folder import OFFLINE, loading
from plainfilm.data.examples import Examples
from plainfilm.models.family import Batch, Built, Draft, Family, Loss
from plainfilm.models.vlm import adapters
from plainfilm.models.vlm.presets import load_preset, preset_names
from plainfilm.models.vlm.processor import (
    CONTEXT_FILE,
    VlmProcessor,
    load_inner,
    placeholder_tokens,
    sizes,
)
from plainfilm.models.vlm.settings import Context, VlmSettings, VlmStage
from plainfilm.text.targets import IGNORED

PARTS = {
    "vision": r"model\.(vision_tower|vision_model|visual)\.",
    "projector": (
        r"model\.(multi_modal_projector\.|connector\.|image_newline|visual\.merger\."
        r"|visual\.deepstack_merger_list\.)"
    ),
    "language": r"(model\.(language_model|text_model)\.|lm_head\.)",
}
"""Part of a model → the beginning of its parameters' names, as transformers' classes have them."""
ADAPTER = "adapter"
"""The part that an adapter is."""


class VlmFamily(Family[VlmSettings, VlmStage]):
    """transformers' vision-language models."""

    settings = VlmSettings
    stage = VlmStage
    model_types = tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """See the base class."""
        model = values.get("model")
        adapter = model.get("adapter") if isinstance(model, dict) else None
        found = []
        for stage in values.get("stages") or ():
            rates = stage.get("learning_rate") if isinstance(stage, dict) else None
            if not isinstance(rates, dict):
                continue
            name = stage.get("name")
            for part in rates:
                if part not in (*PARTS, ADAPTER):
                    found.append(
                        f"stage {name}: this model has no part {part!r}: choose from "
                        f"{', '.join((*PARTS, ADAPTER))} for learning_rate"
                    )
                elif part == ADAPTER and not adapter:
                    found.append(f"stage {name}: learning_rate.adapter needs model.adapter")
                elif part != ADAPTER and adapter and part not in _whole(adapter):
                    found.append(
                        f"stage {name}: {part} is frozen beside an adapter: name it in "
                        "model.adapter.whole, or leave its rate out"
                    )
        return found

    def build(
        self,
        settings: VlmSettings,
        *,
        stages: Sequence[VlmStage],
        views: int,
        training: Examples | None,
        seed: int,
    ) -> Built:
        """See the base class."""
        folder = settings.checkpoint
        with loading(folder, "the checkpoint"):
            model, processor = self._open(
                folder,
                Context.model_validate(settings.model_dump(include=set(Context.model_fields))),
                views,
                getattr(torch, settings.dtype),
                attention=settings.attention,
                quantised=settings.adapter is not None and settings.adapter.kind == "qlora",
            )
        processor.attention, processor.dtype = settings.attention, settings.dtype
        with errors_as(ModelError, "model.generation cannot be set", "correct it"):
            unknown = model.generation_config.update(
                num_beams=settings.num_beams,
                no_repeat_ngram_size=settings.no_repeat_ngram_size,
                **settings.generation,
            )
            if unknown:
                raise ValueError(f"generate() knows no {', '.join(unknown)}")
        if settings.adapter is not None:
            torch.manual_seed(seed)
            model = adapters.add(model, settings.adapter, PARTS, folder)
        return Built(model, processor)

    def load(
        self,
        folder: Path,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
        trainable: bool = False,
        base: Path | None = None,
    ) -> Built:
        """See the base class.

        Args:
            folder: a model folder.
            dtype: of the weights in memory.
            device_map: as transformers takes it.
            trainable: whether an adapter goes on training.
            base: where the base of an adapter lies now, if no longer where it lay.
        """
        if not (folder / CONTEXT_FILE).is_file():
            raise ModelError(
                f"{folder} was not trained here ({CONTEXT_FILE} is missing): name a preset that "
                f"says how it is asked, one of {', '.join(self.presets())}"
            )
        processor = VlmProcessor.from_pretrained(folder, open_config(folder))
        cuda = torch.cuda.is_available()
        if dtype is None and (trainable or cuda):
            dtype = getattr(torch, processor.dtype)
        attention = processor.attention
        if attention is not None and attention.startswith("flash") and not cuda:
            attention = None  # needs a GPU; results differ by rounding alone
        more = {"dtype": dtype, "device_map": device_map, "attention": attention}
        if adapters.is_adapter(folder):
            load_base = partial(_load_weights, **more)
            return Built(adapters.load(folder, load_base, trainable, base), processor)
        return Built(_load_weights(folder, **more), processor)

    def save(
        self, folder: Path, built: Built, *, weights: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """See the base class."""
        folder.mkdir(parents=True, exist_ok=True)
        if adapters.has_adapter(built.model):
            adapters.save(folder, built.model, weights)
        else:
            built.model.save_pretrained(
                folder, state_dict=None if weights is None else dict(weights)
            )
        built.processor.save_pretrained(folder)

    def presets(self) -> tuple[str, ...]:
        """See the base class."""
        return preset_names()

    def open_published(
        self,
        folder: Path,
        preset: str,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
    ) -> tuple[Built, dict[str, Any]]:
        """See the base class."""
        asked = load_preset(preset)
        if asked.needs_code is not None:
            raise ModelError(
                f"{asked.name} can't be opened here: {asked.needs_code}; plainfilm runs no code "
                "from a model's folder"
            )
        with loading(folder):
            found = open_config(folder).model_type
            if found not in asked.model_types:
                raise ModelError(
                    f"{folder} holds a {found!r} model: the preset {preset} is for "
                    f"{', '.join(asked.model_types)}"
                )
            if dtype is None and torch.cuda.is_available():
                dtype = open_config(folder).dtype
            built = self._open(folder, asked.context, asked.views, dtype, device_map=device_map)
        card = {
            "name": preset,
            "family": self.name,
            "domain": str(Provenance.REAL),
            "target": asked.target,
            "language": asked.language,
            "warnings": asked.warnings,
        }
        return built, card

    def _open(
        self,
        folder: Path,
        context: Context,
        views: int,
        dtype: torch.dtype | None,
        *,
        device_map: Any = None,
        attention: str | None = None,
        quantised: bool = False,
    ) -> Built:
        """Open a checkpoint that others trained, to be asked as ``context`` says."""
        config = open_config(folder)
        inner = load_inner(folder, config)
        model = _load_weights(
            folder, dtype=dtype, device_map=device_map, attention=attention, quantised=quantised
        )
        stops = model.generation_config.eos_token_id
        stops = [stops] if isinstance(stops, int) else stops
        processor = VlmProcessor(inner, context, views=views, stops=stops or ())
        _check_vocabulary(model, processor)
        # Drafts are the same every time: what a checkpoint says of chance is left out.
        model.generation_config.update(
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            min_p=None,
            max_length=None,
            max_new_tokens=context.max_report_tokens,
            pad_token_id=processor.tokenizer.pad_token_id,
            eos_token_id=list(processor.stops),
            suppress_tokens=placeholder_tokens(config) or None,
        )
        return Built(model, processor)

    def parts(self, model: Any) -> Mapping[str, str]:
        """See the base class."""
        if not adapters.has_adapter(model):
            return PARTS
        # Beside an adapter only PEFT's own copies of whole parts train, and are saved.
        copies = {part: rf"{name}(?=.*modules_to_save\.)" for part, name in PARTS.items()}
        return copies | {ADAPTER: r".*\.lora_"}

    def counts(self, batch: Batch, stage: VlmStage) -> dict[str, torch.Tensor]:
        """See the base class."""
        return {"report": (batch["labels"] != IGNORED).sum()}

    def losses(self, model: Any, batch: Batch, stage: VlmStage) -> dict[str, Loss]:
        """Return the cross-entropy of the reports' tokens."""
        inputs = dict(batch)
        labels = inputs.pop("labels")
        # Logits are wanted from the token before the first that is learned: those of the films and
        # the prompt are most of a row, and a vocabulary of 150,000 words makes them large.
        learned = (labels != IGNORED).any(dim=0).nonzero()
        first = int(learned[0]) if len(learned) else labels.shape[1] - 1
        kept = labels.shape[1] - first + 1
        logits = _called(model, inputs, use_cache=False, logits_to_keep=kept).logits[:, :-1]
        total = cross_entropy(
            logits.float().flatten(0, 1),
            labels[:, first:].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return {"report": Loss(total, (labels != IGNORED).sum())}

    def draft(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> list[Draft]:
        """See the base class."""
        batch = {name: value.to(model.device) for name, value in processor(studies).items()}
        tokens = _called(model.generate, batch, **generation)
        answers = processor.decode(tokens[:, batch["input_ids"].shape[1] :])
        return [
            Draft(report, tuple(study.films_to_read(processor.views)), warnings=warnings)
            for study, (report, warnings) in zip(studies, answers, strict=True)
        ]

    def rollout(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> tuple[list[Report], Batch]:
        """See the base class."""
        batch = {name: value.to(model.device) for name, value in processor(studies).items()}
        prompt = batch["input_ids"]
        tokens = _called(model.generate, batch, **generation)
        answer = tokens[:, prompt.shape[1] :]
        reports = [report for report, _ in processor.decode(answer)]
        stops = torch.tensor(processor.stops, device=answer.device)
        ended = torch.isin(answer, stops).long()
        written = ended.cumsum(dim=1) - ended == 0
        for name, value in batch.items():  # whatever is told of each token is told of the answer's
            if value.shape == prompt.shape:
                batch[name] = torch.cat([value, torch.zeros_like(answer).to(value.dtype)], dim=1)
        batch["input_ids"] = tokens
        batch["attention_mask"][:, prompt.shape[1] :] = written
        labels = answer.masked_fill(~written, IGNORED)
        batch["labels"] = torch.cat([torch.full_like(prompt, IGNORED), labels], dim=1)
        return reports, batch

    def log_probabilities(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """See the base class."""
        inputs = dict(batch)
        labels = inputs.pop("labels")
        first = int((labels != IGNORED).any(dim=0).nonzero()[0])
        kept = labels.shape[1] - first + 1
        logits = _called(model, inputs, use_cache=False, logits_to_keep=kept).logits[:, :-1]
        labels = labels[:, first:]
        written = labels != IGNORED
        tokens = labels.masked_fill(~written, 0)
        found = logits.float().log_softmax(dim=-1).gather(2, tokens[..., None])[..., 0]
        return found.masked_fill(~written, 0.0), written

    def reads(self, processor: Any) -> frozenset[str]:
        """See the base class."""
        return frozenset({"prior"} if processor.context.prior else ())

    def film_size(self, processor: Any) -> int | None:
        """See the base class."""
        context = processor.context
        return context.image_size if context.square else None


def _whole(adapter: Any) -> Any:
    """Return the parts that a recipe's adapter leaves to be trained as they are."""
    return (adapter.get("whole") if isinstance(adapter, dict) else None) or ()


def open_config(folder: Path) -> PreTrainedConfig:
    """Return a checkpoint's configuration.

    Raises:
        ModelError: the folder holds another kind of model.
    """
    config = AutoConfig.from_pretrained(folder, **OFFLINE)
    if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ModelError(
            f"{folder} holds a {config.model_type!r} model: expected a vision-language model "
            "(LLaVA, Qwen-VL, Gemma 3, PaliGemma, Idefics3 and the like)"
        )
    return config


def _load_weights(
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    device_map: Any = None,
    attention: str | None = None,
    quantised: bool = False,
) -> Any:
    """Return the model in a folder, whole or in four bits."""
    dtype = dtype or torch.float32
    more: dict[str, Any] = {} if attention is None else {"attn_implementation": attention}
    if quantised:
        more["quantization_config"] = adapters.four_bits(dtype)
        if device_map is None and torch.cuda.is_available():
            device_map = {"": torch.cuda.current_device()}
    model = AutoModelForImageTextToText.from_pretrained(
        folder, use_safetensors=True, dtype=dtype, device_map=device_map, **more, **OFFLINE
    )
    if quantised:
        adapters.steady(model)
    return model


def _check_vocabulary(model: Any, processor: VlmProcessor) -> None:
    """Check that tokenizer and weights are of the same checkpoint.

    Raises:
        ModelError: the tokenizer has more words than the weights, or another token for films.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    words = max(processor.tokenizer.get_vocab().values()) + 1
    if words > rows:
        raise ModelError(
            f"the tokenizer has {words} tokens, the weights {rows}: they are not of one checkpoint"
        )
    config = model.config
    told = getattr(config, "image_token_id", None)
    image = getattr(processor.tokenizer, "image_token_id", None)
    image = image if image is not None else getattr(processor.inner, "image_token_id", None)
    if told is not None and image is not None and told != image:
        raise ModelError(
            f"the configuration's image token is {told}, the processor's {image} "
            f"({processor.image_token}): they are not of one checkpoint"
        )


def _called(call: Any, inputs: Mapping[str, Any], **more: Any) -> Any:
    """Call a model; films and placeholders that do not fit are told in one line.

    Raises:
        InputError: the processor wrote another number of placeholders than the films have features.
    """
    try:
        return call(**inputs, **more)
    except ValueError as error:
        if "match" in str(error) and "token" in str(error):
            raise InputError(
                f"the processor's image tokens do not fit the model ({one_line(error)}; inputs "
                f"{sizes(inputs)}): its patch size, feature strategy or number of image tokens is "
                "another than the checkpoint's"
            ) from error
        raise


family = VlmFamily()
