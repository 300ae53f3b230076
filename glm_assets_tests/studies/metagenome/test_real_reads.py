"""Fragments of real genomes, from the files to a trained classifier beside the k-mer baseline."""

from __future__ import annotations

import polars as pl
import pytest

from glm_assets_tests.studies.metagenome.tiny import judge, tiny_metagenome, train


@pytest.mark.system
@pytest.mark.real_data
def test_the_report_says_by_how_much_the_baseline_is_beaten_or_not(real_data, generated, tmp_path):
    folder = real_data / "metagenome"
    reads = {
        "files": [{"path": str(folder / f"reads.{split}.fa.gz"), "split": split} for split in ("train", "val")],
        "mapping": str(folder / "mapping.tsv"),
        # Three of the five classes are one organism each: pieces of their genomes are told apart.
        "genome": "^(.+_[0-9]*?)[0-9]{1,3}_[fr]$",
    }
    study = tiny_metagenome(tmp_path, generated, reads=reads, training={"epochs": 2}, baseline_k=6)
    trained, judged = train(study), judge(study)
    assert trained.facts["reads"]["train"] == 4000
    assert sum(trained.facts["reads"].values()) == 4800
    assert trained.facts["unknown_token_share"] == 0
    assert judged.facts["judged_split"] == "test"
    table = pl.read_parquet(study.evaluation().files() / "part.parquet").filter(slice="all", figure="macro_f1")
    own, baseline = (table.filter(predictor=name)["value"][0] for name in ("model", "kmer_baseline"))
    assert baseline > 0.4  # 0.2 is chance
    assert own > 0.2
    assert judged.facts["macro_f1_over_baseline"] == pytest.approx(own - baseline)
    low, high = (judged.facts[f"macro_f1_over_baseline_{side}"] for side in ("low", "high"))
    assert low is None or low <= own - baseline <= high
