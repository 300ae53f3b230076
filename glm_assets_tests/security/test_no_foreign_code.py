"""No file that is read can run code: the source text is searched for what could, and hostile files are tried."""

from __future__ import annotations

import ast
import io
import pickle
import zipfile

import numpy as np
import pytest

from glm_assets.errors import CheckpointError, GlmError, SettingsError
from glm_assets.profiles.profile import read_profile
from glm_assets.settings import Settings
from glm_assets.storage.npz import NpzFile
from glm_assets_tests.test_architecture import MODULES, at, everywhere, imported_names, keyword, library

# What unpickles, evaluates or runs what it is given, by the name it is called with.
RUNS_CODE = frozenset(
    {
        *(
            "eval",
            "exec",
            "compile",
            "__import__",
            "os.system",
            "os.popen",
            "subprocess.getoutput",
            "runpy.run_path",
        ),
        *("subprocess.getstatusoutput", "code.interact", "builtins.eval", "builtins.exec", "types.FunctionType"),
        *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.dump"),
        *("pl.DataFrame.deserialize", "pl.LazyFrame.deserialize", "pl.Expr.deserialize", "torch.jit.load"),
        *("torch.save", "torch.hub.load", "torch.package.PackageImporter", "np.fromregex", "pd.eval"),
        *(
            "mlflow.pyfunc.log_model",
            "mlflow.pyfunc.save_model",
            "mlflow.pytorch.log_model",
            "mlflow.pytorch.load_model",
        ),
        *("mlflow.sklearn.log_model", "mlflow.sklearn.load_model", "mlflow.pyfunc.load_model", "joblib.load"),
        *("shutil.unpack_archive", "tarfile.open", "tempfile.mktemp"),
    }
)
RUNS_CODE_METHODS = frozenset({"deserialize", "read_pickle", "to_pickle", "extractall", "map_elements_from_text"})

# Module: what of it is allowed, and why.
ALLOWED = {
    "encoders.demo": ("torch.save", "the demo's weights in the form that Evo 2 is published in: tensors alone"),
    "training.checkpoints": ("torch.save", "an optimiser's state, which weights_only=True reads back"),
}

# What mlflow would pickle, or load by running code that lies beside a model.
MLFLOW_FLAVOURS = frozenset(
    {"mlflow.pytorch", "mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.langchain"}
)

# Module: why it uses multiprocessing, which pickles between processes of one program, never to or from a file.
MULTIPROCESSING = {
    "defs.ownership": "asks which process is the parent, and waits for it",
    "defs.remote_steps": "asks whether it is a child",
}


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_nothing_evaluates_or_unpickles():
    found = {
        (module.name, called(node)): at(module, node, called(node))
        for module, node in everywhere()
        if called(node) in RUNS_CODE
        or (called(node).rpartition(".")[2] in RUNS_CODE_METHODS and "." in called(node))
    }
    allowed = {(name, what) for name, (what, _) in ALLOWED.items()}
    assert [place for key, place in found.items() if key not in allowed] == []
    assert allowed <= set(found), "an exception is not needed any more"


def test_no_command_passes_through_a_shell():
    assert [
        at(module, node, "shell=True")
        for module, node in everywhere()
        if isinstance(node, ast.Call) and keyword(node, "shell") not in (None, False)
    ] == []


def test_no_flavour_of_mlflow_that_pickles():
    assert [
        at(module, node, name)
        for module, node in everywhere()
        for name in imported_names(node)
        if name.startswith(tuple(MLFLOW_FLAVOURS)) or name == "mlflow.pyfunc.PythonModel"
    ] == []
    assert [
        at(module, node, "python_model")
        for module, node in everywhere()
        if isinstance(node, ast.keyword) and node.arg in ("python_model", "trust_remote_code_revision")
    ] == []


def test_no_model_brings_code():
    assert [
        at(module, node, "trust_remote_code")
        for module, node in everywhere()
        if isinstance(node, ast.Call) and keyword(node, "trust_remote_code") not in (None, False)
    ] == []


def test_multiprocessing_is_used_for_processes_only():
    found = {
        module.name
        for module, node in everywhere()
        if any(library(name) == "multiprocessing" for name in imported_names(node))
    }
    assert found == set(MULTIPROCESSING) & set(MODULES)


@pytest.mark.parametrize(
    "text",
    [
        "name: !!python/object/apply:os.system ['touch {}']",
        "!!python/object/new:os.system ['touch {}']",
        "a: !!python/name:os.system",
        "!!python/module:os",
        'a: !!python/object/apply:builtins.exec [\'open("{}", "w")\']',
    ],
)
def test_a_profile_that_would_run_code(tmp_path, text):
    canary, profile = tmp_path / "canary", tmp_path / "profile.yaml"
    profile.write_text(text.replace("{}", str(canary)))
    with pytest.raises(SettingsError, match=r"profile\.yaml.*is no YAML"):
        read_profile(str(profile))
    assert not canary.exists()


def test_a_profile_of_a_billion_laughs_is_refused_at_once(tmp_path):
    lines = ['a0: &a0 ["lol"]', *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    (tmp_path / "profile.yaml").write_text("\n".join(lines))
    settings = Settings(profile=str(tmp_path / "profile.yaml"))
    with pytest.raises(SettingsError, match="unknown key 'a0'") as caught:
        settings.run_profile  # noqa: B018 - the property checks
    assert len(str(caught.value)) < 20_000


class Evil:
    """Unpickling it makes a file."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def test_head_weights_that_would_run_code(tmp_path):
    import torch

    from glm_assets.heads.weights import read_state

    canary = tmp_path / "canary"
    torch.save({"a": Evil(canary)}, tmp_path / "zip.pt")
    torch.save({"a": Evil(canary)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(canary)))
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps(Evil(canary)))
    for path in tmp_path.glob("*.*"):
        with pytest.raises(CheckpointError):
            read_state(path)
    assert not canary.exists()


def test_an_archive_of_arrays_that_would_run_code(tmp_path):
    canary, path, content = tmp_path / "canary", tmp_path / "x.npz", io.BytesIO()
    np.lib.format.write_array(content, np.array([Evil(canary)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("label.npy", content.getvalue())
        archive.writestr("raw.npy", pickle.dumps(Evil(canary)))
    for name in ("label", "raw"):
        with pytest.raises(GlmError):
            NpzFile(path).array(name)
    assert not canary.exists()
