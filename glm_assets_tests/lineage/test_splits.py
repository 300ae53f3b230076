"""Every split rule from the release to the audit, and what makes its windows stale."""

from __future__ import annotations

import csv
import gzip
import hashlib
import shutil

import numpy as np
import polars as pl
import pytest

from glm_assets.demo.recipe import ChromosomeRecipe, DemoRecipe, SequenceRecipe
from glm_assets.demo.tree import make_demo_tree
from glm_assets.errors import MissingUpstreamError, SettingsError
from glm_assets.genome.splits import md5_split
from glm_assets.lineage.sources import make_clinvar_release, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study

OLDER, NEWER = "2025-11-02", "2025-11-09"
WEEKLY = "pub/clinvar/vcf_GRCh38/weekly"


def silent(line: str) -> None:
    """Progress that nobody reads."""


def split_study(folder, tree, rule: str, chromosomes=("21", "22"), *, profile=None, **keys) -> Study:
    split = {"rule": rule, "merge_test_into_train": False} | {
        name: keys.pop(name) for name in ("test_chromosomes", "val_chromosomes", "train_release") if name in keys
    }
    changes = {"chromosomes": list(chromosomes), "split": split} | (profile or {})
    return tiny_study(folder, tree, profile=changes, **keys)


def make_windows(study: Study) -> pl.DataFrame:
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    for chrom in study.profile.chromosomes:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    return read_windows(study)


def read_windows(study: Study) -> pl.DataFrame:
    return pl.concat([read_part(study.variant_windows(chrom).folder) for chrom in study.profile.chromosomes])


def test_a_gene_is_in_one_split_by_its_name(tmp_path, tiny_tree):
    windows = make_windows(split_study(tmp_path, tiny_tree, "gene"))
    single = windows.filter(~pl.col("genes").str.contains(","))
    assert single["genes"].n_unique() > 10
    assert single.group_by("genes").agg(pl.col("split").n_unique())["split"].max() == 1
    study = split_study(tmp_path, tiny_tree, "gene")
    facts = make_split_audit(study).facts
    assert facts["held_out_rows"] > 0
    assert (facts["shared_gene_rows"], facts["overlapping_rows"], facts["duplicate_pair_rows"]) == (0, 0, 0)


def test_whole_chromosomes_are_sides_and_another_fold_remakes_only_what_changed(tmp_path, tiny_tree):
    one = split_study(tmp_path, tiny_tree, "chromosome", test_chromosomes=["21"], val_chromosomes=["22"])
    windows = make_windows(one)
    assert set(windows.select("chrom", "split").unique().rows()) == {("21", "test"), ("22", "val")}
    other = split_study(tmp_path, tiny_tree, "chromosome", test_chromosomes=["21"], val_chromosomes=["1"])
    assert other.variant_windows("21").current() is not None
    assert other.variant_windows("22").current() is None
    make_variant_windows(other, "22")
    assert set(read_windows(other).select("chrom", "split").unique().rows()) == {("21", "test"), ("22", "train")}
    assert make_split_audit(other).facts["shared_gene_rows"] == 0


def test_merging_test_into_train_leaves_the_windows_as_they_are(tmp_path, tiny_tree):
    make_windows(split_study(tmp_path, tiny_tree, "locus"))
    merged = tiny_study(tmp_path, tiny_tree, profile={"split": {"rule": "locus", "merge_test_into_train": True}})
    assert all(merged.variant_windows(chrom).current() for chrom in ("21", "22"))


