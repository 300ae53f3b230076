"""A region that the user names, and every substitution of one base in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids
from glm_assets.genome.contigs import chromosome_key

MOST_BASES: Final = 100_000
BASES: Final = "ACGT"

_REGION = re.compile(r"\s*([^:\s]+):([\d,]+)(?:-([\d,]+))?\s*")
_EXPECTED: Final = "CHROM:START-END with 1-based positions, both included, such as 13:32315000-32316000"


@dataclass(frozen=True)
class Region:
    """A stretch of a chromosome.

    Attributes:
        chrom: Chromosome.
        start: 0-based.
        end: 0-based, not included.
    """

    chrom: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start + 1}-{self.end}"

    @property
    def bases(self) -> int:
        """Its length."""
        return self.end - self.start


def parse_region(text: str) -> Region:
    """Read a region; positions may have commas, and one position alone is a region of one base.

    Raises:
        SettingsError: The text is none, its end lies before its start, or it is too long.
    """
    match = _REGION.fullmatch(text)
    digits = [(group or "").replace(",", "") for group in match.groups()[1:]] if match else []
    if not match or not digits[0]:
        raise SettingsError(f"GLM_REGION is {text!r}", expected=_EXPECTED)
    chrom = chromosome_key(match[1])
    if chrom is None:
        raise SettingsError(
            f"GLM_REGION names the chromosome {match[1]!r}",
            expected="1 to 22, X, Y or MT, also as chr13 or NC_000013.11",
        )
    first = int(digits[0])
    last = int(digits[1]) if digits[1] else first
    if not 1 <= first <= last:
        raise SettingsError(f"GLM_REGION {text!r} begins at {first} and ends at {last}", expected=_EXPECTED)
    region = Region(chrom, first - 1, last)
    if region.bases > MOST_BASES:
        raise SettingsError(
            f"GLM_REGION {region} has {region.bases:,} bases, and so {3 * region.bases:,} variants",
            expected=f"at most {MOST_BASES:,} bases",
            fix="score it piece by piece: vectors are kept, so that nothing is computed twice",
        )
    return region


def region_snvs(region: Region, contig: NDArray[np.uint8]) -> tuple[pl.DataFrame, int]:
    """Every substitution of one base.

    Args:
        region: Where.
        contig: (length of the contig,) ASCII, upper case.

    Returns:
        Three rows for each A, C, G and T, by position and then in the order of `BASES`: `record` (index of the base
        in the region), `alt_index` (0 to 2), `chrom`, `pos` (1-based), `ref`, `alt`; and how many bases are others
        (N, IUPAC codes) and have none.

    Raises:
        SettingsError: The region runs past the contig's end.
    """
    if region.end > contig.size:
        raise SettingsError(
            f"GLM_REGION {region} runs past the end of chromosome {region.chrom}",
            expected=f"positions up to {contig.size:,}",
        )
    ids = encode_ids(contig[region.start : region.end])
    index = np.flatnonzero(ids != UNKNOWN_ID)
    ref = np.repeat(ids[index], 3)
    step = np.tile(np.arange(3, dtype=np.uint8), index.size)
    alt = step + (step >= ref)  # the three other bases, in order
    letters = pl.Series(list(BASES))
    rows = pl.DataFrame(
        {
            "record": np.repeat(index, 3).astype(np.int64),
            "alt_index": step.astype(np.int64),
            "chrom": pl.repeat(region.chrom, ref.size, dtype=pl.String, eager=True),
            "pos": np.repeat(region.start + 1 + index, 3).astype(np.int64),
            "ref": letters.gather(ref),
            "alt": letters.gather(alt),
        }
    )
    return rows, region.bases - index.size
