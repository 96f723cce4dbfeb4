"""The joint encoder's stream and masks, entry by entry, and its published size."""

import pytest
import torch
from transformers import BertConfig, BertModel

from plainfilm.models.joint_bert.joint import Attention, attention_mask, encode, joint_stream

MASKS: dict[Attention, str] = {
    # Two image tokens (i), two words (w): [CLS] i i [SEP] w w [SEP]; a row says whom it sees.
    "full": """
        1111111
        1111111
        1111111
        1111111
        1111111
        1111111
        1111111""",
    "s2s": """
        1111000
        1111000
        1111000
        1111000
        1111100
        1111110
        1111111""",
    "bar": """
        1111111
        1111111
        1111111
        1111111
        1111100
        1111110
        1111111""",
}


@pytest.fixture(scope="module")
def bert() -> BertModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    return BertModel(BertConfig(**sizes, intermediate_size=16, vocab_size=50)).eval()


@pytest.mark.parametrize("kind", MASKS)
def test_masks_entry_by_entry(kind: Attention) -> None:
    expected = [[int(entry) for entry in row] for row in MASKS[kind].split()]
    mask = attention_mask(kind, torch.ones(2, 7, dtype=torch.long), image_part=4)
    assert mask.int().tolist() == [expected, expected]


@pytest.mark.parametrize("kind", MASKS)
def test_nobody_sees_padding(kind: Attention) -> None:
    seen = torch.tensor([[1, 1, 0, 1, 1, 1, 0]])
    mask = attention_mask(kind, seen, image_part=4)[0]
    assert not mask[:, 2].any()
    assert not mask[:, 6].any()
    assert mask.any(dim=1).all()  # yet every row sees something, padding too: no NaN


def test_positions_start_again_and_segments_tell_apart(bert: BertModel) -> None:
    image = torch.zeros(1, 3, 16)
    text = torch.tensor([[2, 3, 9, 8, 3]])
    stream = joint_stream(bert, image, text, torch.ones_like(text))
    assert stream.positions.tolist() == [[0, 0, 1, 2, 0, 0, 1, 2]]
    assert stream.segments.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]
    assert stream.image_part == 5
    sampled = joint_stream(
        bert, image, text, torch.ones_like(text), image_positions=torch.tensor([[1, 4, 7]])
    )
    assert sampled.positions.tolist() == [[0, 1, 4, 7, 0, 0, 1, 2]]


@pytest.mark.parametrize(
    ("kind", "reached"),
    [("full", [True, True, True]), ("s2s", [False, False, True]), ("bar", [True, True, True])],
)
def test_whom_a_word_reaches(bert: BertModel, kind: Attention, reached: list[bool]) -> None:
    """Image, earlier word and later word, when one word of three changes.

    Under bar it reaches the earlier word too, by way of the image: three layers are enough.
    """
    torch.manual_seed(1)
    image = torch.randn(1, 2, 16)
    texts = [torch.tensor([[2, 3, 9, word, 7, 3]]) for word in (8, 30)]
    before, after = (
        encode(bert, joint_stream(bert, image, text, torch.ones_like(text)), kind)[0]
        for text in texts
    )
    changed = [not torch.equal(before[:, part], after[:, part]) for part in ([0, 1, 2, 3], 4, 6)]
    assert changed == reached


def test_the_published_size_and_stream() -> None:
    """BERT-base: 109.5 M with its pooler, vocabulary 30,522; 1 + 256 + 1 + 253 + 1 = 512 tokens."""
    with torch.device("meta"):
        bert = BertModel(BertConfig())
        image = torch.empty(1, 256, bert.config.hidden_size)
        text = torch.zeros(1, 2 + 253 + 1, dtype=torch.long)
        stream = joint_stream(bert, image, text, torch.ones_like(text))
    assert sum(parameter.numel() for parameter in bert.parameters()) == 109_482_240
    assert bert.config.vocab_size == 30522
    assert stream.embeddings.shape == (1, 512, 768)
    assert stream.image_part == 258
    assert max(256, 254) <= bert.config.max_position_embeddings
