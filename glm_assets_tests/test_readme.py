"""README.md and CONTRIBUTING.md say what is so. Their commands are run in `test_commands`."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import tomllib

import dagster as dg
import pytest

from glm_assets.defs.build import build_defs
from glm_assets.profiles.profile import BUILT_IN
from glm_assets.settings import Settings
from glm_assets.tracking import NullTracker
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.readme import README, blocks, commands, links, spans, table

TEXT = README.read_text(encoding="utf-8")
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    return build_defs(tiny_study(folder, folder), NullTracker())


def variables() -> dict[str, str]:
    """Environment variables of the table, each with its default as written."""
    rows = table(TEXT, "variable")
    return {name: default for names, _, default in rows for name in re.findall(r"`(\w+)`", names)}


def test_the_table_of_variables_is_the_settings():
    fields = {name: "GLM_" + name.upper() for name in Settings.model_fields}
    fields["mlflow_tracking_uri"] = "MLFLOW_TRACKING_URI"
    fields["ray_address"] = "RAY_ADDRESS"
    assert set(variables()) == set(fields.values())
    stated = variables()
    for name, variable in fields.items():
        default = Settings.model_fields[name].default
        if default is not None:
            assert stated[variable] == f"`{str(default).lower()}`", variable


def test_exported_variables_are_accepted(monkeypatch):
    exports = [command.removeprefix("export ") for command in commands(TEXT) if command.startswith("export ")]
    assert exports
    for assignment in " ".join(exports).split():
        monkeypatch.setenv(*assignment.split("=", 1))
    assert Settings.from_environment().run_profile.name == "full"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_exists(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    named = {command.split()[1] for command in commands(text) if command.startswith("make ")}
    rules = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert named <= set(rules)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    relative = [link for link in links(text) if "://" not in link]
    missing = [link for link in relative if not (REPOSITORY / link.split("#")[0]).exists()]
    assert missing == []


def test_python_blocks_are_python():
    programs = [block.text for block in blocks(TEXT) if block.language == "python"]
    assert programs
    for program in programs:
        ast.parse(program)


def test_blocks_are_shell_or_python():
    assert {block.language for block in blocks(TEXT)} == {"", "python"}


def test_installed_extras_exist():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (install,) = (command for command in commands(TEXT) if command.startswith("pip install"))
    extras = re.search(r"\[([\w,]+)\]", install)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert "-c constraints.txt" in install


def test_the_table_of_assets_is_the_graph(graph):
    stated = {}
    for names, partitions, _ in table(TEXT, "asset"):
        keys = re.findall(r"`([\w/]+)`", names)
        if ".." in names:
            stem, first, last = keys[0][:-1], int(keys[0][-1]), int(keys[-1][-1])
            keys = [f"{stem}{number}" for number in range(first, last + 1)]
        stated |= dict.fromkeys(keys, partitions)
    nodes = {node.key.to_user_string(): node for node in graph.resolve_asset_graph().asset_nodes}
    partitions = {"sugarcane": "variety", "plant": "species"}
    assert stated == {
        name: partitions.get(name.split("/")[0], "chromosome") if node.partitions_def else "-"
        for name, node in nodes.items()
    }


def test_named_sensors_and_profiles_exist(graph):
    sensors = {sensor.name for sensor in graph.get_repository_def().sensor_defs}
    assert {span for span in spans(TEXT) if re.fullmatch(r"\w+_sensor", span)} == sensors
    assert set(BUILT_IN) <= set(spans(TEXT))


@pytest.mark.parametrize(
    ("target", "groups"),
    [
        ("demo", {"sources", "submission"}),
        ("demo-studies", {"sources", "impact", "metagenome", "sugarcane", "plant"}),
    ],
)
def test_every_selection_of_the_demos_finds_assets(graph, target, groups):
    """Selections as the command line reads them: some of Dagster's language has no slashes."""
    command = ["make", "--dry-run", target]
    shown = subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True, text=True).stdout
    made = set()
    for line in re.findall(r'echo "\$ (dagster .*)"', shown):
        words = shlex.split(line)
        selection = words[words.index("--select") + 1].split(",")
        found = dg.AssetSelection.from_coercible(selection).resolve(graph.resolve_asset_graph())
        assert found, selection
        made |= found
    wanted = dg.AssetSelection.groups(*groups).resolve(graph.resolve_asset_graph())
    assert wanted <= made
    assert target == "demo" or made == wanted


def test_every_selection_finds_assets(graph):
    selections = [
        re.search(r"--(?:select|assets) '?([^' ]+)", command)[1]
        for command in commands(TEXT)
        if re.search(r"--(select|assets) '?[^.]", command)
    ]
    assert len(selections) >= 3
    for selection in selections:
        chosen = dg.AssetSelection.from_coercible(selection.strip("'").split(","))
        assert chosen.resolve(graph.resolve_asset_graph()), selection
