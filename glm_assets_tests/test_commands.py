"""The commands of the project as a user types them: in a checkout, without DAGSTER_HOME, with one shared history."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import dagster as dg
import duckdb
import polars as pl
import pytest

from glm_assets_tests.checkouts import Checkout, make_checkout, wait_until
from glm_assets_tests.lineage.studies import tiny_environment
from glm_assets_tests.readme import README, blocks, commands, table
from glm_assets_tests.tiny_run import CHROMOSOMES, content_versions
from glm_assets_tests.webservers import Server, serve, stop

pytestmark = pytest.mark.system

MATERIALIZE = "dagster asset materialize -m glm_assets.definitions --select"
EMBED = f"{MATERIALIZE} clinvar_variants,variant_windows,variant_embeddings --partition"
ASSETS = 58

NODES = "{ assetNodes { assetKey { path } groupName } }"
LAUNCH = """mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
  }
}"""


@pytest.fixture
def checkout(tmp_path, tiny_tree) -> Checkout:
    """A checkout for a tiny study whose data lie where they lie by default."""
    folder = tmp_path / "checkout"
    settings = tiny_environment(folder, tiny_tree)
    del settings["GLM_DATA_ROOT"]
    return make_checkout(folder, settings)


def lists_every_asset(output: str) -> bool:
    return len(json.loads(output)["assets"]) == ASSETS


def requests_a_run(output: str) -> bool:
    return "run requests for 1 run" in output


@pytest.mark.parametrize(
    ("command", "holds"),
    [
        ("dg check defs", lambda output: "loaded successfully" in output),
        ("dg list defs --json 2>/dev/null", lists_every_asset),
        ("dagster definitions validate", lambda output: "Validation successful" in output),
        (
            "DAGSTER_HOME=$PWD dagster sensor preview clinvar_release_sensor -m glm_assets.definitions",
            requests_a_run,
        ),
    ],
    ids=["dg check", "dg list", "dagster definitions validate", "dagster sensor preview"],
)
def test_a_command_that_only_looks_succeeds(checkout, command: str, holds: Callable[[str], bool]):
    output = checkout.run(command)
    assert holds(output), output


def test_the_ui_shows_the_assets_and_the_runs_of_the_command_line_and_makes_its_own(checkout):
    checkout.run(f"{MATERIALIZE} clinvar_release")
    checkout.run("dg launch --assets clinvar_variants --partition 21")
    history = [
        ("SUCCESS", ["clinvar_variants"], "21"),
        ("SUCCESS", ["clinvar_release"], None),
    ]
    for command, partition in (("dagster dev", "22"), ("dg dev", "21")):
        with serve(checkout, command, "/server_info") as server:
            wait_until(lambda: len(server.graphql(NODES)["assetNodes"]) == ASSETS, "the assets")
            assert shown_runs(server) == history
            launched = server.graphql(LAUNCH, params=run_of_variants(partition))["launchPipelineExecution"]
            assert launched["__typename"] == "LaunchRunSuccess", launched
            wait_until(lambda: server.runs()[0]["status"] in {"SUCCESS", "FAILURE"}, "the run", pause=1)
            assert server.runs()[0]["id"] == launched["run"]["id"]
            history.insert(0, ("SUCCESS", ["clinvar_variants"], partition))
            assert shown_runs(server) == history
            stop(server.process)
        made = checkout.folder / f"data/tables/clinvar_variants/chrom={partition}/part.parquet"
        assert made.is_file()
        assert list(checkout.folder.glob(".tmp_dagster_home*")) == []


def shown_runs(server: Server) -> list[tuple]:
    """The UI's runs, newest first: how each ended, its assets and its partition."""
    return [(run["status"], run["assets"], run["partition"]) for run in server.runs()]


def run_of_variants(partition: str) -> dict:
    """What the UI sends to materialise the variants of a chromosome."""
    selector = {
        "repositoryLocationName": "glm_assets",
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": ["clinvar_variants"]}],
    }
    tags = [{"key": "dagster/partition", "value": partition}]
    return {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}


def test_two_commands_on_different_chromosomes_at_the_same_time_succeed(checkout, monkeypatch):
    checkout.run(f"{MATERIALIZE} group:sources")
    with checkout.start(f"{EMBED} 21") as one, checkout.start(f"{EMBED} 22") as other:
        assert (one.wait(timeout=400), other.wait(timeout=400)) == (0, 0)
    monkeypatch.chdir(checkout.folder)  # the storage paths of dagster.yaml are relative
    with dg.DagsterInstance.from_config(str(checkout.folder)) as instance:
        spans = []
        for run in instance.get_runs(limit=2):
            assert run.status == dg.DagsterRunStatus.SUCCESS
            (step,) = (s for s in instance.get_run_step_stats(run.run_id) if s.step_key == "variant_embeddings")
            spans.append((step.start_time, step.end_time))
    first, second = sorted(spans)
    assert first[1] <= second[0]  # the pool admits one step at a time
    with duckdb.connect("data/warehouse.duckdb", read_only=True) as warehouse:
        assert warehouse.sql("select distinct chrom from variant_embeddings order by 1").fetchall() == [
            ("21",),
            ("22",),
        ]


