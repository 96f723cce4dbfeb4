"""Conversion of studies and reports to RadScribe's tensors, and of its tokens to reports.

The joint encoder and the decoder have separate tokenizers, since BERT and T5 have different
vocabularies; a small model uses one vocabulary for both.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    BatchFeature,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from plainfilm.core import Image, InputError, Report, Study
from plainfilm.text.targets import IGNORED, report_to_target, target_to_report
from plainfilm.vision.preparation import FilmImageProcessor, read_images


class RadScribeProcessor(ProcessorMixin):
    """Prepares films, indications and reports for RadScribe, and decodes its output.

    Args:
        image_processor: image processor of the films.
        tokenizer: tokenizer of the decoder.
        text_tokenizer: tokenizer of the joint encoder; must have a CLS and a SEP token.
        max_text_tokens: longest text of the joint encoder (MedViLL: 253); longer is truncated.
        max_report_tokens: longest report to learn; longer is truncated.
        max_views: maximum number of films of a study to read.
    """

    def __init__(
        self,
        image_processor: FilmImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        text_tokenizer: PreTrainedTokenizerBase,
        max_text_tokens: int = 253,
        max_report_tokens: int = 256,
        max_views: int = 1,
        **kwargs: Any,
    ) -> None:
        if text_tokenizer.cls_token_id is None or text_tokenizer.sep_token_id is None:
            raise InputError("the joint encoder's tokenizer must have a CLS and a SEP token")
        super().__init__(image_processor, tokenizer, text_tokenizer, **kwargs)
        self.max_text_tokens = max_text_tokens
        self.max_report_tokens = max_report_tokens
        self.max_views = max_views

    def __call__(
        self,
        studies: Sequence[Study],
        reports: Sequence[Report] | None = None,
        rngs: object = None,
        *,
        mask_share: float | None = None,
    ) -> BatchFeature:
        """Return the tensors of a batch.

        Args:
            studies: studies, of which up to ``max_views`` films, including the frontal one, and
                the indication are used.
            reports: target reports, in training.
            rngs: unused, since T5 learns every token of a report and none is masked.
            mask_share: likewise.

        Returns:
            ``pixel_values`` ``(batch, channels, size, size)``, or
            ``(batch, views, channels, size, size)`` and ``view_mask`` ``(batch, views)`` if
            ``max_views`` is more than 1; ``text_ids`` and
            ``text_attention_mask`` ``(batch, 2 + text)`` for the joint encoder; with reports,
            ``labels`` ``(batch, report tokens)``, padded with -100.

        Raises:
            InputError: a study has no frontal film.
        """
        batch = self._films([read_images(study, self.max_views) for study in studies])
        texts = [study.indication or "" for study in studies]
        encoded = self.text_tokenizer(
            texts, add_special_tokens=False, truncation=True, max_length=self.max_text_tokens
        )["input_ids"]
        start = [self.text_tokenizer.cls_token_id, self.text_tokenizer.sep_token_id]
        end = [self.text_tokenizer.sep_token_id]
        padded = self.text_tokenizer.pad(
            {"input_ids": [start + ids + end if ids else start for ids in encoded]},
            return_tensors="pt",
            padding_side="right",
        )
        batch["text_ids"] = padded["input_ids"]
        batch["text_attention_mask"] = padded["attention_mask"]
        if reports is not None:
            targets = self.tokenizer(
                [report_to_target(report) + (self.tokenizer.eos_token or "") for report in reports],
                add_special_tokens=False,
                truncation=True,
                max_length=self.max_report_tokens,
                padding=True,
                padding_side="right",
                return_tensors="pt",
            )
            batch["labels"] = targets["input_ids"].masked_fill(
                targets["attention_mask"] == 0, IGNORED
            )
        return batch

    def _films(self, studies: Sequence[Sequence[Image]]) -> BatchFeature:
        """Return the films' tensors, with missing views black and masked."""
        films = self.image_processor([film for films in studies for film in films])
        if self.max_views == 1:
            return films
        view_mask = torch.zeros(len(studies), max(map(len, studies)), dtype=torch.long)
        for row, found in zip(view_mask, studies, strict=True):
            row[: len(found)] = 1
        pixels = films["pixel_values"]
        pixel_values = pixels.new_zeros(*view_mask.shape, *pixels.shape[1:])
        pixel_values[view_mask.bool()] = pixels
        return BatchFeature({"pixel_values": pixel_values, "view_mask": view_mask})

    def decode_reports(self, tokens: torch.Tensor) -> list[Report]:
        """Return the reports decoded from generated ``tokens`` ``(batch, report tokens)``."""
        texts = self.tokenizer.batch_decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return [target_to_report(text) for text in texts]
