"""Names from listings, VCF files, checkpoints, indices, model registries and settings never lead out of a folder."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from glm_assets.encoders.hub import checkpoint, model, snapshot
from glm_assets.encoders.hub.snapshot import PublishedFile, Snapshot, recorded_commit, take_snapshot
from glm_assets.encoders.huggingface.folder import INDEX, weight_files
from glm_assets.errors import DownloadError, GlmError, IntegrityError
from glm_assets.evaluation.predictors import parse_predictors
from glm_assets.profiles.profile import read_profile
from glm_assets.settings import Settings
from glm_assets.sources import listing
from glm_assets.sources.clinvar import WEEKLY, fetch_release
from glm_assets.sources.vcf import parse_records
from glm_assets.storage.products import MANIFEST, Manifest
from glm_assets.tracking import ModelVersion
from glm_assets.tracking.registry import MlflowRegistry
from glm_assets.variants.user_vcf import read_user_vcf
from glm_assets_tests.sources.files import HEADER, gzipped

HOSTILE = (
    *(
        "../x",
        "../../x",
        "/etc/passwd",
        "a\0b",
        "%2e%2e%2fx",
        "..%2fx",
        "x" * 5000,
        "..\u2215x",
        "CON",
        "..",
        ".",
        "",
    ),
    *("a/../../x", "C:\\x", "..\\x", "~/x", "$HOME", "a\nb"),
)


@pytest.fixture
def untouched(tmp_path):
    """A folder to work in; afterwards nothing lies beside it."""
    inside = tmp_path / "outer" / "data"
    inside.mkdir(parents=True)
    canary = tmp_path / "outer" / "x"
    canary.write_text("untouched")
    yield inside
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outer"]
    assert sorted(path.name for path in canary.parent.iterdir()) == ["data", "x"]
    assert canary.read_text() == "untouched"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_in_a_listing(untouched, monkeypatch, name):
    page = f'<a href="{name}">x</a><a href="clinvar_{name}.vcf.gz">x</a><a href="{name}/clinvar_20240101.vcf.gz">x</a>'
    monkeypatch.setattr(listing, "read_text", lambda *_args, **_options: page)
    if name == ".":
        page = page.replace("./clinvar_20240101.vcf.gz", "")  # which leads to a release in this very folder
    for found in listing.list_names("https://host/weekly"):
        assert Path(untouched, found).parent == untouched
    with pytest.raises(DownloadError):  # none of them is a release, so nothing is fetched
        fetch_release("https://host", None, untouched)
    assert list(untouched.iterdir()) == []


def test_names_in_a_mirrors_folder(untouched):
    """A folder's own links are followed by no name but a release's."""
    weekly = untouched / "tree" / WEEKLY
    weekly.mkdir(parents=True)
    for name in (
        "clinvar_20240101.vcf.gz%2f..",
        "clinvar_..vcf.gz",
        "CON",
        "..\u2215x",
        "clinvar_\uff12\uff10\uff12\uff140101.vcf.gz",
    ):
        (weekly / name).touch()
    with pytest.raises(DownloadError, match="holds no ClinVar release"):
        fetch_release(str(untouched / "tree"), None, untouched / "releases")
    assert not (untouched / "releases").exists()


@pytest.mark.parametrize("name", [name for name in HOSTILE if name and "\n" not in name])
def test_contigs_genes_and_ids_in_a_vcf(untouched, name):
    vcf, out = untouched / "x.vcf.gz", untouched / "records.parquet"
    lines = f"1\t5\t7\tA\tC\t.\t.\tGENEINFO={name}:1;CLNSIG={name}\n{name}\t5\t{name}\tA\tC\t.\t.\t.\n"
    vcf.write_bytes(gzipped(HEADER + lines.encode()))
    counts = parse_records(vcf, out)
    assert counts.foreign == {name: 1}  # never a chromosome, so never a partition and never a folder
    assert pl.read_parquet(out)["chrom"].to_list() == ["1"]
    assert sorted(path.name for path in untouched.iterdir()) == ["records.parquet", "x.vcf.gz"]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name and "\n" not in name])
def test_samples_in_a_users_vcf(untouched, name):
    path = untouched / "x.vcf"
    header = HEADER.replace(b"INFO\n", b"INFO\tFORMAT\t" + name.encode() + b"\n")
    path.write_bytes(header + f"{name}\t5\t.\tA\tC\t.\t.\t.\tGT\t0/1\n".encode())
    assert read_user_vcf(path).records["contig"].to_list() == [name]
    assert [found.name for found in untouched.iterdir()] == ["x.vcf"]


@pytest.mark.parametrize("name", HOSTILE)
def test_files_of_a_checkpoints_repository(untouched, monkeypatch, name):
    """What a repository lists beside the files that are asked for is never fetched."""
    brought = []
    monkeypatch.setattr(
        checkpoint, "download", lambda _snapshot, file, dest, _progress: brought.append((file, dest))
    )
    files = {
        name: PublishedFile(1, None),
        "m.pt": PublishedFile(1, None),
        f"m.pt.part0/{name}": PublishedFile(1, None),
    }
    monkeypatch.setattr(checkpoint, "take_snapshot", lambda repo, _revision: Snapshot(repo, "a" * 40, files))
    checkpoint.fetch_checkpoint("m", "owner/m", f"main{name}", untouched, str)
    assert brought == [("m.pt", untouched / f"m-{'a' * 40}.pt")]
    assert all(path.parent == untouched for path in untouched.rglob("*"))


@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if name not in ("CON", "$HOME", "%2e%2e%2fx", "..%2fx")]
)
def test_files_that_an_index_of_weights_names(untouched, name):
    path = untouched / INDEX
    path.write_text(json.dumps({"weight_map": {"a": name}}))
    with suppress(GlmError):
        assert all(file.parent == untouched for file in weight_files(path))


@pytest.mark.parametrize("commit", [*HOSTILE, "a" * 39, "A" * 40, None])
def test_a_commit_that_is_none(untouched, monkeypatch, commit):
    import huggingface_hub

    class Answer:
        sha, siblings = commit, ()

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_args, **_options: Answer)
    with pytest.raises(DownloadError, match="as its commit"):
        take_snapshot("owner/name", "main")


@pytest.mark.parametrize("commit", [*HOSTILE, 7, None, ["x"]])
def test_a_record_of_a_commit_that_somebody_changed(untouched, commit):
    snapshot.record_commit(untouched, "m", "main", Snapshot("owner/m", "a" * 40, {}))
    (record,) = untouched.glob("*.json")
    record.write_text(json.dumps({"commit": commit}))
    assert recorded_commit(untouched, "m", "main") is None


@pytest.mark.parametrize("text", HOSTILE)
def test_repositories(text):
    for name in (f"{text}/x", f"x/{text}", f"{text}/{text}"):
        found = model.parse_repository(name)
        assert found is None or ("/" not in found[0].replace("/", "", 1) and ".." not in found[0].split("/"))


@pytest.mark.parametrize("name", HOSTILE)
def test_models_and_files_of_a_registry(untouched, name):
    registry = MlflowRegistry(f"sqlite:///{untouched / 'mlflow.db'}")
    hostile = (
        [ModelVersion("m", "1", None, (), {f"sha256/{name}": "0" * 64})] if "/" in name or name == ".." else []
    )
    if name not in ("CON", "$HOME", "a\nb", "%2e%2e%2fx", "..%2fx", "..\u2215x"):  # plain names, if odd ones
        hostile += [ModelVersion(name, "1", None, (), {"sha256/x": "0" * 64})]
        hostile += [ModelVersion("m", name, None, (), {"sha256/x": "0" * 64})]
    for version in hostile:
        with pytest.raises(IntegrityError):
            registry.fetch(version, untouched / "cache")
    assert not (untouched / "cache").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_a_manifest_names(untouched, name):
    record = {"size": 1, "sha256": "0" * 64, "mtime_ns": 0}
    made = Manifest("a", None, "1", {}, {}, "1", "1", {}, {}, "2024-01-01T00:00:00+00:00", {})
    assert Manifest.parse(json.dumps(made.to_json()).encode()) == made
    manifest = made.to_json() | {"files": {name: record}}
    (untouched / MANIFEST).write_text(json.dumps(manifest))
    found = Manifest.read(untouched)
    outside = ("../x", "../../x", "/etc/passwd", "a\0b", "..", ".", "", "a/../../x", "C:\\x", "..\\x")
    assert (found is None) == (name in outside)


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\0" not in name])
def test_names_in_the_settings(monkeypatch, name):
    """Chromosomes become folders, predictors become rows: both are taken only where their names are plain."""
    with pytest.raises(GlmError):
        Settings(profile="demo", chromosomes=f"21,{name}x").run_profile  # noqa: B018 - the property checks
    if name not in ("CON", "..", ".", "x" * 5000):  # what else is plain
        with pytest.raises(GlmError):
            parse_predictors(f"{name}=/data/x.tsv")
    values = read_profile("demo")
    assert name not in values["heads"]
