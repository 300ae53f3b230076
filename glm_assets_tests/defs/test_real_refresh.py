"""From the older to the newer real BRCA2 release, by sensors and runs, on a part of exon 11."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import dagster as dg
import pytest

from glm_assets.lineage.release_diff import release_diff_product
from glm_assets.sources.clinvar import WEEKLY
from glm_assets.sources.reference import ASSEMBLY_FOLDER
from glm_assets.storage.tables import read_part
from glm_assets_tests.defs.daemon import Daemon
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.sources.conftest import publish
from glm_assets_tests.sources.files import bgzf

FIRST, LAST = 32_337_000, 32_338_200
OLDER, NEWER = "2025-11-30", "2026-03-01"
SENSORS = ("clinvar_release_sensor", "embed_sensor", "train_sensor", "submit_sensor")


def cut_mirror(mirror: Path, dest: Path) -> dict[str, dict[tuple, tuple]]:
    """A copy of the mirror with the records of a small region; gives what each release says there, read by lines."""
    weekly = dest / WEEKLY
    weekly.mkdir(parents=True)
    said = {}
    for date in ("20251116", "20260226"):
        kept = []
        records = said[date] = {}
        with gzip.open(mirror / WEEKLY / f"clinvar_{date}.vcf.gz", "rt") as lines:
            for line in lines:
                if line.startswith("#"):
                    kept.append(line)
                    continue
                chrom, pos, name, ref, alt, *_, info = line.rstrip("\n").split("\t")
                if chrom == "13" and FIRST <= int(pos) <= LAST:
                    kept.append(line)
                    keys = dict(part.split("=", 1) for part in info.split(";") if "=" in part)
                    records[pos, name, ref, alt] = keys.get("CLNSIG"), keys.get("CLNREVSTAT")
        publish(weekly / f"clinvar_{date}.vcf.gz", bgzf("".join(kept).encode()))
    shutil.copytree(mirror / ASSEMBLY_FOLDER, dest / ASSEMBLY_FOLDER)
    return said


def digests(study) -> set[tuple]:
    """What a variant's vectors are a function of."""
    columns = ["ref_digest", "var_digest", "variant_offset", "ref", "alt"]
    table = read_part(study.variant_windows("13").folder, columns)
    return {(*row[:3], len(row[3]), len(row[4])) for row in table.rows()}


@pytest.mark.real_data
@pytest.mark.system
def test_the_newer_release_costs_only_its_new_windows_and_is_asked_for_once(tmp_path, real_data, monkeypatch):
    monkeypatch.setattr("glm_assets.lineage.variants.save_figure", lambda figure, path: None)
    monkeypatch.setattr("glm_assets.lineage.embeddings.save_figure", lambda figure, path: None)
    source = tmp_path / "mirror"
    old, new = cut_mirror(real_data / "ncbi_mirror", source).values()
    changes = {
        "chromosomes": ["13"],
        "windows": {"length": 64, "anchor": 32},
        "refresh": {"train": False, "submit": False},
    }

    def study(cutoff):
        return tiny_study(tmp_path, source, changes, clinvar_cutoff=cutoff, test_csv=None)

    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(instance)
        older = study(OLDER)
        launched = [daemon.work(older, sensor) for sensor in SENSORS]
        md5 = older.release().data_version
        assert launched == [[md5], [f"{md5}:13"], [], []]
        known = digests(older)
        assert len(known) > 50
        assert release_diff_product(older).current().facts["rows"] == 0

        newer = study(NEWER)
        launched = [daemon.work(newer, sensor) for sensor in SENSORS]
        md5 = newer.release().data_version
        assert launched == [[md5], [f"{md5}:13"], [], []]
        assert [daemon.work(newer, sensor) for sensor in SENSORS] == [[]] * 4

    both = old.keys() & new.keys()
    counts = release_diff_product(newer).current().facts
    assert counts["added"] == len(new.keys() - old.keys()) > 0
    assert counts["removed"] == len(old.keys() - new.keys())
    assert counts["clnsig_changed"] == sum(old[key][0] != new[key][0] for key in both) > 0
    assert counts["review_changed"] == sum(old[key][1] != new[key][1] for key in both) > 0
    assert counts["changed"] == sum(old[key] != new[key] for key in both)

    facts = newer.variant_embeddings("13").current().facts
    unseen = digests(newer) - known
    assert 0 < len(unseen) < len(known) / 4
    assert facts["rows"] - facts["cache_hits"] == len(unseen)
    assert facts["windows_computed"] <= len(unseen) + len({row[0] for row in unseen}) + 1
