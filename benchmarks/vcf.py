"""Parsing a full-size ClinVar VCF to Parquet, against a plain pysam loop that collects the same columns.

Run `python benchmarks/vcf.py [--records 3900000] [--sample 200000]`; the last line is JSON. The files are synthetic:
ClinVar's columns and INFO keys, about 400 bytes a record. The loop reads a smaller file of the same kind, because its
speed does not depend on the length, and it need not write its result. Each runs three times in processes of
its own, of which the fastest counts, and on the sample their rows are compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.genome.contigs import CHROMOSOMES

BLOCK = 100_000
REPEATS = 3
FIXED = ("chrom", "pos", "variation_id", "ref", "alt", "filter")
COLUMNS = (*FIXED, "clnsig", "clnrevstat", "gene", "geneinfo", "mc", "rs")
INFO_KEYS = (
    *("ALLELEID", "CLNDISDB", "CLNDN", "CLNHGVS", "CLNREVSTAT", "CLNSIG", "CLNSIGCONF", "CLNSIGSCV"),
    *("CLNVC", "CLNVCSO", "GENEINFO", "MC", "ORIGIN", "RS"),
)
HEADER = "\n".join(
    [
        "##fileformat=VCFv4.1",
        "##source=synthetic, in the form of ClinVar",
        *(f'##INFO=<ID={key},Number=.,Type=String,Description="{key}">' for key in INFO_KEYS),
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
    ]
)
RECORD = (
    "{}\t{}\t{}\t{}\t{}\t.\t.\tALLELEID={};CLNDISDB=MONDO:MONDO:{},MeSH:D009386,MedGen:C0027672,Orphanet:140162|MedGen:C{};"
    "CLNDN=Hereditary_cancer-predisposing_syndrome|not_provided;CLNHGVS=NC_000001.11:g.{}{}>{};CLNREVSTAT={};CLNSIG={};"
    "CLNSIGSCV=SCV00{};CLNVC=single_nucleotide_variant;CLNVCSO=SO:0001483;GENEINFO=GENE{}:{};MC={};ORIGIN=1{}\n"
)
SIGNIFICANCE = {
    "Uncertain_significance": 0.48,
    "Likely_benign": 0.27,
    "Benign": 0.07,
    "Pathogenic": 0.06,
    "Likely_pathogenic": 0.03,
    "Benign/Likely_benign": 0.02,
    "Pathogenic/Likely_pathogenic": 0.02,
    "Conflicting_classifications_of_pathogenicity;CLNSIGCONF=Pathogenic(1)|Uncertain_significance(2)": 0.05,
}
REVIEW = {
    "criteria_provided,_single_submitter": 0.75,
    "criteria_provided,_multiple_submitters,_no_conflicts": 0.18,
    "no_assertion_criteria_provided": 0.05,
    "reviewed_by_expert_panel": 0.02,
}
CONSEQUENCE = {
    "SO:0001583|missense_variant": 0.5,
    "SO:0001627|intron_variant": 0.2,
    "SO:0001819|synonymous_variant": 0.2,
    "SO:0001575|splice_donor_variant,SO:0001627|intron_variant": 0.05,
    "SO:0001587|nonsense": 0.05,
}
REF = {
    "A": 0.23,
    "C": 0.23,
    "G": 0.23,
    "T": 0.235,
    "GA": 0.04,
    "CTGA": 0.02,
    "CT" * 12: 0.0125,
    "AG" * 200: 0.0025,
}
ALT = {"A": 0.24, "C": 0.24, "G": 0.24, "T": 0.24, "AT": 0.025, "GCCA": 0.0125, ".": 0.0025}


def write_vcf(path: Path, records: int) -> None:
    """Write a synthetic release, chromosome by chromosome."""
    import pysam

    rng = np.random.default_rng(records)
    with pysam.BGZFile(str(path), "wb1", None) as stream:  # pyright: ignore[reportArgumentType]
        stream.write(HEADER.encode())
        for number, chrom in enumerate((*CHROMOSOMES, "NT_187633.1")):
            share = records * (number + 1) // 26 - records * number // 26
            positions = np.sort(rng.integers(10_000, 200_000_000, share))
            for start in range(0, share, BLOCK):
                stream.write(_lines(chrom, positions[start : start + BLOCK], rng))


def _lines(chrom: str, positions: np.ndarray, rng: np.random.Generator) -> bytes:
    def pick(choices: dict[str, float]) -> pl.Series:
        return pl.Series(list(choices)).gather(rng.choice(len(choices), len(positions), p=list(choices.values())))

    def number(limit: int) -> pl.Series:
        return pl.Series(rng.integers(1, limit, len(positions)))

    with_rs = pl.format(";RS={}", number(2_000_000_000))
    rs = pl.when(number(10) > 1).then(with_rs).otherwise(pl.lit(""))
    pos, ref, alt, gene = pl.Series(positions), pick(REF), pick(ALT), number(20_000)
    head = [pl.lit(chrom), pos, number(5_000_000), ref, alt, number(5_000_000), number(10**7), number(10**7)]
    tail = [pos, ref, alt, pick(REVIEW), pick(SIGNIFICANCE), number(10**7), gene, gene, pick(CONSEQUENCE), rs]
    return pl.select(pl.format(RECORD, *head, *tail).str.join("")).item().encode()


def vectorised(vcf: Path) -> dict[str, float]:
    """Parse with this project's reader."""
    from glm_assets.sources.vcf import parse_records

    started = time.perf_counter()
    counts = parse_records(vcf, vcf.with_suffix(".parquet"), progress=lambda _line: None)
    seconds = time.perf_counter() - started
    return {"records": counts.records, "seconds": seconds, "peak_rss_mb": _peak_rss_mb()}


