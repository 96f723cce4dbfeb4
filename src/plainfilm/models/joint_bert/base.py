"""Common base of the RadScribe and MedViLL families: recipes, building, training, drafting."""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from transformers import (
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from plainfilm.core import InputError, Observation, Report, Study
from plainfilm.core.model_folder import OFFLINE
from plainfilm.data.examples import Example, Examples
from plainfilm.models.family import Batch, Built, Draft, Explainable, Family, Loss
from plainfilm.models.joint_bert.balance import positive_weights
from plainfilm.models.joint_bert.collate import PretrainingCollate
from plainfilm.models.joint_bert.initial import (
    load_part,
    start_backbone,
    start_decoder,
    start_encoder,
)
from plainfilm.models.joint_bert.pairs import PairedExamples, PlacedExamples
from plainfilm.models.joint_bert.problems import problems
from plainfilm.models.joint_bert.settings import JointBertSettings, JointBertStage
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import IGNORED, report_to_target, sentence_spans
from plainfilm.vision.preparation import FilmImageProcessor


class JointBertFamily(Family[JointBertSettings, JointBertStage]):
    """A family in which image tokens and text go through one BERT."""

    settings = JointBertSettings
    stage = JointBertStage
    config_class: ClassVar[type[PreTrainedConfig]]
    model_class: ClassVar[type[PreTrainedModel]]
    processor_class: ClassVar[type[ProcessorMixin]]
    read_text: ClassVar[str] = "max_text_tokens"
    """Name of the setting that limits the length of text in the joint encoder."""

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """See the base class."""
        return problems(self, values)

    @abstractmethod
    def configure(
        self,
        values: dict[str, Any],
        settings: JointBertSettings,
        stages: Sequence[JointBertStage],
        views: int,
        processor: Any,
    ) -> dict[str, Any]:
        """Return the arguments of the configuration class, completed from the rest of the recipe.

        Args:
            values: the recipe's ``config``, with the backbone's film size and channels filled in.
            settings: the recipe's ``model``.
            stages: the recipe's stages.
            views: number of films of a study to read.
            processor: the model's processor; None to keep the configuration's vocabulary sizes.
        """

    @abstractmethod
    def process(
        self,
        film: FilmImageProcessor,
        tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
        settings: JointBertSettings,
        views: int,
    ) -> ProcessorMixin:
        """Return the processor for tokenizers of (written, read) text."""

    def between(self, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
        """Return the ids of the tokens that start and end a report."""
        return cast(int, tokenizer.pad_token_id), cast(int, tokenizer.eos_token_id)

    def configuration(
        self,
        settings: JointBertSettings,
        stages: Sequence[JointBertStage],
        views: int,
        processor: Any = None,
    ) -> PreTrainedConfig:
        """Return the model's configuration (see :meth:`configure`)."""
        values = dict(settings.config)
        usual = self.config_class()
        values["backbone"] = (values.get("backbone") or usual.backbone) | {
            "num_channels": settings.channels,
            "image_size": values.get("image_size", usual.image_size),
        }
        return self.config_class(**self.configure(values, settings, stages, views, processor))

    def build_processor(
        self, settings: JointBertSettings, views: int, training: Examples | None
    ) -> ProcessorMixin:
        """Return the processor; vocabularies without a folder are learned from ``training``."""
        named = settings.tokenizers
        if named.report is None:
            if training is None:
                raise InputError(
                    "model.tokenizers.report: name a folder, or learn the words from studies"
                )
            texts = [report_to_target(report) for report in training.reports]
            texts += [row.indication for row in training.rows if row.indication]
            report_tokenizer = train_tokenizer(texts, named.vocabulary_size)
        else:
            report_tokenizer = load_part(AutoTokenizer, named.report, "tokenizer")
        text_tokenizer: PreTrainedTokenizerBase = report_tokenizer
        if named.text is not None:
            text_tokenizer = load_part(AutoTokenizer, named.text, "tokenizer")
        film = FilmImageProcessor(
            size=settings.config.get("image_size", self.config_class().image_size),
            image_mean=settings.image_mean,
            image_std=settings.image_std,
            num_channels=settings.channels,
        )
        return self.process(film, (report_tokenizer, text_tokenizer), settings, views)

    def build_model(
        self,
        settings: JointBertSettings,
        stages: Sequence[JointBertStage],
        views: int,
        processor: Any,
        seed: int,
    ) -> PreTrainedModel:
        """Return the model before any training (see :meth:`build`)."""
        torch.manual_seed(seed)
        model = self.model_class(self.configuration(settings, stages, views, processor))
        initial = settings.initial
        if initial.backbone is not None:
            start_backbone(model, initial.backbone)
        if initial.encoder is not None:
            start_encoder(model, initial.encoder)
        if initial.decoder is not None:
            start_decoder(model, initial.decoder)
        start, end = self.between(processor.tokenizer)
        model.generation_config.update(
            pad_token_id=processor.tokenizer.pad_token_id,
            eos_token_id=end,
            decoder_start_token_id=start,
            max_new_tokens=processor.max_report_tokens,
            num_beams=settings.num_beams,
            no_repeat_ngram_size=settings.no_repeat_ngram_size,
        )
        return model

    def build(
        self,
        settings: JointBertSettings,
        *,
        stages: Sequence[JointBertStage],
        views: int,
        training: Examples | None,
        seed: int,
    ) -> Built:
        """See the base class."""
        processor = self.build_processor(settings, views, training)
        return Built(self.build_model(settings, stages, views, processor, seed), processor)

    def load(
        self,
        folder: Path,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
        trainable: bool = False,
    ) -> Built:
        """See the base class."""
        model = self.model_class.from_pretrained(
            folder,
            use_safetensors=True,
            dtype=dtype or torch.float32,
            device_map=device_map,
            **OFFLINE,
        )
        return Built(model, self.processor_class.from_pretrained(folder, **OFFLINE))

    def prepare(self, model: Any, stage: JointBertStage, training: Examples) -> None:
        """Set the weights of observations in the classifier's loss."""
        model.label_weights = positive_weights(training.labels, stage.positive_weights)

    def examples(self, built: Built, examples: Examples, stage: JointBertStage) -> Examples:
        """Pair half of the films with another study's report for pre-training; add the locations of
        observations if the classifier learns them."""
        if stage.objective == "pretraining":
            return PairedExamples(examples)
        if stage.place_weight:
            return PlacedExamples(examples, built.model.config.image_token_grid)
        return examples

    def collate(
        self, built: Built, stage: JointBertStage | None
    ) -> Callable[[Sequence[Example]], Batch]:
        """See the base class."""
        processor = built.processor
        if stage is None:
            return super().collate(built, None)
        if stage.objective == "pretraining":
            tokens = built.model.config.image_token_grid**2
            return PretrainingCollate(processor, stage.mask_share, tokens, stage.image_positions)

        def batch(examples: Sequence[Example]) -> Batch:
            studies = [example.study for example in examples]
            found: dict[str, Any] = {}
            if stage.objective == "labels":
                found = dict(processor(studies))
            else:
                found = dict(
                    processor(
                        studies,
                        reports=[example.report for example in examples],
                        rngs=[example.rng for example in examples],
                        mask_share=stage.mask_share,
                    )
                )
            if "labels" in stage.objective:
                found["observation_labels"] = torch.stack([one.labels for one in examples])
            places = [one.places for one in examples if one.places is not None]
            if places:
                found["observation_places"] = torch.stack(places)
                found["place_weight"] = stage.place_weight
            return found

        return batch

    def writes(self, stage: JointBertStage) -> bool:
        """See the base class."""
        return "report" in stage.objective

    def parts(self, model: Any) -> Mapping[str, str]:
        """See the base class."""
        return {part: "|".join(map(re.escape, prefixes)) for part, prefixes in model.parts.items()}

    def counts(self, batch: Batch, stage: JointBertStage) -> dict[str, torch.Tensor]:
        """See the base class."""
        if stage.objective == "pretraining":
            words = (batch["text_labels"] != IGNORED).sum()
            return {"words": words, "matching": torch.tensor(len(batch["matched"]))}
        found = {}
        if "labels" in batch:
            found["report"] = (batch["labels"] != IGNORED).sum()
        if "observation_labels" in batch:
            found["labels"] = (~batch["observation_labels"].isnan()).sum()
        if "observation_places" in batch:
            found["places"] = batch["observation_places"].flatten(2).any(dim=2).sum()
        return found

    def losses(self, model: Any, batch: Batch, stage: JointBertStage) -> dict[str, Loss]:
        """See the base class."""
        more = {"attention": stage.attention} if stage.objective == "pretraining" else {}
        return cast(dict[str, Loss], model(**batch, **more).losses)

    def draft(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> list[Draft]:
        """See the base class."""
        batch = {name: value.to(model.device) for name, value in processor(studies).items()}
        tokens, labels = model.draft(**batch, **generation)
        reports = processor.decode_reports(tokens)
        drafts = []
        for row, (study, report) in enumerate(zip(studies, reports, strict=True)):
            images = tuple(study.films_to_read(processor.max_views))
            if labels is None:
                drafts.append(Draft(report, images))
                continue
            grid = model.config.image_token_grid
            names = [Observation(name) for name in model.config.observations]
            probabilities = labels.logits[row].sigmoid().tolist()
            drafts.append(
                Draft(
                    report=report,
                    images=images,
                    probabilities=dict(zip(names, probabilities, strict=True)),
                    maps=labels.attention[row, :, : grid**2].reshape(-1, grid, grid),
                    method="attention of the model's classifier",
                )
            )
        return drafts

    def rollout(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> tuple[list[Report], Batch]:
        """See the base class."""
        if not self.model_class.writes_on:
            return super().rollout(model, processor, studies, **generation)
        batch = {name: value.to(model.device) for name, value in processor(studies).items()}
        tokens, _ = model.draft(**batch, **generation)
        written = tokens[:, 1:]
        ended = (written == model.generation_config.eos_token_id).long()
        batch["labels"] = written.masked_fill(ended.cumsum(dim=1) - ended > 0, IGNORED)
        return processor.decode_reports(tokens), batch

    def log_probabilities(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """See the base class."""
        written = batch["labels"] != IGNORED
        logits = model(**batch).logits.float()
        tokens = batch["labels"].masked_fill(~written, 0)
        found = logits.log_softmax(dim=-1).gather(2, tokens[..., None])[..., 0]
        return found.masked_fill(~written, 0.0), written

    def explain(self, model: Any, processor: Any, study: Study) -> Explainable:
        """See the base class."""
        batch = {name: value.to(model.device) for name, value in processor([study]).items()}
        film = {name: batch[name] for name in ("pixel_values", "view_mask") if name in batch}

        def tokens(report: Report, sentences: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
            found, spans = sentence_spans(
                report, sentences, processor.tokenizer, processor.max_report_tokens
            )
            device = model.device
            return torch.tensor([found], device=device), torch.tensor(spans, device=device)

        return Explainable(
            backbone=model.image_backbone,
            observations=(lambda: model(**film).label_logits[0]) if model.classifies else None,
            tokens=tokens,
            log_probabilities=lambda report: model.log_probabilities(report, **batch),
        )

    def film_size(self, processor: Any) -> int:
        """See the base class."""
        return int(processor.image_processor.size)
