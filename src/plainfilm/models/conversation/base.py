"""What families that are asked for a report in words share.

A checkpoint is a local folder as ``save_pretrained`` writes it; its own processor, chat template
and generation stay its own. Whole weights are trained, or an adapter beside them (LoRA, QLoRA),
which is saved alone, with the name and the hash of the base that it belongs to.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig

from plainfilm.core import InputError, ModelError, Report, Study, errors_as, one_line
from plainfilm.core.model_folder import OFFLINE
from plainfilm.data.examples import Example, Examples
from plainfilm.models.conversation import adapters
from plainfilm.models.conversation.processor import (
    CONTEXT_FILE,
    ConversationProcessor,
    load_inner,
    placeholder_tokens,
    sizes,
)
from plainfilm.models.conversation.settings import Asked, Context
from plainfilm.models.family import (
    Batch,
    Built,
    Candidate,
    Draft,
    Family,
    Loss,
    Settings,
    Stage,
)
from plainfilm.text.clinical_table import value_columns
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


class ConversationFamily(Family[Settings, Stage]):
    """A family whose models are asked for a report in words."""

    model_parts: Mapping[str, str] = PARTS
    """Part of a model → the beginning of its parameters' names, without an adapter."""
    inner_parts: Mapping[str, str] = {}
    """Part → the part that it lies in, and is saved with."""
    processor: type[ConversationProcessor] = ConversationProcessor

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """See the base class."""
        model = values.get("model")
        adapter = model.get("adapter") if isinstance(model, dict) else None
        found = [
            f"model.adapter.whole: this model has no part {part!r}: choose from "
            f"{', '.join(self.model_parts)}"
            for part in _whole(adapter)
            if part not in self.model_parts
        ]
        for stage in values.get("stages") or ():
            rates = stage.get("learning_rate") if isinstance(stage, dict) else None
            if not isinstance(rates, dict):
                continue
            name = stage.get("name")
            for part in rates:
                if part not in (*self.model_parts, ADAPTER):
                    found.append(
                        f"stage {name}: this model has no part {part!r}: choose from "
                        f"{', '.join((*self.model_parts, ADAPTER))} for learning_rate"
                    )
                elif part == ADAPTER and not adapter:
                    found.append(f"stage {name}: learning_rate.adapter needs model.adapter")
                elif (
                    part != ADAPTER
                    and adapter
                    and (self.inner_parts.get(part, part) not in _whole(adapter))
                ):
                    found.append(
                        f"stage {name}: {part} is frozen beside an adapter: name it in "
                        "model.adapter.whole, or leave its rate out"
                    )
        return found

    def configure(self, built: Built, settings: Asked, base: Path | None, seed: int) -> Built:
        """Return a model that generates as a recipe says, with the adapter that it asks for.

        Args:
            built: model and processor.
            settings: the recipe's ``model``.
            base: where the model's weights lie, for an adapter to refer to.
            seed: what an adapter's weights are drawn from.

        Raises:
            ModelError: ``generate()`` knows no such argument, or the adapter fits no layer.
        """
        model, processor = built
        processor.attention, processor.dtype = settings.attention, settings.dtype
        with errors_as(ModelError, "model.generation cannot be set", "correct it"):
            unknown = model.generation_config.update(
                num_beams=settings.num_beams,
                no_repeat_ngram_size=settings.no_repeat_ngram_size,
                **settings.generation,
            )
            if unknown:
                raise ValueError(f"generate() knows no {', '.join(unknown)}")
        if settings.adapter is not None and base is not None:
            torch.manual_seed(seed)
            parts = {
                name: one for name, one in self.model_parts.items() if name not in self.inner_parts
            }
            model = adapters.add(model, settings.adapter, parts, base)
        return Built(model, processor)

    def load(
        self,
        folder: Path,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
        trainable: bool = False,
        base: Path | None = None,
        merged: bool = False,
    ) -> Built:
        """See the base class.

        Args:
            folder: a model folder.
            dtype: of the weights in memory.
            device_map: as transformers takes it.
            trainable: whether an adapter goes on training.
            base: where the base of an adapter lies now, if no longer where it lay.
            merged: whether an adapter is added to its base's weights, for good.
        """
        if not (folder / CONTEXT_FILE).is_file():
            raise ModelError(
                f"{folder} was not trained here ({CONTEXT_FILE} is missing): name a preset that "
                f"says how it is asked, one of {', '.join(self.presets())}"
            )
        processor = self.processor.from_pretrained(folder, self.open_config(folder))
        cuda = torch.cuda.is_available()
        if dtype is None and (trainable or cuda):
            dtype = getattr(torch, processor.dtype)
        attention = processor.attention
        if attention is not None and attention.startswith("flash") and not cuda:
            attention = None  # needs a GPU; results differ by rounding alone
        more = {"dtype": dtype, "device_map": device_map, "attention": attention}
        if adapters.is_adapter(folder):
            load_base = partial(load_weights, config=self.base_config(folder), **more)
            found = adapters.load(folder, load_base, trainable, base, merged)
            return Built(found, processor)
        return Built(load_weights(folder, **more), processor)

    def merge(self, folder: Path) -> Built:
        """See the base class."""
        if not adapters.is_adapter(folder):
            raise InputError(f"{folder} holds no adapter: there is nothing to merge")
        return self.load(folder, merged=True)

    def base_config(self, folder: Path) -> PreTrainedConfig | None:
        """Return the configuration that an adapter's base is loaded with; None for its own.

        Args:
            folder: with the adapter.
        """
        return None

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

    def open_checkpoint(
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
        config = self.open_config(folder)
        inner = load_inner(folder, config)
        model = load_weights(
            folder, dtype=dtype, device_map=device_map, attention=attention, quantised=quantised
        )
        stops = model.generation_config.eos_token_id
        stops = [stops] if isinstance(stops, int) else stops
        processor = self.processor(inner, context, views=views, stops=stops or ())
        draft_settings(model, processor)
        return Built(model, processor)

    def open_config(self, folder: Path) -> PreTrainedConfig:
        """Return a checkpoint's configuration.

        Raises:
            ModelError: the folder holds another kind of model.
        """
        config = AutoConfig.from_pretrained(folder, **OFFLINE)
        if config.model_type not in self.model_types:
            raise ModelError(
                f"{folder} holds a {config.model_type!r} model: expected a vision-language model "
                "(LLaVA, Qwen-VL, Gemma 3, PaliGemma, Idefics3 and the like)"
            )
        return config

    def collate(self, built: Built, stage: Stage | None) -> Callable[[Sequence[Example]], Batch]:
        """See the base class."""
        batched = super().collate(built, stage)
        share = getattr(stage, "chat_share", 0.0)

        def with_chats(examples: Sequence[Example]) -> Batch:
            built.processor.chat_share = share
            return batched(examples)

        return with_chats

    def parts(self, model: Any) -> Mapping[str, str]:
        """See the base class."""
        if not adapters.has_adapter(model):
            return self.model_parts
        # Beside an adapter only PEFT's own copies of whole parts train, and are saved.
        copies = {
            part: rf"(?=.*modules_to_save\.){name}" for part, name in self.model_parts.items()
        }
        return copies | {ADAPTER: r".*\.lora_"}

    def counts(self, batch: Batch, stage: Stage) -> dict[str, torch.Tensor]:
        """See the base class."""
        return {"report": (batch["labels"] != IGNORED).sum()}

    def losses(self, model: Any, batch: Batch, stage: Stage) -> dict[str, Loss]:
        """Return the cross-entropy of the reports' tokens."""
        return {"report": self.report_loss(model, batch)[0]}

    def report_loss(self, model: Any, batch: Batch, **more: Any) -> tuple[Loss, Any]:
        """Return the cross-entropy of the reports' tokens, and the model's output.

        Args:
            model: the model.
            batch: with ``labels``.
            more: passed to the model.
        """
        inputs = dict(batch)
        labels = inputs.pop("labels")
        # Logits are wanted from the token before the first that is learned: those of the films and
        # the prompt are most of a row, and a vocabulary of 150,000 words makes them large.
        learned = (labels != IGNORED).any(dim=0).nonzero()
        first = int(learned[0]) if len(learned) else labels.shape[1] - 1
        kept = labels.shape[1] - first + 1
        output = _called(model, inputs, use_cache=False, logits_to_keep=kept, **more)
        total = cross_entropy(
            output.logits[:, :-1].float().flatten(0, 1),
            labels[:, first:].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return Loss(total, (labels != IGNORED).sum()), output

    def draft(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> list[Draft]:
        """See the base class."""
        batch = {name: value.to(model.device) for name, value in processor(studies).items()}
        written = self.written(model, processor, batch, **generation)
        return [
            Draft(
                one.report,
                tuple(study.films_to_read(processor.views)),
                probabilities={
                    told.observation: told.probability
                    for told in one.report.evidence
                    if told.probability is not None
                },
                warnings=one.warnings,
            )
            for study, one in zip(studies, written, strict=True)
        ]

    def written(
        self, model: Any, processor: Any, batch: Batch, **generation: Any
    ) -> list[Candidate]:
        """Return what a model writes for a batch; the score is known for beams that return it."""
        made = _called(model.generate, batch, **generation)
        tokens = getattr(made, "sequences", made)
        scores = getattr(made, "sequences_scores", None)
        answers = processor.decode(tokens[:, batch["input_ids"].shape[1] :])
        values = [0.0] * len(answers) if scores is None else scores.tolist()
        return [
            Candidate(report, score, warnings)
            for (report, warnings), score in zip(answers, values, strict=True)
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
        context = processor.context
        table = context.table.source
        return frozenset((*["prior"] * context.prior, *[f"tables/{table}"] * (table is not None)))

    def film_size(self, processor: Any) -> int | None:
        """See the base class."""
        context = processor.context
        return context.image_size if context.square else None


def known_columns(context: Context, training: Examples | None) -> Context:
    """Return a context whose table has columns: those of the training studies, unless it names its
    own.

    Args:
        context: the recipe's.
        training: the studies to learn from.

    Raises:
        InputError: it names a column that no training study has.
    """
    form = context.table
    if training is None or "{table}" not in context.request:
        return context
    if form.source is not None:
        from plainfilm.data.derived import Derived

        there = Derived(training.dataset.path, f"tables/{form.source}").columns
    else:
        there = tuple(value_columns(name for row in training.rows for name in row.table))
    unknown = [name for name in form.columns if name not in there]
    if unknown:
        raise InputError(
            f"model.table.columns: no training study has {', '.join(unknown)}: choose from "
            f"{', '.join(there) or 'none'}"
        )
    table = form.model_copy(update={"columns": form.columns or there})
    return context.model_copy(update={"table": table})


def _whole(adapter: Any) -> Any:
    """Return the parts that a recipe's adapter leaves to be trained as they are."""
    return (adapter.get("whole") if isinstance(adapter, dict) else None) or ()


def load_weights(
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    device_map: Any = None,
    attention: str | None = None,
    quantised: bool = False,
    config: PreTrainedConfig | None = None,
) -> Any:
    """Return the model in a folder, whole or in four bits.

    Args:
        folder: with the weights.
        dtype: of the weights in memory; float32 where left out.
        device_map: as transformers takes it.
        attention: how attention is computed.
        quantised: whether it is kept in four bits.
        config: instead of the folder's own; parts that the folder lacks begin anew.
    """
    dtype = dtype or torch.float32
    more: dict[str, Any] = {} if attention is None else {"attn_implementation": attention}
    if config is not None:
        more["config"] = config
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


def draft_settings(model: Any, processor: ConversationProcessor) -> None:
    """Let a model draft the same every time, and never a placeholder.

    Raises:
        ModelError: its words are not the processor's.
    """
    _check_vocabulary(model, processor)
    # What a checkpoint says of chance is left out.
    model.generation_config.update(
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        min_p=None,
        max_length=None,
        max_new_tokens=processor.context.max_report_tokens,
        pad_token_id=processor.tokenizer.pad_token_id,
        eos_token_id=list(processor.stops),
        suppress_tokens=placeholder_tokens(model.config) or None,
    )


def _check_vocabulary(model: Any, processor: ConversationProcessor) -> None:
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
