"""Studies and reports to RadScribe's tensors, and its tokens back to a report.

The joint encoder and the decoder have tokenizers of their own, since BERT and T5 come with
different vocabularies; a small model uses one vocabulary for both.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoImageProcessor,
    BatchFeature,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)

from plainfilm.core import Image, InputError, Pixels, Report
from plainfilm.models.radscribe.configuration_radscribe import RadScribeConfig
from plainfilm.vision.preparation import FilmImageProcessor

IGNORED = -100
"""The label that the loss leaves out."""

_HEADINGS = re.compile(r"\s*\b(findings|impression):\s*", re.IGNORECASE)


def report_to_target(report: Report) -> str:
    """Return the text that the decoder learns: the report's sections under their headings."""
    sections = {"Findings": report.findings, "Impression": report.impression}
    return " ".join(f"{name}: {text}" for name, text in sections.items() if text)


def target_to_report(text: str) -> Report:
    """Return the report that a decoded target stands for; text under no heading is findings."""
    parts = _HEADINGS.split(text)
    sections = {"findings": [parts[0].strip()], "impression": []}
    for name, content in zip(parts[1::2], parts[2::2], strict=True):
        sections[name.lower()].append(content.strip())
    findings, impression = (" ".join(filter(None, part)) for part in sections.values())
    return Report(findings=findings, impression=impression)


class RadScribeProcessor(ProcessorMixin):
    """Prepares films, indications and reports for RadScribe, and decodes what it writes.

    Args:
        image_processor: for the films.
        tokenizer: of the decoder.
        text_tokenizer: of the joint encoder; must have a CLS and a SEP token.
        max_text_tokens: longest text of the joint encoder (MedViLL: 253); the rest is cut off.
        max_report_tokens: longest report to learn; the rest is cut off.
    """

    def __init__(
        self,
        image_processor: FilmImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        text_tokenizer: PreTrainedTokenizerBase,
        max_text_tokens: int = 253,
        max_report_tokens: int = 256,
        **kwargs: Any,
    ) -> None:
        if text_tokenizer.cls_token_id is None or text_tokenizer.sep_token_id is None:
            raise InputError("the joint encoder's tokenizer must have a CLS and a SEP token")
        super().__init__(image_processor, tokenizer, text_tokenizer, **kwargs)
        self.max_text_tokens = max_text_tokens
        self.max_report_tokens = max_report_tokens

    def __call__(
        self,
        images: Sequence[Image | Pixels],
        indications: Sequence[str | None] | None = None,
        reports: Sequence[Report] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Return the tensors of a batch.

        Args:
            images: one film a study.
            indications: why each was taken, where known.
            reports: the reports to learn, in training.
            kwargs: accepted for transformers' sake and unused.

        Returns:
            ``pixel_values`` ``(batch, channels, size, size)``; ``text_ids`` and
            ``text_attention_mask`` ``(batch, 2 + text)`` for the joint encoder; with reports,
            ``labels`` ``(batch, report tokens)``, padded with -100.
        """
        batch = self.image_processor(images)
        texts = [indication or "" for indication in indications or [None] * len(images)]
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

    def decode_reports(self, tokens: torch.Tensor) -> list[Report]:
        """Return the reports that generated ``tokens`` ``(batch, report tokens)`` spell."""
        texts = self.tokenizer.batch_decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return [target_to_report(text) for text in texts]


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerBase:
    """Return a byte-level BPE tokenizer learned from ``texts``, for either side of a small model.

    It loses nothing (any text decodes to itself) and its words keep their case.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = {
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "cls_token": "<cls>",
        "sep_token": "<sep>",
    }
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(special.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


AutoImageProcessor.register(RadScribeConfig, FilmImageProcessor, exist_ok=True)
