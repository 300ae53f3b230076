"""The pages in docs/: their links, commands, variables and programs are of things that exist; the site builds."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from glm_assets import cli
from glm_assets.defs.build import build_defs
from glm_assets.settings import Settings
from glm_assets.tracking import NullTracker
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.readme import blocks, links

PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
ids = [page.name for page in PAGES]


@pytest.fixture
def commands(capsys) -> set[str]:
    """The commands that `glm-assets --help` lists."""
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    return set(re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_relative_link_leads_somewhere(page: Path):
    relative = [link.split("#")[0] for link in links(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in relative if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_variables_commands_and_programs_exist(page: Path, commands):
    text = page.read_text(encoding="utf-8")
    variables = {"GLM_" + name.upper() for name in Settings.model_fields}
    assert set(re.findall(r"\b(GLM_[A-Z_]+)=", text)) - variables == set()
    assert set(re.findall(r"^(?:\$ )?glm-assets ([a-z-]+)", text, re.MULTILINE)) - commands == set()
    for block in blocks(text):
        if block.language == "python":
            ast.parse(block.text)
        if block.language == "yaml":
            list(yaml.safe_load_all(block.text))


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    return build_defs(tiny_study(folder, folder), NullTracker()).resolve_asset_graph()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_selection_finds_assets_and_every_configuration_an_asset(page: Path, graph):
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for selection in re.findall(r"dagster asset materialize[^\n`]*--select\s+'?([^'\s`]+)", text):
        if selection != "...":
            assert dg.AssetSelection.from_coercible(selection.split(",")).resolve(graph), selection
    nodes = {key.to_python_identifier() for key in graph.get_all_asset_keys()}
    assert set(re.findall(r"--config-json '\{\"ops\": \{\"(\w+)\"", text)) - nodes == set()


def test_every_page_is_in_the_navigation_once():
    site = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    named = re.findall(r"'([\w]+\.md)'", str(site["nav"]))
    assert sorted(named) == [page.name for page in PAGES]


@pytest.mark.system
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, check=False, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Data dictionary" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
