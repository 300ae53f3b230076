"""Sequence between the genes: regions of different GC content, few CpG, scattered copies of a repeat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glm_assets.genome.alphabet import reverse_complement

Bases = NDArray[np.uint8]

_A, _C, _G, _T = (ord(base) for base in "ACGT")

_REGION = 4_000  # bases that share one GC content
_GC_RANGE = (0.36, 0.52)
_CPG_LOSS = 0.8  # vertebrate genomes have about a fifth of the CpG their composition predicts
_REPEAT_LENGTH = 280  # about an Alu element
_REPEAT_EVERY = 6_000
_REPEAT_DIVERGENCE = 0.12


def make_background(length: int, rng: np.random.Generator) -> Bases:
    """Random upper-case bases with regional GC content, most CpG lost to deamination (C to T on either strand)."""
    regions = rng.uniform(*_GC_RANGE, size=length // _REGION + 1)
    strong = rng.random(length) < np.repeat(regions, _REGION)[:length]
    either = rng.random(length) < 0.5
    bases = np.where(strong, np.where(either, _C, _G), np.where(either, _A, _T)).astype(np.uint8)
    cpg = np.flatnonzero((bases[:-1] == _C) & (bases[1:] == _G))
    lost = cpg[rng.random(cpg.size) < _CPG_LOSS]
    forward = rng.random(lost.size) < 0.5
    bases[lost[forward]] = _T
    bases[lost[~forward] + 1] = _A
    return bases


def make_repeat(rng: np.random.Generator) -> Bases:
    """The founding copy of the repeat family: GC-rich with a poly-A tail, as Alu elements are."""
    body = rng.choice([_A, _C, _G, _T], p=[0.2, 0.3, 0.3, 0.2], size=_REPEAT_LENGTH - 20)
    return np.concatenate([body, np.full(20, _A)]).astype(np.uint8)


def scatter_repeats(bases: Bases, founder: Bases, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Write diverged copies of `founder` on both strands into `bases`.

    Returns:
        Mask over `bases`: True inside a copy. These are the stretches a FASTA shows in lower case.
    """
    masked = np.zeros(bases.size, dtype=bool)
    for _ in range(bases.size // _REPEAT_EVERY):
        start = int(rng.integers(0, bases.size - founder.size))
        copy = founder.copy()
        changed = rng.random(copy.size) < _REPEAT_DIVERGENCE
        copy[changed] = rng.choice([_A, _C, _G, _T], size=int(changed.sum()))
        if rng.random() < 0.5:
            copy = reverse_complement(copy)
        bases[start : start + copy.size] = copy
        masked[start : start + copy.size] = True
    return masked
