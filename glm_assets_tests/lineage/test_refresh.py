"""What a refresh runs, in which order and when it runs nothing; the runs themselves are played here."""

from __future__ import annotations

import pytest

from glm_assets.errors import DownloadError, ImplausibleReleaseError, MissingUpstreamError, OfflineError
from glm_assets.lineage.probes import probe_product
from glm_assets.lineage.refresh import refresh, stale_sources
from glm_assets.lineage.release_diff import release_diff_product
from glm_assets.lineage.study import HEADS
from glm_assets.lineage.submission_score import submission_score_product
from glm_assets.sources.clinvar import WEEKLY
from glm_assets_tests.lineage.finished import (
    finish,
    finish_checkpoint,
    finish_reference,
    finish_release,
    offer,
)
from glm_assets_tests.lineage.studies import tiny_study


class Player:
    """Plays the runs of a study: each leaves what its job would, as far as decisions look."""

    def __init__(self, study) -> None:
        self.study = study
        self.runs: list[str] = []
        self.offered = ("20260101", "")
        self.lines: list[str] = []

    def execute(self, job: str, partition: str | None) -> None:
        self.runs.append(f"{job} {partition}" if partition else job)
        getattr(self, job)(*([partition] if partition else []))

    def sources(self) -> None:
        finish_release(self.study, *self.offered)
        finish_reference(self.study)
        if not (self.study.root / "weights").exists():
            finish_checkpoint(self.study)
        finish(release_diff_product(self.study), added=7, removed=2, moved=1, changed=3, label_changed=4)

    def embed(self, chrom: str) -> None:
        study, md5 = self.study, self.study.release().data_version
        finish(study.clinvar_variants(chrom), data_version=f"variants of {md5}")
        judged = {"labelled_variants": 9, "reference_compared": 9, "reference_mismatch_share": 0.0}
        finish(study.variant_windows(chrom), data_version=f"windows of {md5}", **judged)
        counted = {"rows": 50, "cache_hits": 45, "windows_computed": 12}
        finish(study.variant_embeddings(chrom), data_version=f"vectors of {md5}", **counted)

    def train(self) -> None:
        study = self.study
        for product in (study.split_audit, study.mutation_ladders, lambda: probe_product(study, "linear_probe")):
            finish(product())
        for head in HEADS:
            finish(study.head(head), of=study.release().data_version)

    def submit(self) -> None:
        study = self.study
        finish(study.test_sequences())
        finish(study.test_embeddings())
        finish(study.submission())
        finish(submission_score_product(study))

    def refresh(self, **options):
        self.runs.clear()
        self.lines.clear()
        return refresh(self.study, self.execute, self.lines.append, **options)


ALL = ["sources", "embed 21", "embed 22", "train", "submit"]


@pytest.fixture
def player(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "test.csv").write_text("ID,seq\n1,ACGT\n")
    player = Player(tiny_study(tmp_path, source))
    player.offered = ("20260101", offer(source, "20260101", b"first"))
    return player


def new_release(player: Player, date: str, content: bytes) -> None:
    source = player.study.settings.source_url
    player.offered = (date, offer(type(player.study.root)(source), date, content))


def test_everything_runs_in_its_order_once_and_then_nothing(player):
    report = player.refresh()
    assert player.runs == report.runs == ALL
    assert report.news[0] == "ClinVar release 2026-01-01: 200 records"
    assert "chromosome 21: 5 of 50 variants embedded, 45 were there; 12 windows computed" in report.news
    assert (
        "made anew: split_audit, mutation_ladders, head_v0, head_v1, head_v2, head_v3, linear_probe" in report.news
    )
    again = player.refresh()
    assert (player.runs, again.runs, again.news) == ([], [], [])


def test_a_new_release_runs_everything_again_and_names_both_dates(player):
    player.refresh()
    new_release(player, "20260108", b"second")
    report = player.refresh()
    assert player.runs == ALL
    assert report.news[0] == "ClinVar release 2026-01-08 (before: 2026-01-01): 200 records"
    assert player.refresh().runs == []


