"""A backfill of all partitions by parallel runs, and what 1,000 materialisations do to the page of an asset.

python benchmarks/load.py                                     # history in sqlite files
python benchmarks/load.py --postgres postgresql://USER:PASSWORD@HOST/EMPTY_DATABASE

A generated tree with all 25 chromosomes; each run makes `clinvar_variants` and `variant_windows` of one. Then the
page of `variant_windows` is opened in Chromium, the queries that it sends are noted and sent again and again: before
and after the events. The events carry the metadata, figures included, of the asset's real ones.

Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
VARIABLE = "DAGSTER_POSTGRES_URL"
ASSET = "variant_windows"
VIEWS = ("overview", "partitions", "events")
REPEATS = 7


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="glm_load_") as temporary:
        folder = Path(temporary)
        _prepare(folder, options.postgres)
        os.chdir(folder)  # the folders of dagster.yaml are relative
        figures: dict[str, Any] = {
            "storage": "postgres" if options.postgres else "sqlite",
            "cores": os.cpu_count(),
        }
        _materialize(None)
        before = _history_bytes(folder)
        figures |= _backfill(options.parallel)
        figures["kilobytes_per_run"] = round((_history_bytes(folder) - before) / figures["runs"] / 1000)
        with _webserver(folder) as (address, server):
            queries = _queries(address)
            figures["queries"] = len(queries)
            figures["page_before"] = _time(address, queries, server)
            figures |= _report(options.events)
            figures["page_after"] = _time(address, queries, server)
    sys.stdout.write(json.dumps(figures) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", metavar="URL", help="an empty database, which is left as it then is")
    parser.add_argument("--events", type=int, default=1000, help="materialisations that are added")
    parser.add_argument("--parallel", type=int, default=4, help="runs at once")
    return parser.parse_args()


def _prepare(folder: Path, url: str | None) -> None:
    """The tree, the configuration and the environment of everything that is started."""
    from glm_assets.demo.recipe import MITOCHONDRION, ChromosomeRecipe, DemoRecipe, SequenceRecipe
    from glm_assets.demo.tree import make_demo_tree
    from glm_assets.genome.contigs import CHROMOSOMES

    lengths = {name: 16_569 if name == MITOCHONDRION else 20_000 for name in CHROMOSOMES}
    chromosomes = tuple(
        ChromosomeRecipe(name, length=length, genes=5, labelled=100) for name, length in lengths.items()
    )
    recipe = DemoRecipe(7, chromosomes, SequenceRecipe(length=128, pairs=4, short_pairs=1, ladders=1))
    tree = make_demo_tree(folder / "tree", recipe).root
    home = folder / "home"
    home.mkdir()
    shutil.copy(REPOSITORY / ("deploy/postgres" if url else "") / "dagster.yaml", home)
    os.environ |= {
        "DAGSTER_HOME": str(home),
        "GLM_DATA_ROOT": str(folder / "data"),
        "GLM_NCBI_URL": str(tree),
        "GLM_CHROMOSOMES": ",".join(CHROMOSOMES),
        "PYTHONWARNINGS": "ignore",
    }
    if url:
        os.environ[VARIABLE] = url


def _materialize(chrom: str | None) -> str:
    """One run in this process: of the sources, or of a chromosome. Empty, or what went wrong."""
    import dagster as dg

    from glm_assets.definitions import defs

    names = [ASSET, "clinvar_variants"] if chrom else ["clinvar_release", "reference_genome"]
    job = defs.get_implicit_global_asset_job_def().with_executor_def(dg.in_process_executor)
    with dg.DagsterInstance.get() as instance:
        try:
            job.execute_in_process(
                asset_selection=[dg.AssetKey(name) for name in names], partition_key=chrom, instance=instance
            )
        except Exception as error:  # noqa: BLE001 - a backfill goes on, and its failures are counted
            return repr(error)
    return ""


def _backfill(parallel: int) -> dict[str, Any]:
    from glm_assets.genome.contigs import CHROMOSOMES

    with multiprocessing.get_context("spawn").Pool(parallel) as pool:
        pool.map(_load, range(parallel), chunksize=1)
        begin = time.monotonic()
        errors = [error for error in pool.imap_unordered(_materialize, CHROMOSOMES) if error]
        seconds = time.monotonic() - begin
        pool.close()  # at the block's end the workers would be told to terminate
        pool.join()
    return {
        "runs": len(CHROMOSOMES),
        "parallel": parallel,
        "failed": len(errors),
        "locked": sum("locked" in error for error in errors),
        "errors": errors[:3],
        "seconds": round(seconds, 1),
        "runs_per_second": round(len(CHROMOSOMES) / seconds, 2),
    }


def _load(_: int) -> None:
    """Import what a run needs, so that only runs are timed."""
    from glm_assets.definitions import defs

    defs.get_implicit_global_asset_job_def()


def _history_bytes(folder: Path) -> int:
    if VARIABLE in os.environ:
        import psycopg2

        with psycopg2.connect(os.environ[VARIABLE]) as connection, connection.cursor() as cursor:
            cursor.execute("select pg_database_size(current_database())")
            ((size,),) = cursor.fetchall()
            return size
    return sum(path.stat().st_size for path in (folder / ".dagster/storage").rglob("*") if path.is_file())


@contextmanager
def _webserver(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port)]
    command += ["-m", "glm_assets.definitions", "-d", str(REPOSITORY)]
    address = f"http://127.0.0.1:{port}"
    with (folder / "webserver.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{address}/server_info", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.5)
        yield address, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def _queries(address: str) -> list[dict[str, Any]]:
    """What the page of the asset asks the server, each question once."""
    from playwright.sync_api import sync_playwright

    asked: dict[str, dict[str, Any]] = {}

    def note(request: Any) -> None:
        if request.method == "POST" and urlsplit(request.url).path == "/graphql":
            body = request.post_data_json
            asked[json.dumps([body["operationName"], body["variables"]], sort_keys=True)] = body

    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", note)
        for view in VIEWS:
            page.goto(f"{address}/assets/{ASSET}?view={view}")
            page.get_by_text(ASSET).first.wait_for(timeout=120_000)
            page.wait_for_timeout(8_000)
        browser.close()
    if not asked:
        raise RuntimeError("the page asked nothing")
    return list(asked.values())


def _time(address: str, queries: list[dict[str, Any]], server: psutil.Process) -> dict[str, Any]:
    """Milliseconds of each question: of all together the medians and the least, and the slowest medians.

    The least and the server's processor time depend little on what else the machine does.
    """
    import httpx

    seconds: defaultdict[str, list[float]] = defaultdict(list)
    used = 0.0
    with httpx.Client(base_url=address, timeout=120, trust_env=False) as client:
        for turn in range(REPEATS + 1):
            if turn == 1:  # the first one fills the server's caches
                seconds.clear()
                used = sum(server.cpu_times()[:2])
            for index, query in enumerate(queries):
                begin = time.monotonic()
                client.post("/graphql", json=query).raise_for_status()
                seconds[f"{query['operationName']} {index}"].append(time.monotonic() - begin)
    used = sum(server.cpu_times()[:2]) - used
    medians = {name: round(1000 * statistics.median(times), 1) for name, times in seconds.items()}
    slowest = sorted(medians, key=medians.__getitem__, reverse=True)[:4]
    return {
        "ms": round(sum(medians.values())),
        "least_ms": round(1000 * sum(min(times) for times in seconds.values())),
        "server_cpu_ms": round(1000 * used / REPEATS),
        "slowest": {name: medians[name] for name in slowest},
    }


def _report(events: int) -> dict[str, Any]:
    """Add materialisations like the newest real ones, over all partitions in turn."""
    import dagster as dg
    from dagster._serdes import serialize_value

    from glm_assets.genome.contigs import CHROMOSOMES

    key = dg.AssetKey(ASSET)
    with dg.DagsterInstance.get() as instance:
        real = {}
        for record in instance.fetch_materializations(key, limit=len(CHROMOSOMES)).records:
            if record.asset_materialization:
                real[record.partition_key] = record.asset_materialization
        begin = time.monotonic()
        for number in range(events):
            event = real[CHROMOSOMES[number % len(CHROMOSOMES)]]
            instance.report_runless_asset_event(_without_tags(event))
        seconds = time.monotonic() - begin
    sizes = [len(serialize_value(event)) for event in real.values()]
    return {
        "events": events,
        "events_per_second": round(events / seconds),
        "kilobytes_per_event": round(statistics.mean(sizes) / 1000, 1),
    }


def _without_tags(event: Any) -> Any:
    """The event without the tags that Dagster itself sets."""
    return event._replace(tags={name: tag for name, tag in event.tags.items() if not name.startswith("dagster/")})


if __name__ == "__main__":
    main()
