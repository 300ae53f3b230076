"""The configuration files of BioNeMo's Evo2: what is made into datasets, and how they are blended.

Names of keys are those of its `Evo2PreprocessingConfig` and of its dataset configuration. Paths are relative to the
folder that holds the files, because that folder is usually mounted elsewhere to be trained on.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from glm_assets.genome.splits import SPLITS
from glm_assets.studies.sugarcane.configuration import ShardSettings

PREPROCESSING: Final = "preprocessing.yaml"
BLEND: Final = "blend.yaml"
COMMANDS: Final = "commands.sh"
UNITS: Final = "units.fa"

_DATASETS = "datasets"
_TOKENIZER = "Byte-Level"
_SHARES = {"train": "train_split", "val": "valid_split", "test": "test_split"}
_BLENDED = {"train": "train", "val": "validation", "test": "test"}

_PREPROCESSING_NOTE = """\
# For `preprocess_evo2 -c preprocessing.yaml`.
# One entry for each split, which gets all of its entry's sequences: the original gave whole sequences at random to
# 0.9, 0.05 and 0.05, and so homologous chromosomes of a polyploid to both sides.
# Only what trains is read on both strands; validation and test are read once.
# The other values are the original's, but where the study's own section `shards` decides.
"""

_BLEND_NOTE = """\
# For `train_evo2 --dataset-config blend.yaml`.
"""


def split_fasta(split: str) -> str:
    """Name of the FASTA of a split."""
    return f"{split}.fa"


def preprocessing_text(variety: str, settings: ShardSettings) -> str:
    """The file for `preprocess_evo2`.

    Args:
        variety: Name of the variety, which names the datasets.
        settings: How sequence becomes tokens that train.
    """
    entries = [_entry(variety, split, settings) for split in SPLITS]
    return _PREPROCESSING_NOTE + yaml.safe_dump(entries, sort_keys=False)


def blend_text(variety: str) -> str:
    """The file for `train_evo2`: one dataset for each split, with weight 1."""
    entries = [
        {
            "dataset_prefix": f"{_DATASETS}/{_prefix(variety, split)}_{_TOKENIZER.lower()}_{split}",
            "dataset_split": _BLENDED[split],
            "dataset_weight": 1.0,
        }
        for split in SPLITS
    ]
    return _BLEND_NOTE + yaml.safe_dump(entries, sort_keys=False)


def _prefix(variety: str, split: str) -> str:
    return f"{variety}_{split}"


def _entry(variety: str, split: str, settings: ShardSettings) -> dict[str, Any]:
    shares = {key: float(side == split) for side, key in _SHARES.items()}
    return {
        "datapaths": [split_fasta(split)],
        "output_dir": _DATASETS,
        "output_prefix": _prefix(variety, split),
        **shares,
        "overwrite": True,
        "embed_reverse_complement": split == "train" and settings.reverse_complement == "both",
        "random_reverse_complement": 0.0,
        "random_lineage_dropout": 0.0,
        "transcribe": "back_transcribe",
        "force_uppercase": settings.soft_mask == "upper",
        "indexed_dataset_dtype": "uint8",
        "tokenizer_type": _TOKENIZER,
        "append_eod": settings.end_token,
        "enforce_sample_length": None,
        "ftfy": False,
        "workers": 1,
        "preproc_concurrency": 100_000,
        "chunksize": 25,
        "drop_empty_sequences": True,
        "nnn_filter": False,
        "seed": 12_342,
    }