def test_what_is_new_since_the_earlier_release_tests(tmp_path, tiny_tree):
    make_clinvar_release(tiny_study(tmp_path, tiny_tree, clinvar_cutoff=OLDER), silent)
    study = split_study(tmp_path, tiny_tree, "temporal", train_release="2025-11-05")
    windows = make_windows(study)

    def alleles(date: str) -> set[tuple]:
        with gzip.open(tiny_tree / WEEKLY / f"clinvar_{date}.vcf.gz", "rt") as stream:
            fields = [line.split("\t") for line in stream if not line.startswith("#")]
        return {(row[0], int(row[1]), row[3].upper(), alt) for row in fields for alt in row[4].upper().split(",")}

    new = alleles("20251109") - alleles("20251102")
    tested = set(windows.filter(split="test").select("chrom", "pos", "ref", "alt").rows())
    assert tested == new & set(windows.select("chrom", "pos", "ref", "alt").rows())
    assert 0 < len(tested) < windows.height / 2
    inputs = study.variant_windows("21").inputs
    md5 = (tiny_tree / WEEKLY / "clinvar_20251102.vcf.gz.md5").read_text().split()[0]
    assert inputs["clinvar_release/train"] == md5


def labelled_since(study: Study) -> int:
    return sum(
        study.require(study.variant_windows(chrom)).facts["labelled_since"] for chrom in study.profile.chromosomes
    )


def test_rows_that_had_no_label_in_the_earlier_release_are_counted(tmp_path, tiny_tree):
    tree = tmp_path / "tree"
    shutil.copytree(tiny_tree, tree)
    vcf = tree / WEEKLY / "clinvar_20251102.vcf.gz"
    with gzip.open(vcf, "rt") as stream:
        lines = list(stream)
    wanted = [line for line in lines if line.startswith(("21\t", "22\t")) and "CLNSIG=Benign;" in line][:5]
    with gzip.open(vcf, "wt") as stream:
        for line in lines:
            unsure = line.replace("CLNSIG=Benign;", "CLNSIG=Uncertain_significance;")
            stream.write(unsure if line in wanted else line)
    vcf.with_name(f"{vcf.name}.md5").write_text(f"{hashlib.md5(vcf.read_bytes()).hexdigest()}  {vcf.name}\n")
    counts = []
    for name, source in (("before", tiny_tree), ("after", tree)):
        make_clinvar_release(tiny_study(tmp_path / name, source, clinvar_cutoff=OLDER), silent)
        study = split_study(tmp_path / name, source, "temporal", train_release="2025-11-05")
        windows = make_windows(study)
        counts.append(labelled_since(study))
    places = {(line.split("\t")[0], int(line.split("\t")[1]), line.split("\t")[3]) for line in wanted}
    trained = set(windows.filter(pl.col("split") != "test").select("chrom", "pos", "ref").rows())
    assert counts[1] - counts[0] == len(places & trained) > 0


def test_without_an_earlier_release_the_command_that_brings_it_is_named(tmp_path, tiny_tree):
    study = split_study(tmp_path, tiny_tree, "temporal", train_release="2025-11-05")
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_clinvar_variants(study, "21")
    fix = "GLM_CLINVAR_CUTOFF=2025-11-05 dagster asset materialize -m glm_assets.definitions --select clinvar_release"
    with pytest.raises(MissingUpstreamError, match=f"of 2025-11-05 or before.*{fix}"):
        make_variant_windows(study, "21")


@pytest.mark.parametrize("cutoff", [OLDER, NEWER])
def test_a_study_on_the_release_it_trains_on_is_refused(tmp_path, tiny_tree, cutoff):
    for date in (OLDER, NEWER):
        make_clinvar_release(tiny_study(tmp_path, tiny_tree, clinvar_cutoff=date), silent)
    study = split_study(tmp_path, tiny_tree, "temporal", train_release=NEWER, clinvar_cutoff=cutoff)
    with pytest.raises(SettingsError, match="finds the release 20251109, and the study is on 202511"):
        study.train_release()


