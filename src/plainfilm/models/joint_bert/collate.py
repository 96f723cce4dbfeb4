"""Batches for the joint encoder's pre-training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from plainfilm.core import InputError
from plainfilm.data.examples import Example
from plainfilm.models.joint_bert.masking import mask_for_pretraining
from plainfilm.models.joint_bert.pretraining import TEXT_TOKENS, masked_text
from plainfilm.text.targets import report_to_target


class PretrainingCollate:
    """Turns examples into batches for pre-training the joint encoder.

    Args:
        processor: the model's processor.
        mask_share: share of a report's tokens to mask.
        image_tokens: number of tokens of a film.
        image_positions: number of image tokens to sample, kept in order; None for all.

    Raises:
        InputError: the joint encoder's tokenizer has no MASK token.
    """

    def __init__(
        self, processor: Any, mask_share: float, image_tokens: int, image_positions: int | None
    ) -> None:
        self.films = processor.image_processor
        self.tokenizer = getattr(processor, "text_tokenizer", processor.tokenizer)
        self.mask_share = mask_share
        self.image_tokens = image_tokens
        self.image_positions = image_positions
        if self.tokenizer.mask_token_id is None:
            raise InputError(
                "pre-training hides words: the joint encoder's tokenizer must have a MASK token"
            )

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return films, reports with masked tokens, and whether they belong together."""
        texts = self.tokenizer(
            [report_to_target(example.report) for example in examples],
            add_special_tokens=False,
            truncation=True,
            max_length=TEXT_TOKENS,
        )["input_ids"]
        hidden = []
        for tokens, example in zip(texts, examples, strict=True):
            words, labels = mask_for_pretraining(
                tokens,
                mask_token=self.tokenizer.mask_token_id,
                vocabulary_size=len(self.tokenizer),
                random=example.rng,
                share=self.mask_share,
            )
            hidden.append(([*words, self.tokenizer.sep_token_id], labels))
        batch = {
            **self.films([example.study.images[0] for example in examples]),
            **masked_text(self.tokenizer, hidden, labels="text_labels"),
            "matched": torch.tensor([int(example.matched) for example in examples]),
        }
        if self.image_positions is not None:
            orders = [example.rng.permutation(self.image_tokens) for example in examples]
            chosen = np.sort(np.stack(orders)[:, : self.image_positions], axis=1)
            batch["image_positions"] = torch.from_numpy(chosen)
        return batch
