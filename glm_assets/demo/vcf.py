"""ClinVar's release files: VCF text in its dialect, BGZF, tabix index and md5 companion."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glm_assets.demo.records import Record
from glm_assets.storage.atomic import file_digest

_NOTICE = "SYNTHETIC demo data; genome, genes and records are invented and are not ClinVar records"

# Keys of ClinVar's header that the records use; some descriptions are shortened.
_INFO = {
    "AF_EXAC": "allele frequencies from ExAC",
    "ALLELEID": "the ClinVar Allele ID",
    "CLNDISDB": "Tag-value pairs of disease database name and identifier submitted for germline classifications",
    "CLNDN": "ClinVar's preferred disease name for the concept specified by disease identifiers in CLNDISDB",
    "CLNHGVS": "Top-level (primary assembly, alt, or patch) HGVS expression.",
    "CLNREVSTAT": "ClinVar review status of germline classification for the Variation ID",
    "CLNSIG": "Aggregate germline classification for this single variant; values are separated by a vertical bar",
    "CLNSIGCONF": "Conflicting germline classification for this single variant",
    "CLNSIGSCV": "SCV accession numbers for the submissions that contribute to the germline classification",
    "CLNVC": "Variant type",
    "CLNVCSO": "Sequence Ontology id for variant type",
    "GENEINFO": "Gene(s) for the variant reported as gene symbol:gene id, pairs delimited by a vertical bar (|)",
    "MC": "comma separated list of molecular consequence: Sequence Ontology ID|molecular_consequence",
    "ONC": "Aggregate oncogenicity classification for this single variant",
    "ONCDISDB": "Tag-value pairs of disease database name and identifier for oncogenicity classifications",
    "ONCDN": "ClinVar's preferred disease name for the concept specified by disease identifiers in ONCDISDB",
    "ONCREVSTAT": "ClinVar review status of oncogenicity classification for the Variation ID",
    "ORIGIN": "Allele origin: 0 - unknown; 1 - germline",
    "RS": "dbSNP ID (i.e. rs number)",
}
_SINGLE_VALUES = {
    "AF_EXAC": "Float",
    "ALLELEID": "Integer",
    "CLNVC": "String",
    "CLNVCSO": "String",
    "GENEINFO": "String",
}


def write_release(records: Iterable[Record], date: str, path: Path) -> None:
    """Write `path` (`.vcf.gz`, BGZF), `path.tbi` and `path.md5`; the same records give the same bytes.

    Args:
        records: In VCF order.
        date: Release date, `YYYYMMDD`.
        path: Final name of the VCF.
    """
    write_indexed([*_header(date), *(record.line() for record in records)], path)
    path.with_name(f"{path.name}.md5").write_text(f"{file_digest(path, 'md5')}  {path.name}\n", encoding="ascii")


def write_indexed(lines: Iterable[str], path: Path) -> None:
    """Write a VCF's lines as BGZF with `path.tbi`; the same lines give the same bytes.

    Args:
        lines: Header and records, in VCF order.
        path: Final name, `.vcf.gz`.
    """
    import pysam

    text = path.with_suffix("")
    text.write_text("\n".join(lines) + "\n", encoding="ascii")
    pysam.tabix_compress(str(text), str(path), force=True)
    text.unlink()
    pysam.tabix_index(str(path), preset="vcf", force=True)


def _header(date: str) -> list[str]:
    return [
        "##fileformat=VCFv4.1",
        f"##fileDate={date[:4]}-{date[4:6]}-{date[6:]}",
        "##source=ClinVar",
        "##reference=GRCh38",
        f"##note={_NOTICE}",
        '##ID=<Description="ClinVar Variation ID">',
        *map(_info_line, _INFO),
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]


def _info_line(key: str) -> str:
    number = "1" if key in _SINGLE_VALUES else "."
    kind = _SINGLE_VALUES.get(key, "String")
    return f'##INFO=<ID={key},Number={number},Type={kind},Description="{_INFO[key]}">'