@pytest.fixture(scope="module")
def sex_tree(tmp_path_factory):
    """A tree of X and Y in which a gene of X is on Y too, in records that name a second gene besides."""
    recipe = DemoRecipe(
        seed=7,
        chromosomes=tuple(ChromosomeRecipe(chrom, length=30_000, genes=10, labelled=36) for chrom in "XY"),
        sequences=SequenceRecipe(length=128, pairs=4, short_pairs=1, ladders=1),
    )
    root = make_demo_tree(tmp_path_factory.mktemp("sex") / "tree", recipe).root
    vcf = root / WEEKLY / "clinvar_20251109.vcf.gz"
    with gzip.open(vcf, "rt") as stream:
        lines = list(stream)
    symbols = {chrom: [symbol_of(line) for line in lines if line.startswith(f"{chrom}\t")] for chrom in "XY"}
    on_x, on_y = (max(set(names), key=names.count) for names in (symbols["X"], symbols["Y"]))
    shared = "SHARED1"
    wanted = "test" if md5_split([shared])[0] != "test" else "train"
    first = next(name for name in (f"AAA{n}" for n in range(99)) if md5_split([name])[0] == wanted)
    with gzip.open(vcf, "wt") as stream:
        for line in lines:
            both = line.replace(f"GENEINFO={on_x}:", f"GENEINFO={shared}:") if line.startswith("X\t") else line
            stream.write(both.replace(f"GENEINFO={on_y}:", f"GENEINFO={first}:9|{shared}:"))
    vcf.with_name(f"{vcf.name}.md5").write_text(f"{hashlib.md5(vcf.read_bytes()).hexdigest()}  {vcf.name}\n")
    return root, shared, first, wanted


def symbol_of(line: str) -> str:
    return line.partition("GENEINFO=")[2].partition(":")[0]


def test_x_is_split_with_y_before_y_is_made(tmp_path, sex_tree):
    tree, shared, first, wanted = sex_tree
    study = split_study(tmp_path, tree, "gene", "XY")
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_clinvar_variants(study, "X")
    manifest = make_variant_windows(study, "X")
    assert manifest.inputs["clinvar_release"] == study.release().data_version
    make_clinvar_variants(study, "Y")
    make_variant_windows(study, "Y")
    windows = read_windows(study)
    shared_rows = windows.filter(pl.col("genes").str.split(",").list.contains(shared))
    assert set(shared_rows["chrom"]) == {"X", "Y"}
    assert set(shared_rows["split"]) == {wanted}, f"all rows of {shared} go with {first}"
    assert make_split_audit(study).facts["shared_gene_rows"] == 0
    assert "partner" not in split_study(tmp_path, tree, "gene", "X").variant_windows("X").recipe["split"]


def test_the_audit_finds_test_sequences_in_train_windows(tmp_path, tiny_tree):
    windows = make_windows(split_study(tmp_path, tiny_tree, "locus"))
    train = windows.filter(split="train")["ref_seq"].to_list()
    test = windows.filter(split="test")["ref_seq"].to_list()
    sequences = tmp_path / "contest.csv"
    with sequences.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["ID", "seq"])
        rows.writerows((f"shifted{n}", seq[1:]) for n, seq in enumerate(train[:3]))
        rows.writerows((f"other{n}", seq) for n, seq in enumerate(test[:4]))
    study = split_study(tmp_path, tiny_tree, "locus", test_csv=sequences)
    manifest = make_split_audit(study)
    facts = manifest.facts
    assert (facts["test_sequences"], facts["test_sequences_seen"]) == (7, 3)
    assert facts["test_sequences_seen_share"] == pytest.approx(3 / 7)
    assert "seen_sequences.png" in manifest.files
    sequences.write_text("ID,seq\nnew,ACGT\n")
    assert study.split_audit().current() is None


def test_without_a_test_csv_the_audit_says_so(tmp_path, tiny_tree):
    make_windows(split_study(tmp_path, tiny_tree, "locus"))
    study = split_study(tmp_path, tiny_tree, "locus", test_csv=tmp_path / "gone.csv")
    manifest = make_split_audit(study)
    assert "gone.csv does not exist" in manifest.facts["test_sequences_absent"]
    assert "test_sequences" not in manifest.facts
    assert "seen_sequences.png" not in manifest.files


@pytest.fixture(scope="module")
def real_root(tmp_path_factory, real_data):
    """A data root with both real releases and the reference; its studies differ in the split only."""
    root, mirror = tmp_path_factory.mktemp("real_splits"), real_data / "ncbi_mirror"
    for cutoff in ("2025-11-30", "2026-03-01"):
        study = split_study(root, mirror, "locus", ["13"], clinvar_cutoff=cutoff, test_csv=None)
        make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    return root, mirror


