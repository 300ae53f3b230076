"""The user's files that a study's values name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from glm_assets.errors import SettingsError
from glm_assets.settings import Settings
from glm_assets.storage.atomic import file_digest


def existing_file(named: str | Path, key: str, variable: str | None = None) -> Path:
    """A file that the user names, as an absolute path; `~` is the home folder.

    Args:
        named: As the user wrote it; relative to the folder that the process works in.
        key: What names it, for the message: a key of a study's values, such as `reads.files`, or an option.
        variable: The environment variable that names the study's values; None where an option names the file.

    Raises:
        SettingsError: There is none.
    """
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise SettingsError(
            f"there is no file {path}, which {key} names",
            expected="an existing file",
            fix=f"correct {key}" + _place(variable),
        )
    return path


def _place(variable: str | None) -> str:
    return f" in the YAML file of {variable}, or in the run's configuration" if variable else ""


def require_demo_tree(settings: Settings, study: str, variable: str, what: str) -> None:
    """Refuse generated files in a data root of real sources, where they would pass for real ones.

    Args:
        settings: Which say what the sources are.
        study: Its name, for the message.
        variable: The environment variable that names the study's values.
        what: That is generated, such as `reads`.

    Raises:
        SettingsError: The sources are real ones.
    """
    if not settings.uses_demo_tree:
        raise SettingsError(
            f"the study {study} names the generated {what}, but this data root is of real sources",
            expected=f"{what} of your own",
            fix=f"set {variable} to a YAML file that names them",
        )


def digest(path: Path) -> str:
    """SHA-256 of a file, read once for each of its states: products ask for it again and again."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@cache
def _digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - they tell the states apart
    return file_digest(path)
