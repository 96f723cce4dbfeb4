"""Conversion of films and reports to MedViLL's tensors, and of its tokens to reports."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import (
    BatchFeature,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from plainfilm.core import InputError, Report, Study
from plainfilm.models.joint_bert.masking import mask_for_writing
from plainfilm.models.joint_bert.pretraining import masked_text
from plainfilm.text.targets import report_to_target, target_to_report
from plainfilm.vision.preparation import FilmImageProcessor, read_images


class MedViLLProcessor(ProcessorMixin):
    """Prepares films and reports for MedViLL, and decodes its output.

    Args:
        image_processor: image processor of the films.
        tokenizer: BERT's tokenizer; must have a CLS, a SEP and a MASK token.
        max_report_tokens: longest report to learn, including its end; longer is truncated.
    """

    max_views = 1
    """Maximum number of films of a study to read."""

    def __init__(
        self,
        image_processor: FilmImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        max_report_tokens: int = 128,
        **kwargs: Any,
    ) -> None:
        if None in (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id):
            raise InputError("MedViLL's tokenizer must have a CLS, a SEP and a MASK token")
        super().__init__(image_processor, tokenizer, **kwargs)
        self.max_report_tokens = max_report_tokens

    def __call__(
        self,
        studies: Sequence[Study],
        reports: Sequence[Report] | None = None,
        rngs: Sequence[np.random.Generator] | None = None,
        *,
        mask_share: float = 0.15,
    ) -> BatchFeature:
        """Return the tensors of a batch.

        Args:
            studies: studies, of which only the frontal film is used: MedViLL's sequence consists of
                the film and the report.
            reports: target reports, in training.
            rngs: with reports, a random generator for each, which determines the masked tokens.
            mask_share: share of a report's tokens to mask.

        Returns:
            ``pixel_values`` ``(batch, channels, size, size)``; with reports, ``text_ids`` and
            ``text_attention_mask`` ``(batch, 2 + text)`` with masked tokens, and ``labels`` of the
            same shape, -100 except for those.

        Raises:
            InputError: there are reports but no ``rngs``, or a study has no frontal film.
        """
        batch = self.image_processor([read_images(study, 1)[0] for study in studies])
        if reports is None:
            return batch
        if rngs is None:
            raise InputError("MedViLL learns hidden tokens: reports need rngs, a generator each")
        encoded = self.tokenizer(
            [report_to_target(report) for report in reports],
            add_special_tokens=False,
            truncation=True,
            max_length=self.max_report_tokens - 1,
        )["input_ids"]
        hidden = [
            mask_for_writing(
                [*tokens, self.tokenizer.sep_token_id],
                mask_token=self.tokenizer.mask_token_id,
                random=random,
                share=mask_share,
            )
            for tokens, random in zip(encoded, rngs, strict=True)
        ]
        batch.update(masked_text(self.tokenizer, hidden))
        return batch

    def decode_reports(self, tokens: torch.Tensor) -> list[Report]:
        """Return the reports decoded from generated ``tokens`` ``(batch, report tokens)``."""
        texts = self.tokenizer.batch_decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return [target_to_report(text) for text in texts]
