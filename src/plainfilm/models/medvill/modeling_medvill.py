"""MedViLL (Moon et al., IEEE JBHI 2022): one BERT reads the film and writes the report.

RadScribe's baseline (seed paper, Tables IV-VII). The film's tokens and the report form one sequence
(:mod:`plainfilm.models.joint_bert.joint`). To write, a ``[MASK]`` is appended to the text so far,
BERT predicts it under the s2s mask, the prediction replaces it, and so on until ``[SEP]``.

Under that mask no token attends to a later one, so keys and values of the image and of the words
before the ``[MASK]`` are cached, and a step costs two tokens: the last word and the ``[MASK]``.

Departures from the paper:

- Training for writing can mask more than 15 % of a report at once (a stage's ``mask_share``).
- The report has its sections under headings, as for the other models; in the paper's data it is
  one text.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    BertModel,
    Cache,
    EncoderDecoderCache,
    GenerationMixin,
)
from transformers import initialization as init
from transformers.modeling_outputs import ModelOutput, Seq2SeqLMOutput
from transformers.utils import can_return_tuple

from plainfilm.models.family import Loss
from plainfilm.models.joint_bert.joint import Attention, encode, joint_stream, sample_image
from plainfilm.models.joint_bert.pretrained import (
    CACHE,
    JointBertPreTrainedModel,
    found_cache,
    hand_down,
    piece_of_batch,
    refuse_foreign,
)
from plainfilm.models.joint_bert.pretraining import (
    PreTrainingHeads,
    PreTrainingOutput,
    WordHead,
    pretraining_output,
)
from plainfilm.models.medvill.configuration_medvill import MedViLLConfig
from plainfilm.text.targets import IGNORED
from plainfilm.vision.backbones import (
    backbone_channels,
    build_backbone,
    check_grid,
    image_tokens,
)


@dataclass
class MedViLLImageOutput(ModelOutput):
    """Output of the image encoder: the film's tokens, ``(batch, image tokens, hidden)``."""

    last_hidden_state: torch.Tensor | None = None


@dataclass
class MedViLLOutput(Seq2SeqLMOutput):
    """BERT's predictions; the cache holds keys and values of all tokens before the ``[MASK]``.

    Attributes:
        loss: ``report_loss``, if there are labels.
        logits: ``(batch, text, vocabulary)``; in generation ``(batch, 1, vocabulary)``.
        report_loss: mean cross-entropy over the masked tokens.
        label_loss: None, since MedViLL has no classifier.
        losses: ``report``, as a total with its count.
    """

    report_loss: torch.Tensor | None = None
    label_loss: torch.Tensor | None = None
    losses: dict[str, Loss] | None = None


class MedViLLPreTrainedModel(JointBertPreTrainedModel):
    """Initialisation shared by MedViLL's modules; backbone and BERT initialise themselves."""

    config_class = MedViLLConfig
    base_model_prefix = "medvill"
    vocabulary = "encoder"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, WordHead):
            init.zeros_(module.bias)


class MedViLLImageEncoder(MedViLLPreTrainedModel):
    """The image backbone and the projection of its tokens to BERT's width."""

    def __init__(self, config: MedViLLConfig) -> None:
        super().__init__(config)
        backbone = hand_down(config.backbone_config, config._attn_implementation)
        check_grid(backbone, config.image_size, config.image_token_grid)
        channels = backbone_channels(backbone)
        self.backbone = build_backbone(backbone)
        self.projection = nn.Linear(channels, config.encoder_config.hidden_size)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **kwargs: Any) -> MedViLLImageOutput:
        """Return the tokens of films ``(batch, channels, size, size)``."""
        tokens = image_tokens(self.backbone, pixel_values, self.config.image_token_grid)
        return MedViLLImageOutput(self.projection(tokens))


