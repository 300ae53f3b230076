"""Regions: how they are written, and every substitution in them."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import SettingsError
from glm_assets.variants.region import Region, parse_region, region_snvs


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("13:32315000-32316000", Region("13", 32314999, 32316000)),
        (" chr13:32,315,000-32,316,000 ", Region("13", 32314999, 32316000)),
        ("NC_000013.11:5", Region("13", 4, 5)),
        ("chrM:1-2", Region("MT", 0, 2)),
    ],
)
def test_regions_are_1_based_and_inclusive_under_every_name(text, region):
    assert parse_region(text) == region
    assert parse_region(str(region)) == region


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("13", "GLM_REGION is '13'"),
        ("13:-5", "GLM_REGION is"),
        ("13:,-5", "GLM_REGION is"),
        ("GL000220.1:1-5", "names the chromosome 'GL000220.1'"),
        ("13:20-10", "begins at 20 and ends at 10"),
        ("13:0-10", "begins at 0"),
        ("13:1-100001", "100,001 bases.*at most 100,000.*piece by piece"),
    ],
)
def test_a_bad_region_is_refused_with_the_fix(text, message):
    with pytest.raises(SettingsError, match=message):
        parse_region(text)


def test_every_known_base_has_its_three_substitutions_in_order():
    contig = np.frombuffer(b"TTACNGRT", np.uint8)
    rows, unknown = region_snvs(Region("1", 2, 8), contig)
    assert unknown == 2
    assert rows.select("record", "alt_index", "chrom", "pos", "ref", "alt").rows() == [
        (index, place, "1", index + 3, ref, alt)
        for index, ref in ((0, "A"), (1, "C"), (3, "G"), (5, "T"))
        for place, alt in enumerate(base for base in "ACGT" if base != ref)
    ]


def test_a_region_past_the_contig_s_end_is_refused():
    with pytest.raises(SettingsError, match="runs past the end of chromosome 1"):
        region_snvs(Region("1", 2, 9), np.frombuffer(b"TTACNGRT", np.uint8))
