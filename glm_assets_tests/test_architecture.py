"""The rules of the house, checked on the source text: who imports whom, what nobody does, what everybody says.

Exceptions stand in tables with their reasons; one that nobody needs any more fails too.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "glm_assets"

# A room may import itself and the rooms above it in this list.
ROOMS = (
    "errors",
    "genome",
    "storage",
    "tracking",
    "sources",
    "variants",
    "encoders",
    "training",
    "language",
    "heads",
    "evaluation",
    "submission",
    "demo",
    "profiles",
    "settings",
    "lineage",
    "studies",
    "planning",
    "pruning",
    "notebook",
    "doctor",
    "defs",
    "definitions",
    "cli",
)

DAGSTER_ROOMS = ("defs", "definitions")

# Module: why it imports dagster_pipes, which is a protocol and no part of dagster.
PIPES_USERS = {"encoders.worker": "reports to the Dagster that started it, wherever it runs"}

# Module: why it reads or sets environment variables itself.
ENVIRONMENT_READERS = {
    "settings": "the one reader of GLM_*",
    "tracking.connection": "MLflow takes its telemetry switch from the environment only",
    "defs.instance_health": "DAGSTER_HOME is Dagster's own, and opening an instance to ask for it would make one",
    "encoders.device": "CUDA_VISIBLE_DEVICES hides GPUs from torch before torch is imported",
}

# Imported inside the functions that need them, so that the definitions load fast.
LAZY = frozenset(
    {
        *("torch", "mlflow", "evo2", "vortex", "transformers", "peft", "matplotlib", "pysam", "httpx", "ray"),
        *("sklearn", "scipy", "optuna", "bitsandbytes", "dnaio", "stripedhyena"),
    }
)

# Their modules may be torch code throughout; whoever needs such a module imports it inside a function.
TORCH_ROOMS = ("training", "language", "heads")
# Elsewhere, those that are networks or tasks of the training loop.
TORCH_STUDIES = re.compile(r"studies\.\w+\.(network|task)|encoders\.plant_lm\.\w*(network|attention|memory)")

PICKLERS = frozenset({"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"})
# What torch.load raises on a damaged file: catching these pickles nothing.
PICKLE_ERRORS = frozenset({"pickle.PickleError", "pickle.UnpicklingError"})

# What trains, chooses or searches, and the modules that read the sealed test split.
TRAINERS = ("training", "heads", "lineage.heads", "lineage.head_data", "lineage.probes", "lineage.search")
SEALED = frozenset({"lineage.sealed", "lineage.comparison", "lineage.comparison_facts"})

MAX_ASSET_STATEMENTS = 20


@dataclass(frozen=True)
class Module:
    """A source file of the package; `name` is dotted and without the package: `genome.windows`."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.split(".")[0]


def load_modules() -> dict[str, Module]:
    root = REPOSITORY / PACKAGE
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
    return modules


MODULES = load_modules()


def may_be_torch(module: Module) -> bool:
    return module.room in TORCH_ROOMS or TORCH_STUDIES.fullmatch(module.name) is not None


def everywhere() -> Iterator[tuple[Module, ast.AST]]:
    """Every node of every module."""
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            yield module, node


def at(module: Module, node: ast.AST, what: str) -> str:
    return f"{module.path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 1)}: {what}"