class MedViLLForConditionalGeneration(MedViLLPreTrainedModel, GenerationMixin):
    """MedViLL with BERT's two heads, for training and ``generate()``."""

    parts = MappingProxyType(
        {
            "backbone": ("image_encoder.backbone.",),
            "joint": ("joint.", "heads.", "image_encoder.projection."),
            "encoder": ("image_encoder.", "joint.", "heads."),
        }
    )
    """Parts that a recipe can train at separate learning rates, by prefix of parameter names."""
    objectives = ("report", "pretraining")
    """Objectives that a stage can train the model on."""
    writes_on = False
    """Whether the model is autoregressive; MedViLL fills in masks instead."""

    def __init__(self, config: MedViLLConfig) -> None:
        super().__init__(config)
        bert = hand_down(config.encoder_config, config._attn_implementation)
        self.image_encoder = MedViLLImageEncoder(config)
        self.joint = BertModel(bert)
        self.heads = PreTrainingHeads(bert)
        self.post_init()

    @property
    def image_backbone(self) -> nn.Module:
        """The image backbone."""
        return cast(nn.Module, self.image_encoder.backbone)

    @property
    def classifies(self) -> bool:
        """Whether the model has a classifier."""
        return False

    @property
    def joint_encoder(self) -> BertModel:
        """The BERT that encodes image and text."""
        return self.joint

    @property
    def pretraining_heads(self) -> PreTrainingHeads | None:
        """The joint encoder's pre-training heads, if it has them."""
        return self.heads

    def get_encoder(self, *args: Any, **kwargs: Any) -> MedViLLImageEncoder:
        """Return the image encoder, which generation runs once."""
        return self.image_encoder

    def get_decoder(self, *args: Any, **kwargs: Any) -> BertModel:
        """Return BERT."""
        return self.joint

    def get_input_embeddings(self) -> nn.Module:
        """Return BERT's word embeddings."""
        return cast(nn.Module, self.joint.embeddings.word_embeddings)

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace BERT's word embeddings."""
        self.joint.embeddings.word_embeddings = value

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Resize the vocabulary; new tokens have a bias of 0."""
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        bias = self.heads.predictions.bias
        more = embeddings.num_embeddings - len(bias)
        if more:
            padded = nn.functional.pad(bias.data, (0, more))  # or truncate
            self.heads.predictions.bias = nn.Parameter(padded, requires_grad=bias.requires_grad)
        return embeddings

    def _words(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits ``(batch, tokens, vocabulary)`` of hidden states."""
        embeddings = self.joint.embeddings.word_embeddings
        return cast(torch.Tensor, self.heads.predictions(hidden, embeddings))

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        encoder_outputs: MedViLLImageOutput | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of :meth:`forward` for one step of generation."""
        return {
            "decoder_input_ids": input_ids,
            "encoder_outputs": encoder_outputs,
            CACHE: found_cache(kwargs),
        }

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        text_ids: torch.Tensor | None = None,
        text_attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: MedViLLImageOutput | None = None,
        text_labels: torch.Tensor | None = None,
        matched: torch.Tensor | None = None,
        image_positions: torch.Tensor | None = None,
        attention: Attention = "s2s",
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Any,
    ) -> MedViLLOutput | PreTrainingOutput:
        """Predict the masked tokens of a text, or, in generation, the next token.

        Args:
            pixel_values: ``(batch, channels, size, size)``.
            text_ids: ``(batch, 2 + text)``: the processor's ``[CLS] [SEP] report [SEP]`` with
                masked tokens.
            text_attention_mask: ``(batch, 2 + text)``, 0 on padding.
            labels: ``(batch, 2 + text)``, the masked tokens; -100 is ignored.
            decoder_input_ids: in generation, ``(batch, 1 + words so far)``, starting with the
                ``[SEP]`` that closes the image.
            encoder_outputs: the image encoder's output, if it has already run.
            text_labels: in pre-training, the masked tokens, like ``labels``.
            matched: in pre-training, ``(batch,)``: 1 if the report belongs to the film, else 0.
            image_positions: in pre-training, ``(batch, image tokens)``: indices of tokens to use.
            attention: the attention mask; reports are always written with s2s.
            num_items_in_batch: number of masked tokens of the whole batch, if this is a micro-batch
                (set by transformers' Trainer for gradient accumulation): the micro-batches' losses
                then add up to the batch's.
            kwargs: the cache under either of its names; other arguments are accepted for
                transformers' generation, and unused.
        """
        refuse_foreign(kwargs)
        if encoder_outputs is None:
            encoder_outputs = self.image_encoder(pixel_values)
        image = encoder_outputs.last_hidden_state
        assert image is not None  # noqa: S101 - the image encoder always gives it
        if decoder_input_ids is not None:
            return self._next_word(image, decoder_input_ids, found_cache(kwargs))
        assert text_ids is not None and text_attention_mask is not None  # noqa: S101, PT018
        if image_positions is not None:
            image = sample_image(image, image_positions)
        stream = joint_stream(
            self.joint, image, text_ids, text_attention_mask, image_positions=image_positions
        )
        if text_labels is not None:
            assert matched is not None  # noqa: S101 - pre-training always has both
            return pretraining_output(
                self.joint, self.heads, stream, text_labels, matched, attention
            )
        hidden, _ = encode(self.joint, stream, attention)
        logits = self._words(hidden[:, stream.image_part :])
        loss, report_loss, losses = None, None, {}
        if labels is not None:
            hidden_words = labels[:, 2:]
            report_loss = nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), hidden_words.flatten(), ignore_index=IGNORED
            )
            count = (hidden_words != IGNORED).sum()
            losses["report"] = Loss.of_mean(report_loss, count)
            loss = piece_of_batch(report_loss, count, num_items_in_batch)
        return MedViLLOutput(loss=loss, logits=logits, report_loss=report_loss, losses=losses)

    def _next_word(
        self, image: torch.Tensor, written: torch.Tensor, past: Cache | None
    ) -> MedViLLOutput:
        """Return the logits of a ``[MASK]`` after the text so far.

        Args:
            image: ``(batch, image tokens, hidden)``.
            written: ``(batch, 1 + words so far)``.
            past: keys and values of all tokens before the last word; those of the last word are
                added, those of the ``[MASK]`` are not, since the next step replaces it by a word.
        """
        cls = torch.full_like(written[:, :1], self.config.cls_token_id)
        mask = torch.full_like(cls, self.config.mask_token_id)
        text_ids = torch.cat([cls, written, mask], dim=1)
        stream = joint_stream(self.joint, image, text_ids, torch.ones_like(text_ids))
        cache = past.self_attention_cache if isinstance(past, EncoderDecoderCache) else past
        hidden, _ = encode(self.joint, stream._replace(seen=stream.seen[:1]), "s2s", cache)
        if cache is not None:
            cache.crop(-1)
        return MedViLLOutput(logits=self._words(hidden[:, -1:]), **{CACHE: past})

    def log_probabilities(self, report: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the log-probability of each token of a report, in the order of writing.

        Args:
            report: ``(1, tokens)``.
            pixel_values: ``(1, channels, size, size)``.

        Returns:
            ``(tokens,)``, natural logarithms.
        """
        count = report.shape[1]
        image = self.image_encoder(pixel_values).last_hidden_state.expand(count, -1, -1)
        places = torch.arange(count, device=report.device)
        # Row n holds n words, then only [MASK], of which the first attends to none of the others.
        written = torch.where(places < places[:, None], report, self.config.mask_token_id)
        frame = torch.tensor([self.config.cls_token_id, self.config.sep_token_id])
        frame = frame.to(report.device).expand(count, -1)
        text_ids = torch.cat([frame, written], dim=1)
        stream = joint_stream(self.joint, image, text_ids, torch.ones_like(text_ids))
        hidden, _ = encode(self.joint, stream, "s2s")
        logits = self._words(hidden[places, stream.image_part + places][:, None])[:, 0].float()
        return logits.log_softmax(dim=-1).gather(1, report[0][:, None])[:, 0]

    @torch.no_grad()
    def draft(self, pixel_values: torch.Tensor, **generation: Any) -> tuple[torch.Tensor, None]:
        """Write reports.

        Args:
            pixel_values: ``(batch, channels, size, size)``.
            generation: passed to ``generate()``.

        Returns:
            The tokens ``(batch, 1 + report tokens)``, and None, since there is no classifier.
        """
        encoded = self.image_encoder(pixel_values)
        return cast(torch.Tensor, self.generate(encoder_outputs=encoded, **generation)), None