def demo_commands(checkout: Checkout) -> list[str]:
    """The commands that `make demo` prints and runs, for the chromosomes of the tiny tree."""
    printed = checkout.run("make --dry-run demo")
    found = re.findall(r'echo "\$ (dagster asset materialize .*)"', printed)
    assert len(found) == 6, printed
    return [command for command in found if not command.endswith("--partition MT")]


def fill_in(command: str) -> str:
    """A command of the README with its placeholders filled in, for a chromosome of the tiny tree."""
    for placeholder, value in (
        ("--select ...", "--select split_audit,variant_windows"),
        ("--assets ...", "--assets variant_windows"),
    ):
        command = command.replace(placeholder, value)
    return re.sub(r"--partition (\.\.\.|13)", "--partition 21", command)


def look_at_dagster(checkout: Checkout, command: str) -> None:
    with serve(checkout, command, "/server_info") as server:
        wait_until(lambda: len(server.graphql(NODES)["assetNodes"]) == ASSETS, "the assets")
        stop(server.process)


def look_at_mlflow(checkout: Checkout, command: str) -> None:
    """MLflow's UI answers and shows a finished run of every head and probe."""
    with serve(checkout, command, "/health") as server:
        api = "/api/2.0/mlflow"
        experiments = server.post(f"{api}/experiments/search", {"max_results": 10})["experiments"]
        wanted = {"experiment_ids": [experiment["experiment_id"] for experiment in experiments]}
        runs = [run["info"] for run in server.post(f"{api}/runs/search", wanted)["runs"]]
    names = [*(f"head_v{number}" for number in range(4)), "linear_probe", "covariance_probe"]
    assert {(run["run_name"], run["status"]) for run in runs} == {(name, "FINISHED") for name in names}


def follow(checkout: Checkout, command: str, prefix: str) -> None:
    """Do what a command of the README says; one of a new kind fails here until somebody says how."""
    program = re.sub(r"^(\w+=\S* )*", "", command).split()[0]
    if command == "make demo":
        for shown in demo_commands(checkout):
            checkout.run(prefix + shown)
    elif command == "dagster dev":
        look_at_dagster(checkout, command)
    elif program == "mlflow":
        look_at_mlflow(checkout, command)
    elif program in {"dagster", "dg"}:
        checkout.run(prefix + fill_in(command))
    elif command == "glm-assets doctor":
        assert "profile tiny" in checkout.run(f"{prefix}{command} || true")
    elif program == "glm-assets":
        assert "products to make" in checkout.run(prefix + command)
    else:  # `test_readme` compares these with the Makefile and the settings, `test_demo_studies` makes the studies
        assert program in {"make", "pip", "export", "source"}, command


def test_the_readme_can_be_followed_from_its_first_command_to_its_last(checkout):
    text = README.read_text(encoding="utf-8")
    prefix = ""
    for command in dict.fromkeys(commands(text)):
        follow(checkout, command, prefix)
        prefix = f"{command} && " if command.startswith("source ") else prefix
    assert len(content_versions(checkout)) == 5 + 3 * len(CHROMOSOMES)
    assert '"gpu": 0 / 4 slots' in checkout.run("DAGSTER_HOME=$PWD dagster instance concurrency get gpu")

    (program,) = (block.text for block in blocks(text) if block.language == "python")
    (checkout.folder / "block.py").write_text(program)
    shown = checkout.run("python block.py")
    windows = pl.read_parquet(checkout.folder / "data/tables/variant_windows/*/*.parquet")
    for row in windows.group_by("chrom", "label").len().iter_rows():
        assert re.search(r"\b{}\b.*\b{}\b.*\b{}\b".format(*row), shown), shown

    example = {"<asset>": "variant_windows", "<C>": "21", "<name>": "head_v3"}
    results = re.findall(r"`(data/[^`]+)`", " ".join(where for _, where in table(text, "what")))
    assert len(results) >= 5
    for result in set(results) - {"data/studies/"}:
        path = re.sub(r"<\w+>", lambda placeholder: example[placeholder[0]], result)
        assert (checkout.folder / path).exists(), path
