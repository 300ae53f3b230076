"""Two releases compared: against plain dictionaries, on made-up records and on the real pair."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from glm_assets.sources.clinvar import WEEKLY
from glm_assets.sources.vcf import parse_records
from glm_assets.storage.schemas import RECORDS
from glm_assets.storage.schemas_release import CLINVAR_RELEASE_DIFF
from glm_assets.variants.labels import LabelPolicy
from glm_assets.variants.release_diff import (
    as_markdown,
    compare_releases,
    count_changes,
    label_transitions,
    summarise,
)

ONE_STAR, TWO_STARS = (
    "criteria_provided,_single_submitter",
    "criteria_provided,_multiple_submitters,_no_conflicts",
)
NO_STAR = "no_assertion_criteria_provided"
STARS = {ONE_STAR: 1, TWO_STARS: 2, NO_STAR: 0, None: 0}
STRICT = LabelPolicy("strict", 1)


def record(variation_id, place="1:100:A>C", clnsig="Benign", review=ONE_STAR, gene="G1", **others) -> dict:
    chrom, pos, alleles = place.split(":")
    ref, alt = alleles.split(">")
    known = {"variation_id": variation_id, "chrom": chrom, "pos": int(pos), "ref": ref, "alt": alt}
    return known | {"clnsig": clnsig, "clnrevstat": review, "gene": gene, "geneinfo": f"{gene}:1"} | others


def write(path: Path, records: list[dict]) -> Path:
    frame = pl.DataFrame([{**dict.fromkeys(RECORDS.schema), **row} for row in records], schema=RECORDS.schema)
    frame.write_parquet(path)
    return path


def differences(folder: Path, old: list[dict], new: list[dict], policy=STRICT) -> pl.DataFrame:
    paths = write(folder / "old.parquet", old), write(folder / "new.parquet", new)
    diff = compare_releases(*paths, policy=policy, indel_max=50)
    CLINVAR_RELEASE_DIFF.check(diff)
    return diff


def flags(row: dict) -> set[str]:
    return {name.removesuffix("_changed") for name in row if name.endswith("_changed") and row[name]}


def test_each_kind_of_change_is_told_apart(tmp_path):
    same = record(1)
    old = [
        same,
        record(2, "1:200:A>C", "Benign"),
        record(3, "1:300:A>C", "Benign", ONE_STAR),
        record(4, "1:400:A>C", "Pathogenic", ONE_STAR),
        record(5, "1:500:A>C", gene="GONE"),
        record(6, "1:600:A>C"),
        record(9, "1:900:A>C", "Likely_benign", NO_STAR),
    ]
    new = [
        same,
        record(2, "1:200:A>C", "Uncertain_significance"),
        record(3, "1:300:A>C", "Benign", TWO_STARS),
        record(4, "1:400:A>C", "Pathogenic/Likely_pathogenic", ONE_STAR),
        record(6, "2:650:A>AT", "Pathogenic"),
        record(7, "1:700:A>C", "Pathogenic", gene="COME"),
        record(9, "1:900:A>C", "Benign", ONE_STAR),
    ]
    rows = {row["variation_id"]: row for row in differences(tmp_path, old, new).iter_rows(named=True)}
    assert {key: (row["change"], flags(row)) for key, row in rows.items()} == {
        2: ("changed", {"clnsig", "label"}),  # benign to no label
        3: ("changed", {"review", "stars"}),
        4: ("changed", {"clnsig"}),  # another word for the same label
        5: ("removed", set()),
        6: ("moved", {"clnsig", "label"}),
        7: ("added", set()),
        9: ("changed", {"clnsig", "review", "stars", "label"}),  # the star makes it a label
    }
    assert (rows[2]["old_label"], rows[2]["new_label"], rows[2]["new_drop_reason"]) == (
        0,
        None,
        "uncertain_significance",
    )
    assert (rows[3]["old_stars"], rows[3]["new_stars"]) == (1, 2)
    assert (rows[6]["chrom"], rows[6]["pos"], rows[6]["alt"], rows[6]["moved_from"]) == (
        "2",
        650,
        "AT",
        "1:600:A>C",
    )
    assert (rows[6]["old_label"], rows[6]["new_label"]) == (0, 1)
    assert [rows[key]["gene"] for key in (5, 7)] == ["GONE", "COME"]
    assert [rows[5][f"new_{name}"] for name in ("clnsig", "label", "stars")] == [None] * 3
    assert [row["moved_from"] for key, row in rows.items() if key != 6] == [None] * 6


def test_the_label_is_judged_by_the_policy_that_is_asked(tmp_path):
    old, new = [record(1, review=ONE_STAR)], [record(1, review=TWO_STARS)]
    for stars, changed in ((1, False), (2, True)):
        (row,) = differences(tmp_path, old, new, LabelPolicy("strict", stars)).iter_rows(named=True)
        assert row["label_changed"] is changed


def test_an_id_on_several_alleles_and_records_without_an_id_are_kept_apart(tmp_path):
    old = [
        record(1, "1:100:A>C,G"),
        record(None, "1:200:A>C"),
        record(None, "1:200:A>C"),
        record(None, "1:250:A>C"),
    ]
    new = [record(1, "1:100:A>C,T"), record(None, "1:200:A>C"), record(None, "1:260:A>C"), record(8, "1:300:A>.")]
    found = differences(tmp_path, old, new).select("variation_id", "pos", "alt", "change", "moved_from").rows()
    assert found == [
        (1, 100, "T", "moved", "1:100:A>G"),
        (None, 200, "C", "removed", None),  # one of the two
        (None, 250, "C", "removed", None),  # without an ID nobody knows where it went
        (None, 260, "C", "added", None),
        (8, 300, ".", "added", None),
    ]


def test_equal_releases_differ_in_nothing(tmp_path):
    records = [record(number, f"1:{number}:A>C") for number in range(1, 5)]
    diff = differences(tmp_path, records, records)
    assert diff.is_empty()
    assert set(count_changes(diff).values()) == {0}
    assert label_transitions(diff) == {}
    assert summarise(diff).is_empty()
    assert as_markdown(summarise(diff)).count("\n") == 1


def test_random_releases_agree_with_dictionaries(tmp_path):
    draw = random.Random(3)
    words = ["Benign", "Pathogenic", "Uncertain_significance", None]

    def some(ids):
        return [
            record(
                number,
                f"{number % 3 + 1}:{number + draw.randrange(2)}:A>C",
                draw.choice(words),
                draw.choice([*STARS]),
            )
            for number in ids
        ]

    old, new = some(range(1, 300)), some(range(50, 350))
    for records in (old, new):
        records.sort(key=lambda row: (row["chrom"], row["pos"]))
    diff = differences(tmp_path, old, new)
    before, after = ({row["variation_id"]: row for row in records} for records in (old, new))
    expected: dict[int, tuple[str, set[str]]] = {}
    for number in before.keys() | after.keys():
        a, b = before.get(number), after.get(number)
        if a is None or b is None:
            expected[number] = ("added" if a is None else "removed", set())
            continue
        differs = {
            name
            for name, value in (
                ("clnsig", lambda row: row["clnsig"]),
                ("review", lambda row: row["clnrevstat"]),
                ("stars", lambda row: STARS[row["clnrevstat"]]),
                (
                    "label",
                    lambda row: row["clnsig"] if STARS[row["clnrevstat"]] and row["clnsig"] in words[:2] else 0,
                ),
            )
            if value(a) != value(b)
        }
        moved = a["pos"] != b["pos"]
        if moved or differs:
            expected[number] = ("moved" if moved else "changed", differs)
    assert {row["variation_id"]: (row["change"], flags(row)) for row in diff.iter_rows(named=True)} == expected
    assert diff.height == len(expected)
    counts = summarise(diff)
    assert counts["rows"].sum() == diff.height
    assert {name: counts[name].sum() for name in count_changes(diff)} == count_changes(diff)


def test_the_summary_stays_small_and_harmless_whatever_genes_are_called(tmp_path):
    evil = "<script>alert(1)</script>|[x](javascript:1)\n`a`"
    new = [record(1, gene=evil), *(record(n, f"1:{n + 100}:A>C", gene=f"G{n:06}" * 5) for n in range(2, 500))]
    text = as_markdown(summarise(differences(tmp_path, [record(0, "1:1:A>C")], [record(0, "1:1:A>C"), *new])))
    assert len(text.encode()) < 4096
    assert text.splitlines()[-1].startswith("and 4")
    only = as_markdown(summarise(differences(tmp_path, [], new[:1])))
    row = only.splitlines()[2]
    assert "<" not in only
    assert "](" not in only
    assert row.count("|") == only.splitlines()[0].count("|")


def plain_records(path: Path) -> dict[tuple, dict[str, str | None]]:
    """What a release says, read line by line without anything of ours."""
    found = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            chrom, pos, name, ref, alt, _, _, info = line.rstrip("\n").split("\t")
            keys = dict(part.split("=", 1) for part in info.split(";") if "=" in part)
            found[chrom, pos, name, ref, alt] = {key: keys.get(key) for key in ("CLNSIG", "CLNREVSTAT")}
    return found


@pytest.mark.real_data
def test_the_real_pair_agrees_with_a_loop_over_lines(real_data, tmp_path):
    weekly = real_data / "ncbi_mirror" / WEEKLY
    paths, plain = [], []
    for date in ("20251116", "20260226"):
        vcf = weekly / f"clinvar_{date}.vcf.gz"
        plain.append(plain_records(vcf))
        parse_records(vcf, tmp_path / date, progress=lambda _: None)
        paths.append(tmp_path / date)
    diff = compare_releases(*paths, policy=STRICT, indel_max=50)

    old, new = plain
    both = old.keys() & new.keys()
    expected = {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "clnsig_changed": sum(old[key]["CLNSIG"] != new[key]["CLNSIG"] for key in both),
        "review_changed": sum(old[key]["CLNREVSTAT"] != new[key]["CLNREVSTAT"] for key in both),
        "changed": sum(old[key] != new[key] for key in both),
    }
    assert expected.items() <= count_changes(diff).items()
    changed = {
        (row["chrom"], str(row["pos"]), str(row["variation_id"]), row["ref"], row["alt"])
        for row in diff.filter(change="changed").iter_rows(named=True)
    }
    assert changed == {key for key in both if old[key] != new[key]}
    assert Counter(diff.filter(change="added")["chrom"]) == Counter(key[0] for key in new.keys() - old.keys())

    on_13 = count_changes(diff.filter(chrom="13"))  # what shared/data/README.md states
    wanted = {"added": 432, "removed": 0, "moved": 0, "clnsig_changed": 143, "review_changed": 348}
    assert wanted.items() <= on_13.items()
    assert set(diff.filter(pl.col("chrom") != "13")["change"]) == {"added"}
