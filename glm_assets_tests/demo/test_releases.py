from __future__ import annotations

from collections import Counter

import pytest

from glm_assets_tests.demo.oracle import read_rows


@pytest.fixture(scope="module")
def releases(either_tree):
    return tuple({row.key: row for row in read_rows(vcf)} for vcf in either_tree.vcfs)


def test_the_newer_release_differs_as_stated(either_tree, releases):
    older, newer = releases
    both = older.keys() & newer.keys()
    relabelled = [key for key in both if older[key].info.get("CLNSIG") != newer[key].info.get("CLNSIG")]
    reviewed = [
        key
        for key in both
        if key not in relabelled and older[key].info.get("CLNREVSTAT") != newer[key].info.get("CLNREVSTAT")
    ]
    found = {
        "added": len(newer.keys() - older.keys()),
        "withdrawn": len(older.keys() - newer.keys()),
        "relabelled": len(relabelled),
        "reviewed": len(reviewed),
    }
    assert found == either_tree.counts["changes"]
    assert min(found.values()) > 0


def test_every_kind_of_relabelling_happens(either_tree, releases):
    older, newer = releases
    moves = Counter((older[key].label, newer[key].label) for key in older.keys() & newer.keys())
    assert moves[None, 1] + moves[None, 0] > 0  # doubt became a judgement
    assert moves[1, None] > 0  # a judgement became a conflict
    assert moves[0, 1] > 0  # a judgement was turned round


def test_nothing_but_the_classification_of_a_record_changes(releases):
    older, newer = releases
    said = {"CLNSIG", "CLNREVSTAT", "CLNSIGCONF", "CLNSIGSCV", "CLNDN", "CLNDISDB", "AF_EXAC"}
    for key in older.keys() & newer.keys():
        assert older[key].variation_id == newer[key].variation_id
        kept = [{k: v for k, v in release[key].info.items() if k not in said} for release in releases]
        assert kept[0] == kept[1]
