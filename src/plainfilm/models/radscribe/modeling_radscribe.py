"""RadScribe (seed paper, section III): a film and its indication in, a report out.

The film becomes image tokens; image and text tokens pass as one sequence through a BERT encoder, as
in MedViLL (Moon et al., IEEE JBHI 2022, section III); a T5 decoder cross-attends to the encoder and
writes the report. With label enhancement a classifier on the image tokens predicts the 14
observations, and its *predicted probabilities*, never the true labels, condition the image tokens
through cross-attention, in training as at test time.

Choices that the paper leaves open:

- How labels are predicted from the tokens and fed back into them (:mod:`.label_enhancement`).
- More than ``image_token_grid``² backbone tokens are averaged down to that grid.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import nn
from transformers import BertModel, GenerationMixin
from transformers import initialization as init
from transformers.modeling_outputs import ModelOutput, Seq2SeqLMOutput
from transformers.models.t5.modeling_t5 import T5Stack
from transformers.utils import can_return_tuple

from plainfilm.core import InputError
from plainfilm.models.family import Loss, whole_loss
from plainfilm.models.joint_bert.joint import Attention, encode, joint_stream, sample_image
from plainfilm.models.joint_bert.pretrained import (
    CACHE,
    JointBertPreTrainedModel,
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
from plainfilm.models.radscribe.configuration_radscribe import RadScribeConfig
from plainfilm.models.radscribe.label_enhancement import (
    LabelClassifier,
    LabelCrossAttention,
    LabelOutput,
    place_loss,
)
from plainfilm.text.targets import IGNORED
from plainfilm.vision.backbones import (
    backbone_channels,
    build_backbone,
    check_grid,
    image_tokens,
)


@dataclass
class RadScribeEncoderOutput(ModelOutput):
    """The joint encoder's output.

    Attributes:
        last_hidden_state: ``(batch, tokens, hidden)``, the whole sequence.
        attention_mask: ``(batch, tokens)``, 0 on padding.
        labels: the classifier's output; None without label enhancement.
    """

    last_hidden_state: torch.Tensor | None = None
    attention_mask: torch.Tensor | None = None
    labels: LabelOutput | None = None


@dataclass
class RadScribeOutput(Seq2SeqLMOutput):
    """A Seq2SeqLMOutput with the two parts of its loss and the classifier's logits.

    ``losses`` has both parts, ``report`` and ``labels``, as totals with their counts.
    """

    report_loss: torch.Tensor | None = None
    label_loss: torch.Tensor | None = None
    label_logits: torch.Tensor | None = None
    losses: dict[str, Loss] | None = None


class RadScribePreTrainedModel(JointBertPreTrainedModel):
    """Initialisation shared by RadScribe's modules; backbone, BERT and T5 initialise themselves."""

    config_class = RadScribeConfig
    base_model_prefix = "radscribe"
    vocabulary = "decoder"
    _no_split_modules = ("RadScribeEncoder",)  # films and text meet in one stream

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, WordHead):
            init.zeros_(module.bias)
        if isinstance(module, LabelCrossAttention):
            init.normal_(module.absent, std=0.02)
            init.normal_(module.present, std=0.02)
        if isinstance(module, RadScribeForConditionalGeneration):  # like T5's own
            factor = module.decoder.config.initializer_factor
            init.normal_(module.decoder.embed_tokens.weight, std=factor)


