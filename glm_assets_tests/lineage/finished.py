"""Products that count as finished, and releases that a source seems to offer: all that decisions look at."""

from __future__ import annotations

import hashlib
from pathlib import Path

from glm_assets.lineage.source_catalogue import file_stamp
from glm_assets.lineage.study import Study
from glm_assets.sources.clinvar import WEEKLY


def offer(source: Path, date: str, content: bytes) -> str:
    """Put a release into a source as far as a sensor looks: its name in the listing and its MD5."""
    weekly = source / WEEKLY
    weekly.mkdir(parents=True, exist_ok=True)
    name = f"clinvar_{date}.vcf.gz"
    (weekly / name).write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    (weekly / f"{name}.md5").write_text(f"{md5}  {name}\n")
    return md5


def finish(product, **facts) -> None:
    """Publish a product as finished, without the files that no sensor reads."""
    product.make(lambda work: dict(facts))


def finish_release(study: Study, date: str, md5: str, **chromosomes: int) -> None:
    counts = {"21": 90, "22": 110} | {name.removeprefix("chr"): rows for name, rows in chromosomes.items()}
    finish(
        study.clinvar_release(date, md5),
        data_version=md5,
        release=f"{date[:4]}-{date[4:6]}-{date[6:]}",
        rows=sum(counts.values()),
        chromosomes={chrom: rows for chrom, rows in counts.items() if rows},
    )


def finish_reference(study: Study) -> None:
    finish(study.reference_genome("0" * 32), data_version="genome")


def finish_checkpoint(study: Study) -> None:
    weights = study.root / "weights"
    weights.write_bytes(b"weights")
    finish(study.glm_checkpoint("0" * 64), data_version="model", path=str(weights), stamp=file_stamp(weights))


def finish_chromosome(study: Study, chrom: str, **window_facts) -> None:
    finish(study.clinvar_variants(chrom), data_version=f"variants of {study.release().data_version}")
    facts = {"labelled_variants": 9, "reference_compared": 9, "reference_mismatch_share": 0.0} | window_facts
    finish(study.variant_windows(chrom), **facts)
    if not window_facts:
        finish(study.variant_embeddings(chrom))