def looped(vcf: Path) -> dict[str, float]:
    """Parse record by record with pysam, into lists."""
    started = time.perf_counter()
    rows = list(_pysam_rows(vcf))
    return {"records": len(rows), "seconds": time.perf_counter() - started, "peak_rss_mb": _peak_rss_mb()}


def _pysam_rows(vcf: Path) -> Iterator[tuple[object, ...]]:
    import pysam

    pysam.set_verbosity(0)  # ClinVar declares no contigs, about which htslib would complain
    with pysam.VariantFile(str(vcf)) as reader:
        for record in reader:
            texts = [_text(record.info.get(key)) for key in ("CLNSIG", "CLNREVSTAT", "GENEINFO", "MC", "RS")]
            clnsig, clnrevstat, geneinfo, mc, rs = texts
            gene = geneinfo.partition(":")[0] if geneinfo is not None else None
            alt, filters = ",".join(record.alts or "."), ";".join(map(str, record.filter)) or "."
            fixed = (record.chrom, record.pos, int(record.id or 0), record.ref, alt, filters)
            yield (*fixed, clnsig, clnrevstat, gene, geneinfo, mc, rs)


def _text(value: tuple[str, ...] | None) -> str | None:
    return None if value is None else ",".join(value)


def _peak_rss_mb() -> int:
    """Peak memory of this process alone; getrusage would count the parent's as well."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


def _agree(vcf: Path) -> bool:
    """Whether both readers give the same rows."""
    parsed = pl.read_parquet(vcf.with_suffix(".parquet"), columns=list(COLUMNS)).rows()
    return parsed == [row for row in _pysam_rows(vcf) if row[0] in CHROMOSOMES]


def _best(reader: str, vcf: Path, repeats: int = REPEATS) -> dict[str, float]:
    """The fastest of some runs of a reader, each in a process of its own."""
    command = [sys.executable, __file__, "--reader", reader, "--vcf", str(vcf)]
    done = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(repeats)]
    return min((json.loads(process.stdout) for process in done), key=lambda run: run["seconds"])


def compare(records: int, sample: int) -> dict[str, object]:
    """Make both files, run both readers and compare them."""
    with tempfile.TemporaryDirectory() as folder:
        full, small = Path(folder, "full.vcf.gz"), Path(folder, "sample.vcf.gz")
        for path, size in ((full, records), (small, sample)):
            started = time.perf_counter()
            write_vcf(path, size)
            print(
                f"{path.name}: {size:,} records, {path.stat().st_size / 1e6:,.0f} MB, "
                f"made in {time.perf_counter() - started:.0f} s"
            )
        ours, theirs = _best("vectorised", full), _best("looped", small)
        _best("vectorised", small, repeats=1)  # for the comparison of the rows
        ours_rate, theirs_rate = (run["records"] / run["seconds"] for run in (ours, theirs))
        return {
            "name": "vcf",
            "ratio": round(ours_rate / theirs_rate, 2),
            "records": ours["records"],
            "seconds": round(ours["seconds"], 2),
            "records_per_second": round(ours_rate),
            "peak_rss_mb": ours["peak_rss_mb"],
            "pysam_records": theirs["records"],
            "pysam_seconds": round(theirs["seconds"], 2),
            "pysam_records_per_second": round(theirs_rate),
            "same_rows": _agree(small),
        }


def main() -> None:
    """Run the comparison, or one reader for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3_900_000, help="records in the large file")
    parser.add_argument("--sample", type=int, default=200_000, help="records in the loop's file")
    parser.add_argument("--reader", choices=("vectorised", "looped"), help=argparse.SUPPRESS)
    parser.add_argument("--vcf", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        print(json.dumps({"vectorised": vectorised, "looped": looped}[options.reader](options.vcf)))
    else:
        print(json.dumps(compare(options.records, options.sample)))


if __name__ == "__main__":
    main()
