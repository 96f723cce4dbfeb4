"""A tiny BERT with random weights, saved as transformers saves one."""

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

WORDS = ["no", "small", "left", "right", "effusion", "heart", "is", "normal", "clear", "lungs", "."]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


def save_encoder(folder):
    """Save the encoder into ``folder``, and return the model and its tokenizer."""
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(VOCABULARY),
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
            initializer_range=1.0,
        )
    ).eval()
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    words = BertWordPieceTokenizer(str(folder / "vocab.txt"))
    tokenizer = BertTokenizerFast(tokenizer_object=words._tokenizer, model_max_length=16)
    tokenizer.save_pretrained(folder)
    return model, tokenizer