class RadScribeEncoder(RadScribePreTrainedModel):
    """Image backbone, label enhancement and the BERT joint encoder."""

    def __init__(self, config: RadScribeConfig) -> None:
        super().__init__(config)
        attention = config._attn_implementation
        encoder = hand_down(config.encoder_config, attention)
        backbone = hand_down(config.backbone_config, attention)
        check_grid(backbone, config.image_size, config.image_token_grid)
        channels = backbone_channels(backbone)
        observations = len(config.observations)
        self.backbone = build_backbone(backbone)
        self.image_projection = nn.Linear(channels, encoder.hidden_size)
        if config.label_enhanced:
            self.classifier = LabelClassifier(channels, observations)
            self.label_attention = nn.ModuleList(
                LabelCrossAttention(
                    encoder.hidden_size, encoder.num_attention_heads, observations,
                    encoder.hidden_dropout_prob,
                )
                for _ in range(config.label_attention_layers)
            )  # fmt: skip
        if config.max_views > 1:
            self.view_embedding = nn.Embedding(config.max_views, encoder.hidden_size)
        self.joint = BertModel(encoder, add_pooling_layer=config.pretraining)
        if config.pretraining:
            self.heads = PreTrainingHeads(encoder)
        self.post_init()

    def _tokens(
        self, pixel_values: torch.Tensor, view_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the image tokens of each study, view after view, and their mask.

        Returns:
            ``(batch, views * tokens, channels)``, and ``(batch, views * tokens)``, 0 on the tokens
            of missing views; None if every study has one view.
        """
        grid = self.config.image_token_grid
        if view_mask is None:
            return image_tokens(self.backbone, pixel_values, grid), None
        present = view_mask.bool()  # missing views do not go through the backbone
        found = image_tokens(self.backbone, pixel_values[present], grid)
        tokens = found.new_zeros(*view_mask.shape, *found.shape[1:])
        tokens[present] = found
        return tokens.flatten(1, 2), view_mask.repeat_interleave(found.shape[1], dim=1)

    def classify(
        self, pixel_values: torch.Tensor, view_mask: torch.Tensor | None = None
    ) -> LabelOutput:
        """Return only the classifier's output for ``pixel_values``."""
        return cast(LabelOutput, self.classifier(*self._tokens(pixel_values, view_mask)))

    def _image(
        self, pixel_values: torch.Tensor, view_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None, LabelOutput | None]:
        """Return the image part of the sequence, its mask, and the classifier's output."""
        tokens, seen = self._tokens(pixel_values, view_mask)
        labels = self.classifier(tokens, seen) if self.config.label_enhanced else None
        image = self.image_projection(tokens)
        if view_mask is not None:
            views = self.view_embedding.weight[: view_mask.shape[1]]
            image = image + views.repeat_interleave(self.config.image_token_grid**2, dim=0)
        if labels is not None:
            for layer in self.label_attention:
                image = layer(image, labels.logits.sigmoid())
        return image, seen, labels

    def forward(
        self,
        pixel_values: torch.Tensor,
        text_ids: torch.Tensor,
        text_attention_mask: torch.Tensor,
        view_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> RadScribeEncoderOutput:
        """Encode films and their text as one sequence ``[CLS] image [SEP] text [SEP]``.

        Args:
            pixel_values: ``(batch, channels, size, size)``; with ``view_mask``,
                ``(batch, views, channels, size, size)``.
            text_ids: ``(batch, 2 + text)``, the processor's ``[CLS] [SEP] text [SEP]``; the image
                tokens are inserted after ``[CLS]``.
            text_attention_mask: ``(batch, 2 + text)``, 0 on padding.
            view_mask: ``(batch, views)``, 0 for missing views. The tokens of the views are
                concatenated, each with its view's embedding and its own positions.
            kwargs: accepted for transformers' generation, and unused.
        """
        image, seen, labels = self._image(pixel_values, view_mask)
        places = None
        if seen is not None:
            one = torch.arange(self.config.image_token_grid**2, device=image.device)
            places = one.repeat(seen.shape[1] // len(one)).expand(len(image), -1)
        stream = joint_stream(
            self.joint, image, text_ids, text_attention_mask,
            image_positions=places, image_attention_mask=seen,
        )  # fmt: skip
        hidden, _ = encode(self.joint, stream, self.config.encoder_attention)
        return RadScribeEncoderOutput(hidden, stream.seen, labels)

    def pretrain(
        self,
        pixel_values: torch.Tensor,
        text_ids: torch.Tensor,
        text_attention_mask: torch.Tensor,
        labels: torch.Tensor,
        matched: torch.Tensor,
        image_positions: torch.Tensor | None,
        attention: Attention,
    ) -> PreTrainingOutput:
        """Predict masked tokens and whether film and report match; only frontal films are used.

        Args:
            pixel_values: ``(batch, channels, size, size)``.
            text_ids: as in :meth:`forward`, with the masked report as the text.
            text_attention_mask: as in :meth:`forward`.
            labels: see :func:`plainfilm.models.joint_bert.pretraining.pretraining_output`.
            matched: likewise.
            image_positions: ``(batch, image tokens)``: indices of tokens to use; default: all.
            attention: the attention mask.
        """
        view = None
        if self.config.max_views > 1:
            pixel_values = pixel_values[:, None]
            view = text_attention_mask.new_ones(len(pixel_values), 1)
        image, _, _ = self._image(pixel_values, view)
        if image_positions is not None:
            image = sample_image(image, image_positions)
        stream = joint_stream(
            self.joint, image, text_ids, text_attention_mask, image_positions=image_positions
        )
        return pretraining_output(self.joint, self.heads, stream, labels, matched, attention)


class RadScribeForConditionalGeneration(RadScribePreTrainedModel, GenerationMixin):
    """RadScribe with its T5 decoder, for training and ``generate()``."""

    _tied_weights_keys = {"lm_head.weight": "decoder.embed_tokens.weight"}  # noqa: RUF012
    parts = MappingProxyType(
        {
            "backbone": ("encoder.backbone.",),
            "classifier": ("encoder.classifier.",),
            "label_attention": ("encoder.label_attention.",),
            "joint": (
                "encoder.joint.",
                "encoder.image_projection.",
                "encoder.heads.",
                "encoder.view_embedding.",
            ),
            "encoder": ("encoder.",),
            "decoder": ("decoder.", "bridge.", "lm_head."),
        }
    )
    """Parts that a recipe can train at separate learning rates, by prefix of parameter names."""
    objectives = ("labels", "report", "report+labels", "pretraining")
    """Objectives that a stage can train the model on."""
    writes_on = True
    """Whether the model is autoregressive, which reinforcement requires."""

    def __init__(self, config: RadScribeConfig) -> None:
        super().__init__(config)
        decoder = hand_down(config.decoder_config, config._attn_implementation)
        self.encoder = RadScribeEncoder(config)
        hidden = config.encoder_config.hidden_size
        self.bridge = (
            nn.Identity() if hidden == decoder.d_model else nn.Linear(hidden, decoder.d_model)
        )
        self.decoder = T5Stack(decoder)
        self.lm_head = nn.Linear(decoder.d_model, decoder.vocab_size, bias=False)
        self.label_weights: torch.Tensor | None = None
        """Weight of each observation's positive term in the classifier's loss, in training."""
        self.post_init()

    @property
    def image_backbone(self) -> nn.Module:
        """The image backbone."""
        return cast(nn.Module, self.encoder.backbone)

    @property
    def classifies(self) -> bool:
        """Whether the model has a classifier."""
        return bool(self.config.label_enhanced)

    @property
    def joint_encoder(self) -> BertModel:
        """The BERT that encodes image and text."""
        return self.encoder.joint

    @property
    def pretraining_heads(self) -> PreTrainingHeads | None:
        """The joint encoder's pre-training heads, if it has them."""
        return self.encoder.heads if self.config.pretraining else None

    def get_encoder(self, *args: Any, **kwargs: Any) -> RadScribeEncoder:
        """Return the encoder, which generation runs once."""
        return self.encoder

    def get_decoder(self, *args: Any, **kwargs: Any) -> T5Stack:
        """Return the decoder."""
        return self.decoder

    def get_input_embeddings(self) -> nn.Module:
        """Return the decoder's token embeddings."""
        return cast(nn.Module, self.decoder.embed_tokens)

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the decoder's token embeddings."""
        self.decoder.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """Return the output projection, tied to the token embeddings."""
        return self.lm_head

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """Return ``labels`` shifted right behind the start token, for teacher forcing."""
        shifted = labels.new_full(labels.shape, self.config.decoder_start_token_id)
        shifted[:, 1:] = labels[:, :-1]
        return shifted.masked_fill(shifted == -100, self.config.pad_token_id)

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        text_ids: torch.Tensor | None = None,
        text_attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: RadScribeEncoderOutput | None = None,
        labels: torch.Tensor | None = None,
        observation_labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        view_mask: torch.Tensor | None = None,
        text_labels: torch.Tensor | None = None,
        matched: torch.Tensor | None = None,
        image_positions: torch.Tensor | None = None,
        attention: Attention = "full",
        num_items_in_batch: torch.Tensor | int | None = None,
        observation_places: torch.Tensor | None = None,
        place_weight: float = 0.0,
        **kwargs: Any,
    ) -> RadScribeOutput | PreTrainingOutput:
        """Return logits over the decoder's vocabulary, and the loss if there are targets.

        With neither ``decoder_input_ids`` nor ``labels``, only the classifier runs; with
        ``text_labels``, the joint encoder's pre-training (:meth:`RadScribeEncoder.pretrain`).

        Args:
            pixel_values: ``(batch, channels, size, size)``.
            text_ids: text of the joint encoder, see :meth:`RadScribeEncoder.forward`.
            text_attention_mask: attention mask of ``text_ids``.
            decoder_input_ids: ``(batch, target tokens)``; default: made from ``labels``.
            decoder_attention_mask: attention mask of ``decoder_input_ids``.
            encoder_outputs: the encoder's output, if it has already run.
            labels: ``(batch, target tokens)``, the report; -100 is ignored.
            observation_labels: ``(batch, observations)`` in {0, 1}, targets of the classifier;
                NaN is ignored. They affect only the loss.
            use_cache: whether to return the decoder's cache.
            view_mask: ``(batch, views)``, see :meth:`RadScribeEncoder.forward`.
            text_labels: in pre-training, the masked tokens.
            matched: in pre-training, whether film and report belong together.
            image_positions: in pre-training, indices of the image tokens to use.
            attention: in pre-training, the attention mask.
            num_items_in_batch: number of report tokens of the whole batch, if this is a micro-batch
                (set by transformers' Trainer for gradient accumulation): the micro-batches' losses
                then add up to the batch's, the classifier's in proportion to the report tokens.
            observation_places: ``(batch, observations, side, side)``, locations of observations on
                the frontal film; they affect only the loss (:func:`place_loss`).
            place_weight: weight of that loss relative to the labels'.
            kwargs: passed to the decoder: the cache under either of its names,
                ``output_attentions`` and so on.
        """
        kwargs = refuse_foreign(kwargs)
        if text_labels is not None:
            assert pixel_values is not None and text_ids is not None  # noqa: S101, PT018
            assert text_attention_mask is not None and matched is not None  # noqa: S101, PT018
            return self.encoder.pretrain(
                pixel_values, text_ids, text_attention_mask, text_labels, matched,
                image_positions, attention,
            )  # fmt: skip
        if decoder_input_ids is None and labels is not None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if decoder_input_ids is None:
            assert pixel_values is not None  # noqa: S101 - no other input is left
            classified = self.encoder.classify(pixel_values, view_mask)
            label_loss = self._label_loss(classified, observation_labels)
            losses = self._losses(None, None, label_loss, observation_labels, 1.0)
            places = self._place_loss(classified, observation_places, place_weight)
            loss = label_loss
            if label_loss is not None and places:
                loss = label_loss + whole_loss(places)
            return RadScribeOutput(
                loss=loss,
                label_loss=label_loss,
                label_logits=classified.logits,
                losses=losses | places,
            )
        if encoder_outputs is None:
            encoder_outputs = self.encoder(pixel_values, text_ids, text_attention_mask, view_mask)
        decoded = self.decoder(
            input_ids=decoder_input_ids,
            attention_mask=decoder_attention_mask,
            encoder_hidden_states=self.bridge(encoder_outputs.last_hidden_state),
            encoder_attention_mask=encoder_outputs.attention_mask,
            use_cache=labels is None if use_cache is None else use_cache,
            **kwargs,
        )
        hidden = decoded.last_hidden_state
        if self.config.tie_word_embeddings:  # like T5, unlike T5 1.1 with its untied output layer
            hidden = hidden * self.decoder.config.d_model**-0.5
        logits = self.lm_head(hidden)

        report_loss = None
        if labels is not None:
            report_loss = nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), labels.flatten().to(logits.device)
            )
        label_loss = self._label_loss(encoder_outputs.labels, observation_labels)
        losses = self._losses(
            report_loss, labels, label_loss, observation_labels, self.config.label_loss_weight
        )
        places = self._place_loss(encoder_outputs.labels, observation_places, place_weight)
        loss = report_loss
        if report_loss is not None and label_loss is not None:
            loss = report_loss + self.config.label_loss_weight * label_loss
        if loss is not None and places:
            loss = loss + whole_loss(places)
        if loss is not None and labels is not None:
            loss = piece_of_batch(loss, (labels != IGNORED).sum(), num_items_in_batch)
        return RadScribeOutput(
            loss=loss,
            logits=logits,
            **{CACHE: decoded.get(CACHE)},
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            report_loss=report_loss,
            label_loss=label_loss,
            label_logits=encoder_outputs.labels.logits if encoder_outputs.labels else None,
            losses=losses | places,
        )

    @staticmethod
    def _losses(
        report_loss: torch.Tensor | None,
        report: torch.Tensor | None,
        label_loss: torch.Tensor | None,
        observation_labels: torch.Tensor | None,
        weight: float,
    ) -> dict[str, Loss]:
        """Return the two losses with their item counts."""
        losses = {}
        if report_loss is not None and report is not None:
            losses["report"] = Loss.of_mean(report_loss, (report != IGNORED).sum())
        if label_loss is not None and observation_labels is not None:
            known = (~observation_labels.isnan()).sum()
            losses["labels"] = Loss.of_mean(label_loss, known, weight)
        return losses

    @staticmethod
    def _place_loss(
        classified: LabelOutput | None, places: torch.Tensor | None, weight: float
    ) -> dict[str, Loss]:
        """Return the localisation loss of the frontal film's tokens."""
        if classified is None or places is None:
            return {}
        tokens = classified.tokens[..., : places.shape[2] * places.shape[3]]
        return {"places": place_loss(tokens, places)._replace(weight=weight)}

    def _label_loss(
        self, classified: LabelOutput | None, targets: torch.Tensor | None
    ) -> torch.Tensor | None:
        if classified is None or targets is None:
            return None
        known = ~targets.isnan()
        weights = self.label_weights
        if weights is not None:
            weights = weights.to(targets.device).expand_as(targets)[known]
        return nn.functional.binary_cross_entropy_with_logits(
            classified.logits.float()[known], targets[known], pos_weight=weights
        )

    @staticmethod
    def _reorder_cache(past: Any, beam_idx: torch.Tensor) -> Any:
        """Reorder the cache by beams; its encoder part is the same for all beams."""
        past.self_attention_cache.reorder_cache(beam_idx)
        return past

    def log_probabilities(self, report: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        """Return the log-probability of each token of a report, given those before it.

        Args:
            report: ``(1, tokens)``.
            inputs: the processor's output for one study.

        Returns:
            ``(tokens,)``, natural logarithms.
        """
        logits = cast(torch.Tensor, self(**inputs, labels=report).logits)[0].float()
        return logits.log_softmax(dim=-1).gather(1, report[0][:, None])[:, 0]

    @torch.no_grad()
    def draft(
        self,
        pixel_values: torch.Tensor,
        text_ids: torch.Tensor,
        text_attention_mask: torch.Tensor,
        view_mask: torch.Tensor | None = None,
        **generation: Any,
    ) -> tuple[torch.Tensor, LabelOutput | None]:
        """Write reports, and return the classifier's output with them.

        Args:
            pixel_values: see :meth:`forward`.
            text_ids: see :meth:`forward`.
            text_attention_mask: see :meth:`forward`.
            view_mask: see :meth:`forward`.
            generation: passed to ``generate()``.

        Returns:
            The tokens ``(batch, report tokens)``, and the classifier's output, if there is one.

        Raises:
            InputError: true labels were given.
        """
        if "observation_labels" in generation:
            raise InputError("a draft takes no observation labels: the model predicts its own")
        encoded = self.encoder(pixel_values, text_ids, text_attention_mask, view_mask)
        tokens = self.generate(encoder_outputs=encoded, **generation)
        return cast(torch.Tensor, tokens), encoded.labels
