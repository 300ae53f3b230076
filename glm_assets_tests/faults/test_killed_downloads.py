"""kill -9 while the release comes in: over the web it is continued from its last byte, a copy begins anew."""

from __future__ import annotations

import hashlib
import os
import signal

import pytest

from glm_assets_tests.checkouts import wait_until
from glm_assets_tests.faults.kills import STAGES, begin, kill_in, leftovers
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.sources.servers import Fault, serve

pytestmark = pytest.mark.system


def test_a_killed_download_of_the_release_is_continued_by_the_next_run(tmp_path, tiny_tree):
    """From a server that sends half at once and then 50 bytes a second, until the process is killed."""
    with serve(tiny_tree) as site:
        study = tiny_study(tmp_path, site.url, test_csv=None)
        served = max(tiny_tree.rglob("weekly/clinvar_????????.vcf.gz"))
        half = served.stat().st_size // 2
        site.faulty, site.faults = r"weekly/clinvar_\d+\.vcf\.gz$", [Fault("drip", half)]

        process = begin("clinvar_release", study.settings)
        wait_until(lambda: arrived(study) >= half, "half of the release")
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        kept = arrived(study)
        assert half <= kept < served.stat().st_size

        manifest = STAGES["clinvar_release"].make(study)
        assert site.asked(served.name) == [None, f"bytes={kept}-"]
    found = study.releases_folder / served.name.split("_")[1].split(".")[0] / served.name
    assert hashlib.md5(found.read_bytes()).hexdigest() == manifest.facts["md5"]
    assert found.read_bytes() == served.read_bytes()
    assert leftovers(study) == []


def arrived(study) -> int:
    return sum(part.stat().st_size for part in study.releases_folder.glob("*/*.vcf.gz.part"))


def test_a_killed_copy_of_the_release_leaves_nothing_once_the_next_is_done(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree, test_csv=None)
    assert kill_in("clinvar_release", study, "glm_assets.sources.progress:TransferMeter.add", 1) == -signal.SIGKILL
    (left,) = leftovers(study)
    assert left.name.endswith(".vcf.gz")
    assert not STAGES["clinvar_release"].make(study).reused
    assert leftovers(study) == []