def imported_names(node: ast.AST) -> list[str]:
    """Dotted names an import statement could load: `from a.b import c` gives `a.b.c`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def library(name: str) -> str:
    return name.partition(".")[0]


def house_module(name: str) -> str:
    """Module of the package that an imported name lies in: `glm_assets.a.b` is `a.b` if that is one, or `a`."""
    target = name.removeprefix(f"{PACKAGE}.")
    return target if target in MODULES else target.rpartition(".")[0]


def eager_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is loaded: not in functions, not under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from eager_nodes(child)


def eager_imports() -> Iterator[tuple[Module, ast.AST, str]]:
    """Every name that is imported when a module is loaded."""
    for module in MODULES.values():
        for node in eager_nodes(module.tree):
            for name in imported_names(node):
                yield module, node, name


def torch_modules() -> set[str]:
    """Modules that load torch when they are loaded, themselves or, where they may, by what they import."""
    found = {module.name for module, _, name in eager_imports() if library(name) == "torch"}
    doors = [(module.name, house_module(name)) for module, _, name in eager_imports() if may_be_torch(module)]
    while new := {module for module, target in doors if target in found} - found:
        found |= new
    return found


TORCH_MODULES = torch_modules()


def test_an_installed_package_has_its_files_besides_python(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"][PACKAGE]
    package = repository / PACKAGE
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert {str(path) for path in files.difference(*(package.glob(pattern) for pattern in patterns))} == set()


def test_every_file_is_in_a_room_of_the_list():
    assert {module.room for module in MODULES.values()} - {""} <= set(ROOMS)


def test_imports_are_absolute():
    assert [
        at(module, node, "relative import")
        for module, node in everywhere()
        if isinstance(node, ast.ImportFrom) and node.level
    ] == []


def test_imports_between_rooms_point_one_way():
    assert [
        at(module, node, f"{module.room} must not import {house_module(name)}")
        for module, node in everywhere()
        for name in imported_names(node)
        if library(name) == PACKAGE
        if module.room  # the package itself is a door to all of them
        if ROOMS.index(library(house_module(name))) > ROOMS.index(module.room)
    ] == []


def test_nothing_that_trains_reaches_the_sealed_test():
    """Not through anything it imports either."""
    reached = [name for name in MODULES if name.startswith(TRAINERS)]
    for name in reached:
        new = {house_module(i) for node in ast.walk(MODULES[name].tree) for i in imported_names(node)}
        reached += [module for module in new if module in MODULES and module not in reached]
    assert set(MODULES) >= SEALED
    assert set(reached) & SEALED == set()


def test_only_the_definitions_import_dagster():
    assert [
        at(module, node, f"imports {name}")
        for module, node in everywhere()
        for name in imported_names(node)
        if library(name).startswith("dagster") and module.room not in DAGSTER_ROOMS
        if not (library(name) == "dagster_pipes" and module.name in PIPES_USERS)
    ] == []


def test_heavy_libraries_are_imported_inside_functions():
    assert [
        at(module, node, f"imports {name} when the module is loaded")
        for module, node, name in eager_imports()
        if library(name) in LAZY and not (library(name) == "torch" and may_be_torch(module))
    ] == []


def test_torch_code_is_imported_inside_functions_by_others():
    assert [
        at(module, node, f"imports {name}, and with it torch, when the module is loaded")
        for module, node, name in eager_imports()
        if house_module(name) in TORCH_MODULES and module.name not in TORCH_MODULES
    ] == []


def test_annotations_of_the_definitions_are_real_objects():
    """Postponed annotations break `dg.Config` and the context argument of assets."""
    assert [
        at(module, node, "from __future__ import annotations")
        for module, node in everywhere()
        if module.room == "defs" and "__future__.annotations" in imported_names(node)
    ] == []


def test_nothing_is_printed():
    assert [
        at(module, node, "print")
        for module, node in everywhere()
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ] == []


def pickles(node: ast.AST) -> bool:
    """Whether a node imports a pickling library or uses more of `pickle` than its errors."""
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
        return ast.unparse(node) not in PICKLE_ERRORS
    loaded = {name for name in imported_names(node) if library(name) in PICKLERS}
    return bool(loaded - {"pickle"} - PICKLE_ERRORS)


def test_nothing_is_pickled():
    assert [at(module, node, "pickles") for module, node in everywhere() if pickles(node)] == []


def keyword(call: ast.Call, name: str) -> object:
    """The constant value of a keyword argument, or None."""
    values = [word.value for word in call.keywords if word.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def runs_foreign_code(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    unsafe = ast.unparse(node.func) == "torch.load" and keyword(node, "weights_only") is not True
    return unsafe or keyword(node, "allow_pickle") is True


def test_loaded_files_cannot_run_code():
    assert [
        at(module, node, f"{ast.unparse(node)} needs weights_only=True, or no allow_pickle")
        for module, node in everywhere()
        if runs_foreign_code(node)
    ] == []


def reads_environment(node: ast.AST) -> bool:
    names = {ast.unparse(node)} if isinstance(node, ast.Attribute) else set(imported_names(node))
    return bool(names & {"os.environ", "os.environb", "os.getenv", "os.putenv"})


def test_settings_alone_read_the_environment():
    found = {
        module.name: at(module, node, "reads the environment")
        for module, node in everywhere()
        if reads_environment(node)
    }
    assert [place for name, place in found.items() if name not in ENVIRONMENT_READERS] == []
    assert set(found) == set(ENVIRONMENT_READERS), "an exception is not needed any more"


def public_definitions(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of such classes."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and child.name[0] != "_":
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child)


def inherits_its_docstring(node: ast.FunctionDef | ast.ClassDef) -> bool:
    decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return bool(decorators & {"overload", "override", "setter"})


def test_every_module_says_what_lives_in_it():
    assert [module.name for module in MODULES.values() if not ast.get_docstring(module.tree)] == []


def test_everything_public_has_a_docstring():
    assert [
        at(module, node, f"{node.name} has no docstring")
        for module in MODULES.values()
        for node in public_definitions(module.tree)
        if not ast.get_docstring(node) and not inherits_its_docstring(node)
    ] == []


def statements(function: ast.FunctionDef) -> int:
    """Statements of a body, nested ones included, without its docstring."""
    found = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return found - bool(ast.get_docstring(function))


def test_an_asset_body_reads_like_a_sentence():
    assert [
        at(module, node, f"{node.name} has {statements(node)} statements; move the work into the domain")
        for module, node in everywhere()
        if module.room == "defs" and isinstance(node, ast.FunctionDef)
        if any("asset" in ast.unparse(decorator) for decorator in node.decorator_list)
        if statements(node) > MAX_ASSET_STATEMENTS
    ] == []


IMPORT_ALL = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded_by(names: list[str], folder: Path) -> set[str]:
    """Top-level libraries in memory after a fresh interpreter in an empty folder has imported some modules."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps(names)],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


# Dagster loads httpx itself in some versions; the source text is checked for it above.
HEAVY = LAZY - {"httpx"}


@pytest.mark.skipif("definitions" not in MODULES, reason="there are no definitions")
def test_loading_the_definitions_loads_no_heavy_library_and_writes_nothing(tmp_path):
    assert loaded_by([f"{PACKAGE}.definitions"], tmp_path) & HEAVY == set()
    assert list(tmp_path.iterdir()) == []


def test_every_module_but_torch_code_can_be_imported_without_a_heavy_library(tmp_path):
    names = [f"{PACKAGE}.{name}".removesuffix(".") for name in MODULES if name not in TORCH_MODULES]
    assert loaded_by(names, tmp_path) & HEAVY == set()
