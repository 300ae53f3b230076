"""The original pipeline's two archives, made as it makes them: its selection, ids, order, splits, pooling and types.

The rows come from the plain loop of `glm_assets_tests.variants.oracle`; the vectors from vtx's own forward, one
window at a time.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pysam

from glm_assets_tests.variants import oracle

CONTIGS = {"21": "NC_000021.9", "22": "NC_000022.11", "NT_113889.1": "NT_113889.1"}
WINDOWS = "refvar_L1024_clinvar_snv_indel50.npz"
VECTORS = "refvar_L1024_evo2L26_emb_full.npz"
IDS = {"A": 0, "C": 1, "G": 2, "T": 3}


def preprocess(tree: Path, work: Path, length: int, contigs: dict[str, str] = CONTIGS) -> dict[str, np.ndarray]:
    """The arrays of the windows' archive over the newest release of a tree."""
    archive = next(tree.rglob("*_genomic.fna.gz"))
    fasta = work / "genomic.fna"
    with gzip.open(archive) as source, fasta.open("wb") as target:
        shutil.copyfileobj(source, target)
    vcf = max(path for path in tree.rglob("*.vcf.gz") if re.fullmatch(r"clinvar_\d+\.vcf\.gz", path.name))
    rows, groups = [], {}
    with mock.patch.multiple(oracle, LENGTH=length, HALF=length // 2), pysam.FastaFile(str(fasta)) as genome:
        for chrom, contig in contigs.items():
            for row in oracle.select(vcf, genome, chrom, contig, Counter()):
                place = contig, row["window_start"]
                rows.append(row | {"chrom": chrom, "group": groups.setdefault(place, len(groups))})
    return {
        "ref": np.array([encode(row["ref_seq"]) for row in rows], np.uint8),
        "var": np.array([encode(row["var_seq"]) for row in rows], np.uint8),
        "label": np.array([row["label"] for row in rows], np.int8),
        "chrom": np.array([row["chrom"] for row in rows], object),
        "pos": np.array([row["pos"] for row in rows], np.int64),
        "window_start": np.array([row["window_start"] + 1 for row in rows], np.int64),
        "group": np.array([row["group"] for row in rows], np.int64),
        "split": np.array([["train", "val", "test"].index(row["split"]) for row in rows], np.int8),
        "var_kind": np.array([["snv", "ins", "del"].index(row["kind"]) for row in rows], np.int8),
        "var_len": np.array([row["var_len"] for row in rows], np.int16),
    }


def embed(windows: dict[str, np.ndarray], model, layer: str, *, in_bfloat16: bool) -> dict[str, np.ndarray]:
    """The arrays of the vectors' archive: all reference rows first, then all variant rows."""
    split = windows["split"].copy()
    split[split == 2] = 0
    return {
        "ref_emb": pooled(model, layer, windows["ref"], in_bfloat16=in_bfloat16),
        "var_emb": pooled(model, layer, windows["var"], in_bfloat16=in_bfloat16),
        "label": windows["label"],
        "group": windows["group"],
        "var_len": windows["var_len"],
        "split": split,
    }


def pooled(model, layer: str, ids: np.ndarray, *, in_bfloat16: bool) -> np.ndarray:
    """Masked mean of a layer's output, as float16."""
    import torch

    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, out: kept.append(out))
    letters = np.frombuffer(b"ACGTN", np.uint8)[ids].astype(np.int64)
    with torch.inference_mode():
        for window in letters:
            model.stateless_forward(model.embedding_layer(torch.from_numpy(window)[None]))
    handle.remove()
    vectors = []
    for out in kept:
        hidden = (out[0] if isinstance(out, tuple) else out)[0]
        hidden = hidden.bfloat16() if in_bfloat16 else hidden.float()
        mask = torch.ones(len(hidden), 1, dtype=hidden.dtype)
        vectors.append((hidden * mask).sum(dim=0) / mask.sum(dim=0).clamp(min=1))
    return torch.stack(vectors).float().numpy().astype(np.float16)


def encode(sequence: str) -> list[int]:
    return [IDS.get(base, 4) for base in sequence]


def save(folder: Path, windows: dict[str, np.ndarray], vectors: dict[str, np.ndarray]) -> Path:
    """Write both archives; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / WINDOWS, **windows)
    np.savez_compressed(folder / VECTORS, **vectors)
    return folder
