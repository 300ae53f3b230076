"""A study whose data root is at a URL: another machine has all of it, and what cannot be asked for is not absent."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import fsspec
import pytest

from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.errors import DataRootError, MissingUpstreamError, SettingsError, StorageError
from glm_assets.lineage.engines import embed_job, study_engine
from glm_assets.lineage.scorers import study_scorers
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.submission import make_test_sequences
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.planning.staleness import standing
from glm_assets.settings import Settings
from glm_assets.storage.remote_root import RemoteRoot
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study


def silent(_line: str) -> None:
    """Ignore progress."""


def weights_of(study: Study) -> Path:
    """The weights' file on the study's machine, fetched if need be."""
    study.files(study.checkpoint_folder)
    return Path(study.checkpoint().facts["path"])


@pytest.fixture(scope="module")
def url() -> str:
    return f"memory://studies/{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def machine(url, tmp_path_factory, tiny_tree):
    """Opens the study as a machine of that name would."""
    folder = tmp_path_factory.mktemp("machines")

    def open_study(name: str, **settings) -> Study:
        return tiny_study(folder / name, tiny_tree, **{"data_root": url, "local_dir": folder / name} | settings)

    return open_study


@pytest.fixture(scope="module")
def made(machine) -> dict[str, str]:
    """Data version of each product from sources to the audit, each made on a machine that has seen nothing."""
    manifests = [
        make_clinvar_release(machine("a"), silent),
        make_reference_genome(machine("b"), silent),
        make_glm_checkpoint(machine("c"), silent),
    ]
    for chrom in ("21", "22"):
        manifests += [
            make_clinvar_variants(machine(f"variants{chrom}"), chrom),
            make_variant_windows(machine(f"windows{chrom}"), chrom),
        ]
    manifests += [make_split_audit(machine("audit")), make_test_sequences(machine("sequences"))]
    return {f"{manifest.asset}/{manifest.partition}": manifest.data_version for manifest in manifests}


@pytest.fixture(scope="module")
def in_a_folder(tmp_path_factory, tiny_tree) -> Study:
    study = tiny_study(tmp_path_factory.mktemp("folder"), tiny_tree)
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    for chrom in ("21", "22"):
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    return study


def test_products_are_what_they_are_in_a_folder(made, machine, in_a_folder):
    there = machine("reader")
    for chrom in ("21", "22"):
        for name in ("clinvar_variants", "variant_windows"):
            product = getattr(in_a_folder, name)(chrom)
            assert made[f"{name}/{chrom}"] == in_a_folder.require(product).data_version
            assert read_part(getattr(there, name)(chrom).files()).equals(read_part(product.files()))
    assert made["reference_genome/None"] == in_a_folder.reference().data_version


def test_to_know_what_is_up_to_date_nothing_is_fetched(made, machine, monkeypatch):
    def refuse(self, name, dest):
        raise AssertionError(f"{name} was fetched")

    monkeypatch.setattr(RemoteRoot, "get", refuse)
    study = machine("sensor")
    assert study.release().data_version == made["clinvar_release/None"]
    assert study.checkpoint().data_version == made["glm_checkpoint/None"]
    assert set(study.every_chromosome(study.variant_windows)) == {"21", "22"}
    assert study.encoder_spec.revision == made["glm_checkpoint/None"]
    with pytest.raises(MissingUpstreamError, match=r"variant_embeddings is absent.*21, 22"):
        study.every_chromosome(study.variant_embeddings)
    assert list(study.root.rglob("*.p*")) == []


def test_one_listing_answers_for_all_chromosomes(made, machine, monkeypatch):
    asked: list[str] = []
    study = machine("sensor")
    assert study.remote is not None
    find = study.remote.files.find
    monkeypatch.setattr(study.remote.files, "find", lambda path, **kw: asked.append(path) or find(path, **kw))
    study.split_audit()
    assert len(asked) == 2  # sources, and tables


def test_weights_are_fetched_where_they_are_used_and_are_those_that_were_recorded(made, machine):
    study = machine("worker")
    path = weights_of(study)
    assert path.is_relative_to(study.root)
    assert study.checkpoint().files.keys() == {f"weights/{path.name}"}
    assert path.read_bytes() == weights_of(machine("c")).read_bytes()
    path.write_bytes(b"other weights")
    assert weights_of(study).read_bytes() == weights_of(machine("c")).read_bytes()


def test_whoever_loads_an_encoder_has_its_weights_from_the_store(made, machine, monkeypatch):
    """The step on one machine describes the job, a worker on another knows nothing but that description."""
    step = machine("step")
    described = embed_job(step, step.encoder_spec)
    assert not Path(described.weights).exists()  # a machine without a GPU need not have them
    shutil.rmtree(step.root, ignore_errors=True)
    job = EmbedJob.from_dict(json.loads(json.dumps(described.as_dict())))
    assert job == described
    loaded = job.load()
    assert Path(job.weights).read_bytes() == weights_of(machine("c")).read_bytes()
    assert loaded.spec == step.encoder_spec
    for engine in ("ray", "workers", "local"):
        chosen = machine("step", engine=engine)
        assert study_engine(chosen, chosen.encoder_spec, chosen.store())


def test_workers_that_a_command_starts_elsewhere_are_refused_where_they_could_not_see_the_queue(made, machine):
    study = machine("step", engine="workers", worker_command="srun python -m glm_assets.encoders.worker {job}")
    with pytest.raises(SettingsError, match=r"memory://.*GLM_DATA_ROOT to such a folder.*GLM_ENGINE=ray"):
        study_engine(study, study.encoder_spec, study.store())


def test_a_plan_judges_what_is_on_the_store_and_not_the_copies_here(made, machine, url):
    files, root = fsspec.core.url_to_fs(url)
    folder = f"{root}/tables/clinvar_variants/chrom=22"
    content = {name: files.cat_file(name) for name in files.find(folder)}
    try:
        study = machine("planner")
        study.clinvar_variants("22").files()
        files.pipe_file(f"{folder}/part.parquet", b"short")
        study.remote.forget()
        assert standing(study, "clinvar_variants", "22") == (
            "damaged",
            "part.parquet lost or not as its checksum says",
        )
        files.rm(f"{folder}/manifest.json")
        study.remote.forget()
        assert standing(study, "clinvar_variants", "22")[0] == "damaged"
        for name in files.find(folder):
            files.rm(name)
        study.remote.forget()
        assert standing(study, "clinvar_variants", "22") == ("absent", "never made")
        study.clinvar_variants("21").files()
        fresh = machine("fresh")
        assert standing(fresh, "clinvar_variants", "21") == ("current", "")
    finally:
        for name, data in content.items():
            files.pipe_file(name, data)


def test_what_one_machine_fetched_no_other_downloads(made, machine, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("downloaded again")

    for name in ("fetch_release", "fetch_reference", "resolve_weights"):
        monkeypatch.setattr(f"glm_assets.lineage.sources.{name}", refuse)
    for offline in (False, True):
        study = machine("late", offline=offline)
        for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
            manifest = make(study, silent)
            assert manifest.reused
            assert manifest.data_version == made[f"{manifest.asset}/None"]
    with pytest.raises(AssertionError, match="downloaded again"):  # an older release is another one
        make_clinvar_release(machine("late", clinvar_cutoff="2025-11-05"), silent)


def test_a_weights_file_of_ones_own_may_lie_elsewhere_on_each_machine(machine, tiny_tree, tmp_path, made):
    weights = weights_of(machine("c"))
    url = f"memory://studies/{uuid.uuid4().hex}"
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        shutil.copy(weights, tmp_path / name / "own.pt")
    one, other, third = (
        tiny_study(tmp_path, tiny_tree, data_root=url, local_dir=tmp_path / f"local_{name}", checkpoint=path)
        for name, path in [(name, tmp_path / name / "own.pt") for name in ("one", "other", "absent")]
    )
    recorded = make_glm_checkpoint(one, silent)
    assert make_glm_checkpoint(other, silent).reused
    assert third.checkpoint().data_version == recorded.data_version  # this machine's file is on the store
    assert weights_of(third).read_bytes() == weights.read_bytes()


def test_the_warehouse_shows_the_tables_as_they_are_now(made, machine, in_a_folder):
    query = "select chrom, label, count(*) from variant_windows group by all order by all"
    in_a_folder.refresh_warehouse()
    with machine("analyst").open_warehouse() as there, in_a_folder.open_warehouse() as here:
        assert there.sql(query).fetchall() == here.sql(query).fetchall()
        assert there.sql("from split_audit").fetchall()
        assert {row[0] for row in there.sql("show tables").fetchall()} >= {"clinvar_variants", "test_sequences"}


def test_an_empty_root_has_no_warehouse_and_says_so(tiny_tree, tmp_path):
    for root in (f"memory://studies/{uuid.uuid4().hex}", str(tmp_path / "data")):
        with pytest.raises(MissingUpstreamError, match="materialise"):
            tiny_study(tmp_path, tiny_tree, data_root=root, local_dir=tmp_path / "local").open_warehouse()


def test_the_url_s_folder_input_serves_the_test_csv(made, machine, url, tiny_tree):
    files, root = fsspec.core.url_to_fs(url)
    study = machine("without", test_csv=None)
    files.put_file(str(tiny_tree / "test.csv"), f"{root}/input/mine.csv")
    study.remote.forget()
    assert study.test_csv().name == "mine.csv"
    assert study.require(study.test_sequences()).data_version == made["test_sequences/None"]
    files.mv(f"{root}/input/mine.csv", f"{root}/input/renamed.csv")
    study.remote.forget()
    assert study.test_csv().name == "renamed.csv"


def test_small_files_that_are_no_products_are_shared(made, machine):
    one, other = machine("one"), machine("other")
    path = one.root / "imports" / "record.json"
    path.parent.mkdir(parents=True)
    for text in ("{}", '{"finished": true}'):
        path.write_text(text)
        one.share(path)
        other.remote.forget()
        assert (other.small_files("imports") / "record.json").read_text() == text


def test_a_root_at_a_url_belongs_to_one_study_whoever_comes_first(made, machine, url):
    machine("a").claim()
    machine("b").claim()
    files, root = fsspec.core.url_to_fs(url)
    assert json.loads(files.cat_file(f"{root}/platform.json"))["profile"] == "tiny"
    with pytest.raises(DataRootError, match=rf"data root {url} was made with source"):
        machine("other", ncbi_url="https://elsewhere.example/").claim()


def test_of_two_that_claim_a_root_at_once_the_first_gets_it(tiny_tree, tmp_path, monkeypatch):
    settings = {"data_root": f"memory://studies/{uuid.uuid4().hex}", "local_dir": tmp_path}
    first, second = tiny_study(tmp_path, tiny_tree, **settings), tiny_study(tmp_path, "/other/tree", **settings)
    create = RemoteRoot.create

    def come_second(self, name, content):
        monkeypatch.setattr(RemoteRoot, "create", create)
        first.claim()
        create(self, name, content)

    monkeypatch.setattr(RemoteRoot, "create", come_second)
    with pytest.raises(DataRootError, match="was made with source"):
        second.claim()
    first.claim()


def test_a_store_that_cannot_be_asked_is_an_error_and_not_an_absent_product(made, machine, monkeypatch):
    study = machine("cut_off")

    find = study.remote.files.find

    def fail(path, **options):
        if path.endswith("/heads"):
            return find(path, **options)
        raise ConnectionError("no route")

    monkeypatch.setattr(study.remote.files, "find", fail)
    for ask in (
        study.release,
        study.checkpoint,
        lambda: study.present_chromosomes(study.variant_windows),
        lambda: study_scorers(study),
        lambda: make_clinvar_variants(study, "21"),
    ):
        with pytest.raises(StorageError, match=r"memory://.* cannot be listed \(no route\).*check the network"):
            ask()


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("s3://key:secret@bucket/glm", "credentials in the environment"),
        ("s3://bucket/glm?token=secret", "credentials in the environment"),
        ("s3://bucket/glm#part", "a query or a fragment"),
        ("ftp://host/glm", "no object store"),
        ("simplecache::s3://bucket/glm", "no object store"),
        ("file:///data", "without file://"),
    ],
)
def test_an_address_that_is_no_object_store_s_or_holds_a_password_is_refused(monkeypatch, root, reason):
    monkeypatch.setenv("GLM_DATA_ROOT", root)
    with pytest.raises(SettingsError, match=reason) as caught:
        Settings.from_environment()
    assert "secret" not in str(caught.value)


def test_roots_at_different_urls_have_different_working_copies_and_stores(tmp_path):
    one, same, other = (
        Study(Settings(data_root=root, local_dir=tmp_path)) for root in ("s3://b/x", "s3://b/x/", "s3://b/y")
    )
    assert one.root == same.root != other.root
    assert one.root.is_relative_to(tmp_path)
    assert one.store_place == "s3://b/x/embeddings"
    assert Study(Settings(data_root="s3://b/x", embeddings_url="/mnt/v")).store_place == "/mnt/v"
    assert one.settings.tracking_uri == f"sqlite:///{one.root}/mlflow/mlflow.db"


def test_a_folder_s_paths_and_digests_are_as_ever(in_a_folder, tmp_path):
    product = in_a_folder.variant_windows("21")
    assert product.remote is None
    assert (
        product.files()
        == product.folder
        == Path(in_a_folder.settings.data_root) / "tables/variant_windows/chrom=21"
    )
