"""What is installed is pinned, and `make audit` says what it could and could not look at."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from glm_assets.encoders.evo1.config import INSTALL
from glm_assets_tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    canonicalize_name(requirement.name): requirement
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
    for requirement in [Requirement(line)]
}
# Extra: why what it needs is not pinned.
UNPINNED = {"gpu": "compiled against the host's own CUDA toolkit"}


def asked_for() -> set[tuple[str, frozenset[str]]]:
    """Names with extras that the project itself asks for."""
    lines = list(PROJECT["dependencies"])
    lines += [
        line for extra, own in PROJECT["optional-dependencies"].items() if extra not in UNPINNED for line in own
    ]
    return {(canonicalize_name(found.name), frozenset(found.extras)) for found in map(Requirement, lines)}


def closure() -> set[str]:
    """Everything installed that what the project asks for needs, by following the distributions' own metadata."""
    todo, seen = set(asked_for()), set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needs = map(Requirement, distribution(name).requires or ())
        except PackageNotFoundError:
            continue  # of an extra that is not installed here
        for need in needs:
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                todo.add((canonicalize_name(need.name), frozenset(need.extras)))
    return {name for name, _ in seen}


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def test_every_extra_is_pinned_or_has_a_reason():
    assert set(UNPINNED) <= set(PROJECT["optional-dependencies"])


def test_everything_installed_that_the_project_needs_is_pinned():
    needed = {name: found for name in closure() if (found := installed(name))}
    assert len(needed) > 100
    assert sorted(f"{name}=={found}" for name, found in needed.items() if name not in PINS) == []


def test_what_make_installs_without_its_dependencies_is_pinned_and_told_alike():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    names = re.search(r"^EVO1 := --no-deps (.+)$", makefile, re.MULTILINE)[1].split()
    assert set(names) == {"stripedhyena", "evo-model"}
    assert all(f"{name}{PINS[name].specifier}" in INSTALL for name in names)


def test_a_pin_names_one_version():
    assert [str(pin) for pin in PINS.values() if not re.fullmatch(r"==[^*,]+", str(pin.specifier))] == []


def test_nothing_is_taken_from_an_address():
    """Only from the index that pip is told to use: no address, no editable folder, no other index."""
    for text in ((REPOSITORY / "constraints.txt").read_text(), str(PROJECT)):
        assert not re.search(r"://|git\+|@ |--(extra-)?index", text.replace("https://github", ""))


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", REPOSITORY / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("report", "status", "told"),
    [
        ([], 0, "NOT AUDITED: no advisory service"),
        ([SKIPPED], 0, "NOT AUDITED: no advisory service"),
        ([FINE, SKIPPED], 0, "1 packages audited, 0 with known vulnerabilities; NOT AUDITED: c"),
        ([FINE, BAD], 1, "VULNERABLE: b 2, CVE-1, fixed in 3"),
        ([FINE], 0, "1 packages audited, 0 with known vulnerabilities\n"),
    ],
    ids=["no service", "a service that knows nothing", "in part", "vulnerable", "fine"],
)
def test_what_the_audit_tells(audit, report, status, told):
    said = []
    assert audit.tell(report, said.append) == status
    assert told in "".join(said)


@pytest.mark.system
def test_a_service_that_cannot_be_reached_is_no_failure(audit, monkeypatch, capsys, tmp_path):
    """pip-audit itself ends with a traceback then."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    (tmp_path / "one.txt").write_text("flask==3.1.0\n")
    assert audit.main(str(tmp_path / "one.txt")) == 0
    assert "NOT AUDITED: no advisory service answers" in capsys.readouterr().out


@pytest.mark.system
def test_constraints_that_cannot_be_read_are_a_failure(audit, tmp_path):
    (tmp_path / "bad.txt").write_text("flask = = 3.1.0\n")
    with pytest.raises(SystemExit, match=r"nothing was audited:\n(.*\n)*.*bad\.txt"):
        audit.main(str(tmp_path / "bad.txt"))


def test_an_audit_that_is_not_installed_or_crashes_is_a_failure(audit, monkeypatch, tmp_path):
    (tmp_path / "one.txt").write_text("flask==3.1.0\n")
    monkeypatch.setattr(audit, "_COMMAND", ("-m", "pip_audit_of_nobody"))
    with pytest.raises(SystemExit, match="No module named pip_audit_of_nobody"):
        audit.main(str(tmp_path / "one.txt"))
    monkeypatch.setattr(audit, "_COMMAND", ("-c", "print('{}')"))
    with pytest.raises(SystemExit, match="nothing was audited"):
        audit.main(str(tmp_path / "one.txt"))


def test_the_checks_include_the_audit():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^check:.*\baudit\b", makefile, re.MULTILINE)
