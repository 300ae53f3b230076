"""When a request is scored anew, which head may score it, how ratios are kept, and VCFs at the edges."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from glm_assets.errors import EncoderError
from glm_assets.heads.files import META_FILE
from glm_assets.lineage.probes import make_probe
from glm_assets.lineage.scored_variants import make_scored_variants
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.user_scoring import (
    HEADER,
    PLACE,
    asking,
    genome,
    other_base,
    score,
    scoring_study,
    silent,
)

GAP_END = 17_881


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_tree) -> Study:
    return scoring_study(tmp_path_factory.mktemp("requests"), tiny_tree)


def with_profile(study: Study, folder: Path, key: str, value) -> Study:
    """The same study but for a value of its profile, such as `labels.indel_max`."""
    values = yaml.safe_load(Path(study.settings.profile).read_text())
    *parents, last = key.split(".")
    place = values
    for name in parents:
        place = place.setdefault(name, {})
    assert place.get(last) != value
    place[last] = value
    folder.mkdir(exist_ok=True)
    path = folder / "tiny.yaml"  # the profile's name is the file's
    path.write_text(yaml.safe_dump(values))
    # A copy of settings keeps the profile that they have read.
    return Study(Settings.model_validate(study.settings.model_dump() | {"profile": str(path)}))


def vcf(study: Study, path: Path, *more: str) -> Path:
    text = genome(study, "22")
    first = f"chr22\t{PLACE + 1}\t.\t{text[PLACE]}\t{other_base(text[PLACE])}\t.\t.\t."
    path.write_text(HEADER + "\n".join([first, *more]) + "\n")
    return path


def deletion(study: Study, pos: int, bases: int) -> str:
    text = genome(study, "22")
    return f"chr22\t{pos}\t.\t{text[pos - 1 : pos + bases]}\t{text[pos - 1]}\t.\t.\t."


def made(study: Study, *, head: int | None = 1, probe: str = "linear_probe"):
    """Whether a request is made anew, and its table; asked again it is there."""
    manifest, table, _ = score(study, head=head, probe=probe, likelihood=False)
    again = score(study, head=head, probe=probe, likelihood=False)[0]
    assert again.reused
    assert again.data_version == manifest.data_version
    return not manifest.reused, table


def test_what_a_request_is_a_function_of_makes_it_anew(root, tmp_path):
    experiment = tmp_path / "mine.tsv"
    text = genome(root, "22")[PLACE : PLACE + 20]
    rows = [f"22\t{PLACE + 1 + i}\t{base}\t{other_base(base)}\t{i % 7}" for i, base in enumerate(text)]
    experiment.write_text("\n".join(["chrom\tpos\tref\talt\tscore", *rows]))
    asked = asking(root, region=f"22:{PLACE + 1}-{PLACE + 20}")
    measured = asking(asked, experiment=experiment)
    alone = "none"  # of another seed's profile there is no probe, which by itself makes it anew
    changes = {
        "seed": 7,
        "comparison.resamples": 150,
        "labels.indel_max": 40,
        "encoder.store_dtype": "float16",
        "encoder.pooling": "downstream:32",
        "windows.anchor": 60,
    }
    others = [with_profile(measured, tmp_path / key, key, value) for key, value in changes.items()]
    for other in (*others, asked):
        score(measured, likelihood=False, probe=alone)
        assert made(other, probe=alone)[0], other.settings.profile
    for head in (2, None):
        score(measured, likelihood=False, probe=alone)
        assert made(measured, head=head, probe=alone)[0]
    score(measured, likelihood=False, probe=alone)
    experiment.write_text(experiment.read_text() + "\n")
    assert made(measured, probe=alone)[0]
    # Without an experiment nothing is drawn.
    made(asked, probe=alone)
    assert not made(with_profile(asked, tmp_path / "asked", "seed", 7), probe=alone)[0]


def test_an_absent_score_is_absent_for_the_reason_of_this_request(root, tmp_path):
    study = asking(root, region=f"22:{PLACE + 1}-{PLACE + 2}")
    score(study, probe="none", likelihood=False)
    manifest, _, _ = score(study, probe="covariance_probe", likelihood=False)
    assert not manifest.reused
    assert "no probe was asked for" not in " ".join(manifest.facts["absent_scores"])


def test_changed_bytes_of_a_vcf_make_it_anew(root, tmp_path):
    study = asking(root, user_vcf=vcf(root, tmp_path / "my.vcf"))
    assert made(study)[0]
    vcf(root, tmp_path / "my.vcf", deletion(root, PLACE + 50, 2))
    anew, table = made(study)
    assert anew
    assert table.height == 2


def test_a_probe_that_is_fitted_again_scores_anew(root, tmp_path):
    study = asking(root, region=f"22:{PLACE + 1}-{PLACE + 4}")
    refitted = with_profile(study, tmp_path, "probes.max_rows", 12)
    try:
        _, before = made(study)
        make_probe(refitted, "linear_probe", NullTracker(), silent, dagster_run_id="test")
        anew, after = made(refitted)
        assert anew
        assert after["raw_distance"].equals(before["raw_distance"])
        assert not after["probe_probability"].equals(before["probe_probability"])
    finally:
        make_probe(root, "linear_probe", NullTracker(), silent, dagster_run_id="test")


def test_a_head_of_another_encoder_scores_nothing(root, tmp_path):
    study = asking(root, region=f"22:{PLACE + 1}-{PLACE + 1}")
    weights = (root.root / "head_1.safetensors").read_bytes()
    own = {key: root.encoder_spec.as_dict()[key] for key in ("name", "revision", "layer", "dimension", "pooling")}
    for name, encoder in (("own", own), ("other", own | {"layer": "blocks.3.mlp.l3"})):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights)
        (folder / META_FILE).write_text(json.dumps({"encoder": encoder}))
    choices = {name: Choices(str(tmp_path / name), "none", likelihood=False) for name in ("own", "other")}
    manifest = make_scored_variants(study, choices["own"], NullTracker.registry, silent)
    assert manifest.facts["head_encoder"] == "name, revision, layer, pooling and width agree"
    with pytest.raises(EncoderError, match=r"another encoder.*blocks\.3\.mlp\.l3"):
        make_scored_variants(study, choices["other"], NullTracker.registry, silent)


def test_ratios_are_kept_in_float32_whatever_the_profile_says(root, tmp_path):
    study = with_profile(
        asking(root, region=f"22:{PLACE + 1}-{PLACE + 3}"), tmp_path, "encoder.store_dtype", "float16"
    )
    _, table, _ = score(study, head=None, probe="none")
    ratio = table["log_likelihood_ratio"].to_numpy()
    assert np.isfinite(ratio).all()
    rounded = ratio.astype(np.float16)
    assert (rounded != ratio).sum() > len(ratio) / 2
    assert np.array_equal(ratio.astype(np.float32), ratio)


@pytest.mark.parametrize("pos", [20, GAP_END + 65], ids=["contig's start", "after a gap"])
def test_a_deletion_that_draws_n_into_the_other_strand_is_scored_by_one_strand_only(root, tmp_path, pos):
    path = vcf(root, tmp_path / "my.vcf", deletion(root, pos, 9))
    study = asking(root, user_vcf=path)
    assert score(study, likelihood=False)[1]["reason"].to_list() == [None, None]
    both = [(study, True), (with_profile(study, tmp_path / "both", "encoder.reverse_complement", True), False)]
    for asked, likelihood in both:
        manifest, table, folder = score(asked, probe="none", likelihood=likelihood)
        assert table["reason"].to_list() == [None, "reverse_window_with_n"]
        for name in ("head_distance", "raw_distance", "log_likelihood_ratio"):
            assert table[name][1] is None
        assert table["head_distance"][0] is not None
        assert manifest.facts["unscored"] == {"reverse_window_with_n": 1}
        assert b"GLM_REASON=reverse_window_with_n" in gzip.decompress((folder / "scored.vcf.gz").read_bytes())


def test_a_position_beyond_every_index_is_told_and_the_rest_is_scored(root, tmp_path):
    far = "chr22\t600000000\t.\tA\tC\t.\t.\t."
    study = asking(root, user_vcf=vcf(root, tmp_path / "my.vcf", far))
    manifest, table, folder = score(study, likelihood=False)
    assert table["reason"].to_list() == [None, "window_outside_contig"]
    assert manifest.facts["index"].startswith("none: ")
    assert "536,870,912" in manifest.facts["index"]
    assert "scored.vcf.gz.tbi" not in manifest.files
    assert gzip.decompress((folder / "scored.vcf.gz").read_bytes()).count(b"\nchr22\t") == 2