def real_study(real_root, rule: str, chromosomes=("13",), **keys) -> Study:
    root, mirror = real_root
    return split_study(
        root,
        mirror,
        rule,
        chromosomes,
        profile={"windows": {"length": 256, "anchor": 128}},
        clinvar_cutoff="2026-03-01",
        test_csv=None,
        **keys,
    )


def records_of(real_data, date: str) -> dict[tuple, str]:
    """Variation ID by chromosome 13's alleles, read line by line."""
    found = {}
    with gzip.open(real_data / f"ncbi_mirror/{WEEKLY}/clinvar_{date}.vcf.gz", "rt") as stream:
        for line in stream:
            if line.startswith("13\t"):
                fields = line.split("\t")
                found[(int(fields[1]), fields[3], fields[4])] = fields[2]
    return found


@pytest.mark.real_data
def test_the_real_records_that_are_new_test(real_root, real_data):
    old, new = records_of(real_data, "20251116"), records_of(real_data, "20260226")
    fresh = {alleles for alleles in new if alleles not in old}
    assert len(fresh) == 432
    study = real_study(real_root, "temporal", train_release="2025-11-30")
    windows = make_windows(study)
    tested = windows.filter(split="test")
    assert set(tested.select("pos", "ref", "alt").rows()) == fresh & set(
        windows.select("pos", "ref", "alt").rows()
    )
    assert (windows.height, tested.height) == (10_936, 235)
    assert study.require(study.variant_windows("13")).facts["labelled_since"] == 30, (
        "26 had another classification, 4 too few stars"
    )
    facts = make_split_audit(study).facts
    assert facts["splits"]["test"] == 235
    assert facts["overlapping_rows"] == overlapping(windows) > 0
    assert facts["shared_gene_share"] == {"val": 1.0, "test": 1.0}


@pytest.mark.real_data
def test_real_genes_are_whole_so_that_two_genes_fill_two_splits_at_most(real_root):
    study = real_study(real_root, "gene", ["13", "17"])
    windows = make_windows(study)
    symbols = {symbol for genes in windows["genes"] for symbol in genes.split(",")}
    assert {"BRCA1", "BRCA2", "ZAR1L", "LOC106721785"} <= symbols
    # All of chromosome 13's rows name BRCA2, so that nothing can be held out: hence the rule locus.
    assert set(windows.select("chrom", "split").unique().rows()) == {
        ("13", md5_split(["BRCA2"])[0]),
        ("17", md5_split(["BRCA1"])[0]),
    }
    facts = study.require(study.variant_windows("13")).facts
    assert (facts["largest_split_group"], facts["largest_split_group_share"]) == ("BRCA2", 1.0)


@pytest.mark.real_data
def test_the_audit_of_real_loci_counts_what_a_plain_loop_counts(real_root):
    for rule in ("locus", "faithful"):
        study = real_study(real_root, rule)
        windows = make_windows(study)
        facts = make_split_audit(study).facts
        assert facts["overlapping_rows"] == overlapping(windows)
        assert (facts["overlapping_rows"] == 0) == (rule == "locus")
        seen = set(windows.filter(split="train")["ref_seq"])
        held_out = windows.filter(pl.col("split") != "train")
        assert facts["duplicate_ref_rows"] == sum(seq in seen for seq in held_out["ref_seq"])
        assert facts["duplicate_pair_rows"] == 0
        assert facts["shared_gene_rows"] == facts["held_out_rows"] == held_out.height


def overlapping(windows: pl.DataFrame) -> int:
    """Held-out windows that touch a base of a train window, by marking every base."""
    first = windows["window_start"].min()
    covered = np.zeros(windows["window_end"].max() - first, dtype=bool)
    for start, end in windows.filter(split="train").select("window_start", "window_end").iter_rows():
        covered[start - first : end - first] = True
    held_out = windows.filter(pl.col("split") != "train").select("window_start", "window_end")
    return sum(bool(covered[start - first : end - first].any()) for start, end in held_out.iter_rows())