def test_only_what_is_stale_runs(player):
    player.refresh()
    study = player.study
    (study.variant_embeddings("22").folder / "manifest.json").unlink()
    assert player.refresh().runs == ["embed 22"]  # its content is what it was, so nothing follows
    (study.head("head_v3").folder / "manifest.json").unlink()
    assert player.refresh().runs == ["train"]


def test_an_interrupted_refresh_goes_on_where_it_was(player):
    done = player.embed

    def killed(chrom: str) -> None:
        if chrom == "22":
            raise KeyboardInterrupt
        done(chrom)

    player.embed = killed
    with pytest.raises(KeyboardInterrupt):
        player.refresh()
    player.embed = done
    assert player.refresh().runs == ["embed 22", "train", "submit"]


@pytest.mark.parametrize(("wanted", "runs"), [((False, False), ALL[:3]), ((True, False), ALL[:4])])
def test_the_profile_leaves_stages_to_the_user(tmp_path, player, wanted, runs):
    player.study = tiny_study(
        tmp_path, tmp_path / "source", {"refresh": dict(zip(("train", "submit"), wanted, strict=True))}
    )
    assert player.refresh().runs == runs
    assert any("profile tiny leaves submit to you" in line for line in player.lines)


def test_a_dry_run_runs_nothing_and_says_what_would(player):
    report = player.refresh(dry_run=True)
    assert report.runs == ALL
    assert (player.runs, report.news) == ([], [])
    assert player.lines[0].startswith("would run sources: clinvar_release of 2026-01-01")
    player.refresh()
    (player.study.variant_embeddings("21").folder / "manifest.json").unlink()
    assert player.refresh(dry_run=True).runs == ["embed 21", "train", "submit"]
    assert player.runs == []


def test_what_the_sources_lack_is_named(player):
    assert stale_sources(player.study) == [
        "clinvar_release of 2026-01-01",
        "reference_genome",
        "glm_checkpoint",
        "clinvar_release_diff",
    ]
    player.refresh()
    (player.study.root / "weights").write_bytes(b"other weights")
    assert stale_sources(player.study) == ["glm_checkpoint"]


def test_a_source_that_went_back_in_time_is_nothing_new(player):
    player.refresh()
    finish_release(player.study, "20260108", "b" * 32)
    player.sources = lambda: finish(release_diff_product(player.study))
    player.refresh()
    assert "clinvar_release" not in " ".join(stale_sources(player.study))


def test_a_source_that_is_down_ends_it_and_runs_nothing(player):
    player.refresh()
    weekly = player.study.settings.source_url + "/" + WEEKLY
    for path in type(player.study.root)(weekly).iterdir():
        path.unlink()
    with pytest.raises(DownloadError, match="holds no ClinVar release"):
        player.refresh()
    assert player.runs == []


def test_offline_goes_on_with_the_release_that_is_here(tmp_path, player):
    player.refresh()
    (player.study.variant_embeddings("21").folder / "manifest.json").unlink()
    # As a web address the same source would have to be asked.
    away = tiny_study(tmp_path / "away", "http://127.0.0.1:9", offline=True, test_csv=None)
    with pytest.raises(OfflineError):
        stale_sources(away)
    finish_release(away, "20260101", "a" * 32)
    assert "clinvar_release of" not in " ".join(stale_sources(away))


def test_an_implausible_release_stops_before_its_chromosomes(player):
    player.refresh()
    new_release(player, "20260108", b"half of it")
    counts = player.offered
    player.sources = lambda: finish_release(player.study, *counts, chr21=10)
    with pytest.raises(ImplausibleReleaseError, match="chromosome 21: 10 records, 90 before"):
        player.refresh()
    assert player.runs == ["sources"]


def test_the_first_failed_run_ends_it(player):
    def fail(chrom: str) -> None:
        raise MissingUpstreamError(f"no chromosome {chrom}")

    player.embed = fail
    with pytest.raises(MissingUpstreamError, match="no chromosome 21"):
        player.refresh()
    assert player.runs == ["sources", "embed 21"]
