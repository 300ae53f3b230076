"""The command line: what it says, how it fails, and that asking for help loads nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glm_assets import cli
from glm_assets.encoders.agreement import Agreement
from glm_assets.errors import EncoderError
from glm_assets.lineage.imports import ImportReport
from glm_assets_tests.lineage.studies import tiny_environment

AGREEMENT = Agreement(64, 0.0001, 0.0002, 0.01, 0.02, 0.998, 0.99)
REPORT = ImportReport(1234567, 12, 7, 1000, 100, 900, 5, AGREEMENT, Path("data/imports/0123.json"))


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tree").mkdir()
    for name in [name for name in os.environ if name.startswith("GLM_")]:
        monkeypatch.delenv(name)
    for name, value in tiny_environment(tmp_path, tmp_path / "tree").items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_the_options_reach_the_import_and_its_report_is_summed_up(environment, monkeypatch, capsys):
    calls = []

    def bring(study, path, **options):
        options.pop("progress")("half of it done")
        calls.append((study.root, path, options))
        return REPORT

    monkeypatch.setattr("glm_assets.lineage.imports.import_embeddings", bring)
    assert cli.main(["import", "embeddings", "past", "--sample", "10"]) == 0
    said = capsys.readouterr()
    assert calls == [(environment / "data", Path("past"), {"sample": 10, "dry_run": False})]
    assert said.err == "half of it done\n"
    for words in (
        "1,234,567 rows in the files",
        "900 were imported, 100 were in the store",
        "12 rows have windows that this data root lacks, the first is row 7",
        "5 variants of this data root have no vectors yet",
        "64 recomputed: relative error of the reference vectors 0.0001 in the median and 0.0002 at most",
        "data/imports/0123.json",
    ):
        assert words in said.out
    assert (environment / "data" / "platform.json").exists()  # the data root was claimed for its profile
    assert cli.main(["import", "embeddings", "past", "--dry-run"]) == 0
    assert calls[1][2] == {"sample": 64, "dry_run": True}
    assert "900 would be imported" in capsys.readouterr().out


def test_our_errors_are_one_line_and_status_1(environment, monkeypatch, capsys):
    def fail(*_args, **_options):
        raise EncoderError("the vectors\nare others", expected="ours", fix="compute them")

    monkeypatch.setattr("glm_assets.lineage.imports.import_embeddings", fail)
    assert cli.main(["import", "embeddings", "past"]) == 1
    assert capsys.readouterr() == ("", "the vectors are others. Expected: ours. Fix: compute them.\n")


def test_a_data_root_with_nothing_in_it_says_what_to_do(environment, capsys):
    assert cli.main(["import", "embeddings", "past"]) == 1
    assert "--select glm_checkpoint" in capsys.readouterr().err


def test_a_wrong_setting_is_our_error_too(environment, monkeypatch, capsys):
    monkeypatch.setenv("GLM_CHROMSOMES", "21")
    assert cli.main(["import", "embeddings", "past"]) == 1
    assert "unknown environment variable GLM_CHROMSOMES" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["import"], ["import", "embeddings"], ["import", "embeddings", "x", "--sample", "0"]]
)
def test_a_command_that_is_none_exits_with_its_usage(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "usage: glm-assets" in capsys.readouterr().err


def test_asking_for_help_loads_nothing():
    code = "import sys, glm_assets.cli; sys.exit(any(name in sys.modules for name in ('numpy', 'polars', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    script = Path(sys.executable).with_name("glm-assets")
    done = subprocess.run([script, "import", "embeddings", "--help"], check=True, capture_output=True, text=True)
    assert "--dry-run" in done.stdout
