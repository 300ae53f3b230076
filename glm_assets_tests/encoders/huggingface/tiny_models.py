"""Tiny transformers models with random weights, saved to a folder."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

SPECIAL = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>"]
SIX = ["".join(letters) for letters in itertools.product("ACGT", repeat=6)]
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def save_esm(folder: Path) -> Path:
    """As the Nucleotide Transformer: 6-mers, then single bases, a cls token in front."""
    import torch
    import transformers

    folder.mkdir()
    tokens = [*SPECIAL, *SIX, *"ATCGN"]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    transformers.EsmTokenizer(str(folder / "vocab.txt"), eos_token=None).save_pretrained(folder)
    config = transformers.EsmConfig(
        vocab_size=len(tokens),
        pad_token_id=1,
        mask_token_id=2,
        max_position_embeddings=66,
        token_dropout=False,
        **SIZES,
    )
    torch.manual_seed(0)
    transformers.EsmModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def save_bert(folder: Path) -> Path:
    """Single characters between [CLS] and [SEP]; N is unknown."""
    import torch
    import transformers
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"ACGT"]
    core = Tokenizer(models.WordLevel({token: index for index, token in enumerate(names)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = transformers.BertConfig(vocab_size=len(names), max_position_embeddings=64, **SIZES)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def divide(folder: Path) -> Path:
    """Save the folder's model again in safetensors of about 10 kB, with an index."""
    import transformers

    model = transformers.AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="10KB")
    return folder / "model.safetensors.index.json"
