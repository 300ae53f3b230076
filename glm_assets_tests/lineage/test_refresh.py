"""What a refresh runs, in which order and when it runs nothing; the runs themselves are played here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glm_assets.errors import (
    DownloadError,
    ImplausibleReleaseError,
    MissingUpstreamError,
    OfflineError,
    RunFailedError,
)
from glm_assets.lineage.probes import probe_product
from glm_assets.lineage.refresh import refresh, stale_sources
from glm_assets.lineage.release_diff import release_diff_product
from glm_assets.lineage.study import HEADS, Study
from glm_assets.lineage.submission_score import submission_score_product
from glm_assets.planning.staleness import standing
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
        self.offered: tuple[str, str] = ("20260101", "")
        new_release(self, "20260101", b"first")
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
        finish(study.submission(), head="head_v3 of this data root")
        finish(submission_score_product(study))

    def refresh(self, **options):
        self.runs.clear()
        self.lines.clear()
        return refresh(self.study, self.execute, self.lines.append, **options)


ALL = ["sources", "embed 21", "embed 22", "train", "submit"]


def play(folder: Path) -> Player:
    source = folder / "source"
    source.mkdir()
    (source / "test.csv").write_text("ID,seq\n1,ACGT\n")
    return Player(tiny_study(folder, source))


@pytest.fixture
def player(tmp_path):
    """Plays a study without any product."""
    return play(tmp_path)


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    """A copy of the folder of a study after its first refresh."""
    folder = tmp_path_factory.mktemp("played") / "study"
    folder.mkdir()
    play(folder).refresh()
    return shutil.copytree(folder, folder.with_name("copy"))


@pytest.fixture
def done(played):
    """Plays a study after its first refresh, each time in the same folder: products depend on where the source is."""
    folder = played.with_name("study")
    shutil.rmtree(folder)
    shutil.copytree(played, folder)
    return Player(tiny_study(folder, folder / "source"))


def source_of(study: Study) -> Path:
    return Path(study.settings.source_url)


def new_release(player: Player, date: str, content: bytes) -> None:
    player.offered = (date, offer(source_of(player.study), date, content))


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


def test_a_new_release_runs_everything_again_and_names_both_dates(done):
    new_release(done, "20260108", b"second")
    report = done.refresh()
    assert done.runs == ALL
    assert report.news[0] == "ClinVar release 2026-01-08 (before: 2026-01-01): 200 records"
    assert done.refresh().runs == []


def test_only_what_is_stale_runs(done):
    study = done.study
    (study.variant_embeddings("22").folder / "manifest.json").unlink()
    assert done.refresh().runs == ["embed 22"]  # its content is what it was, so nothing follows
    (study.head("head_v3").folder / "manifest.json").unlink()
    assert done.refresh().runs == ["train"]


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


def test_a_dry_run_names_what_follows_from_the_first_that_is_stale(done):
    (done.study.variant_embeddings("21").folder / "manifest.json").unlink()
    assert done.refresh(dry_run=True).runs == ["embed 21", "train", "submit"]
    assert done.runs == []


def test_what_the_sources_lack_is_named(player):
    assert stale_sources(player.study) == [
        "clinvar_release of 2026-01-01",
        "reference_genome",
        "glm_checkpoint",
        "clinvar_release_diff",
    ]
    player.sources()
    assert stale_sources(player.study) == []
    (player.study.root / "weights").write_bytes(b"other weights")
    assert stale_sources(player.study) == ["glm_checkpoint"]


def test_a_source_that_went_back_in_time_is_nothing_new(done):
    finish_release(done.study, "20260108", "b" * 32)
    finish(release_diff_product(done.study))
    assert stale_sources(done.study) == []


def test_a_source_that_is_down_ends_it_and_runs_nothing(done):
    weekly = done.study.settings.source_url + "/" + WEEKLY
    for path in Path(weekly).iterdir():
        path.unlink()
    with pytest.raises(DownloadError, match="holds no ClinVar release"):
        done.refresh()
    assert done.runs == []


def test_offline_goes_on_with_the_release_that_is_here(tmp_path):
    # As a web address the same source would have to be asked.
    away = tiny_study(tmp_path / "away", "http://127.0.0.1:9", offline=True, test_csv=None)
    with pytest.raises(OfflineError):
        stale_sources(away)
    finish_release(away, "20260101", "a" * 32)
    assert "clinvar_release of" not in " ".join(stale_sources(away))


def test_an_implausible_release_stops_before_its_chromosomes(done):
    new_release(done, "20260108", b"half of it")
    done.sources = lambda: finish_release(done.study, *done.offered, chr21=10)
    with pytest.raises(ImplausibleReleaseError, match="all chromosomes together: 120 records, 200 before"):
        done.refresh()
    assert done.runs == ["sources"]


def test_a_refused_release_says_why_and_is_not_asked_for_again_until_there_is_another(done):
    new_release(done, "20260108", b"half of it")
    make_sources = done.sources

    def refused() -> None:
        finish_release(done.study, *done.offered, chr21=10)
        raise RunFailedError("run 4711 (sources) failed; step clinvar_release: 1 blocking asset check failed")

    done.sources = refused
    with pytest.raises(ImplausibleReleaseError, match=r"120 records, 200 before.*max_row_drop"):
        done.refresh()
    assert any("run 4711" in line for line in done.lines)
    for dry_run in (True, False):
        with pytest.raises(ImplausibleReleaseError, match="120 records, 200 before"):
            done.refresh(dry_run=dry_run)
        assert done.runs == []
        assert "sources is not run again" in done.lines[-1]

    new_release(done, "20260115", b"whole again")
    done.sources = make_sources
    assert done.refresh().runs[0] == "sources"


@pytest.mark.parametrize("brought", [False, True])
def test_sources_that_fail_for_another_reason_say_that(player, brought):
    def failed() -> None:
        if brought:
            finish_release(player.study, *player.offered)
        raise RunFailedError("step reference_genome: no answer")

    player.sources = failed
    with pytest.raises(RunFailedError, match="no answer"):
        player.refresh()


@pytest.mark.parametrize("head", ["head_v3/4", "head_file", "head_v1"])
def test_a_submission_of_a_head_that_was_asked_for_stays(done, head):
    study = done.study
    version = study.require(study.head(head)).data_version if head in HEADS else "c" * 64
    finish(study.submission({head: version}), head=f"{head}, the champion")
    made = study.finished_submission()
    assert standing(study, "submission") == ("current", "")
    if head == "head_v1":
        assert done.refresh().runs == []
    else:
        new_release(done, "20260108", b"second")
        assert done.refresh().runs == ALL[:-1]
        assert study.finished_submission() == made
    assert f"the submission is of {head}, the champion, which was asked for: submit is left to you" in done.lines


def test_the_first_failed_run_ends_it(player):
    def fail(chrom: str) -> None:
        raise MissingUpstreamError(f"no chromosome {chrom}")

    player.embed = fail
    with pytest.raises(MissingUpstreamError, match="no chromosome 21"):
        player.refresh()
    assert player.runs == ["sources", "embed 21"]
