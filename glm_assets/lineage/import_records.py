"""Where imported vectors came from: one JSON file for a set of source files, with an entry for each import."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glm_assets.encoders.agreement import Agreement, Limits
from glm_assets.encoders.base import EncoderSpec
from glm_assets.lineage.originals import Originals
from glm_assets.storage.atomic import digest_of, write_json
from glm_assets.storage.products import library_versions

FOLDER = "imports"


@dataclass(frozen=True)
class ImportRecord:
    """The file and the number of this import's entry; an entry without `finished` is that of a killed one.

    Attributes:
        path: `<data root>/imports/<16 hex digits>.json`: the first ones of the SHA-256 of the source files' names,
            sizes and modification times.
        entry: Index in the list `imports`.
    """

    path: Path
    entry: int

    @classmethod
    def begin(
        cls, root: Path, originals: Originals, spec: EncoderSpec, agreement: Agreement | None
    ) -> ImportRecord:
        """Add an entry before anything is stored, so that no vector is ever without one."""
        sources = [
            {"name": file.name, "bytes": (stat := file.stat()).st_size, "mtime_ns": stat.st_mtime_ns}
            for file in originals.files
        ]
        path = root / FOLDER / f"{digest_of(sources)[:16]}.json"
        entries = json.loads(path.read_text(encoding="utf-8"))["imports"] if path.exists() else []
        entry = {
            "started": _now(),
            "finished": None,
            "fingerprint": spec.fingerprint,
            "encoder": spec.as_dict(),
            "sample": asdict(agreement) if agreement else None,
            "limits": asdict(Limits.of(spec)),
            "versions": library_versions(),
        }
        write_json(path, {"sources": sources, "imports": [*entries, entry]})
        return cls(path, len(entries))

    def finish(self, counts: dict[str, int]) -> None:
        """Complete the entry.

        Args:
            counts: Of rows and vectors.
        """
        content: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        content["imports"][self.entry] |= {"finished": _now()} | counts
        write_json(self.path, content)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
