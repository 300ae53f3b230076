"""The synthetic metagenome: labelled reads, their mapping, and samples to predict, made once and found again."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from glm_assets.demo.metagenome_genomes import make_genomes
from glm_assets.demo.metagenome_reads import Read, labelled_reads, quality, sample_reads
from glm_assets.demo.metagenome_recipe import (
    DEFAULT_METAGENOME,
    METAGENOME_VERSION,
    LabelRecipe,
    MetagenomeRecipe,
)
from glm_assets.demo.publishing import make_once, write_gzip
from glm_assets.demo.recipe import random_stream

RECORD: Final = "demo_metagenome.json"
FASTA, FASTQ, MAPPING = Path("reads.fasta.gz"), Path("reads.fastq.gz"), Path("mapping.tsv")
SAMPLES, SAMPLE_READS, TRUTH = Path("samples.csv"), Path("sample.fastq.gz"), Path("truth.csv")

_FASTA_SHARE: Final = 0.6
_LINE: Final = 80


@dataclass(frozen=True)
class DemoMetagenome:
    """Finished files.

    Attributes:
        root: Their folder.
        counts: `labels`: labelled reads by label (those of the unmapped class id left out); `oddities`: odd reads by
            kind; `mated`: fragments with two mates; `genomes`: sources of the labelled reads; `samples`: by sample,
            reads by label.
    """

    root: Path
    counts: dict[str, Any]

    @property
    def fasta(self) -> Path:
        """Labelled reads, gzipped FASTA."""
        return self.root / FASTA

    @property
    def fastq(self) -> Path:
        """Further labelled reads, of the same genomes and of other fragments, gzipped FASTQ."""
        return self.root / FASTQ

    @property
    def mapping(self) -> Path:
        """TSV with `class_id`, `label_name`, `tax_id`, `group` and `notes`."""
        return self.root / MAPPING

    @property
    def samples(self) -> Path:
        """CSV with `sample_id` and `sequence`: reads without labels, of genomes that no labelled read is from."""
        return self.root / SAMPLES

    @property
    def sample_reads(self) -> Path:
        """One more such sample, gzipped FASTQ, the headers without the grammar of labelled reads."""
        return self.root / SAMPLE_READS

    @property
    def truth(self) -> Path:
        """CSV with `sample_id`, `sequence_id`, `label` and `genome` of the reads without labels.

        `sequence_id` is the name in the FASTQ; of the CSV, which has no names, the number of the row from 0.
        """
        return self.root / TRUTH


def make_demo_metagenome(folder: Path, recipe: MetagenomeRecipe = DEFAULT_METAGENOME) -> DemoMetagenome:
    """Make the files in `folder`, or find them finished there; whole or absent.

    Args:
        folder: Where they shall be.
        recipe: What to make.

    Raises:
        DataRootError: `folder` holds something else.
    """
    made_of = {"generator_version": METAGENOME_VERSION, "recipe": recipe.as_dict()}
    return DemoMetagenome(folder, make_once(folder, RECORD, made_of, lambda work: _build(work, recipe)))


def _build(root: Path, recipe: MetagenomeRecipe) -> dict[str, Any]:
    root.mkdir(parents=True, exist_ok=True)
    genomes = make_genomes(recipe)
    each = recipe.genomes + recipe.strange_genomes
    known = [genome for place, genome in enumerate(genomes) if place % each < recipe.genomes]
    strange = [genome for place, genome in enumerate(genomes) if place % each >= recipe.genomes]
    fragments = labelled_reads(known, recipe, random_stream(recipe.seed, "reads"))
    parted = round(_FASTA_SHARE * len(fragments))
    _write_fasta(root / FASTA, (read for fragment in fragments[:parted] for read in fragment))
    rng = random_stream(recipe.seed, "quality")
    _write_fastq(root / FASTQ, ((read.header, read) for fragment in fragments[parted:] for read in fragment), rng)
    _write_mapping(root / MAPPING, recipe.labels)
    samples = {
        name: sample_reads(strange, shares, recipe, random_stream(recipe.seed, "sample", name))
        for name, shares in recipe.abundances.items()
    }
    _write_samples(root, samples, rng)
    return _counts(fragments, samples, len(known))


def _write_samples(root: Path, samples: dict[str, list[Read]], rng: np.random.Generator) -> None:
    """The last sample as FASTQ, the rest as rows of the CSV, and what is true of all of them."""
    *tabular, last = samples
    rows = [(name, read) for name in tabular for read in samples[name]]
    _write_csv(root / SAMPLES, ("sample_id", "sequence"), ((name, read.sequence) for name, read in rows))
    named = [(f"{last}_{number:05d}", read) for number, read in enumerate(samples[last])]
    _write_fastq(root / SAMPLE_READS, named, rng)
    truth = [(name, str(number), read) for number, (name, read) in enumerate(rows)]
    truth += [(last, name, read) for name, read in named]
    _write_csv(
        root / TRUTH,
        ("sample_id", "sequence_id", "label", "genome"),
        ((sample, name, read.genome.label.name, read.genome.name) for sample, name, read in truth),
    )


def _counts(fragments: list[list[Read]], samples: dict[str, list[Read]], genomes: int) -> dict[str, Any]:
    reads = [read for fragment in fragments for read in fragment]
    return {
        "labels": _by_label(read for read in reads if read.oddity != "unmapped"),
        "oddities": dict(sorted(Counter(read.oddity for read in reads if read.oddity).items())),
        "mated": sum(len(fragment) == 2 for fragment in fragments),
        "genomes": genomes,
        "samples": {name: _by_label(own) for name, own in samples.items()},
    }


def _by_label(reads: Iterable[Read]) -> dict[str, int]:
    return dict(sorted(Counter(read.genome.label.name for read in reads).items()))


def _write_fasta(path: Path, reads: Iterable[Read]) -> None:
    lines = []
    for read in reads:
        wrapped = [read.sequence[start : start + _LINE] for start in range(0, len(read.sequence), _LINE)]
        lines += [f">{read.header}", *wrapped]
    write_gzip(path, lines)


def _write_fastq(path: Path, reads: Iterable[tuple[str, Read]], rng: np.random.Generator) -> None:
    lines = []
    for header, read in reads:
        lines += [f"@{header}", read.sequence, "+", quality(read, rng)]
    write_gzip(path, lines)


def _write_mapping(path: Path, labels: Iterable[LabelRecipe]) -> None:
    rows = [
        (class_id, label.name, label.tax_id, "demo", "invented")
        for label in labels
        for class_id in label.class_ids
    ]
    _write_csv(path, ("class_id", "label_name", "tax_id", "group", "notes"), rows, delimiter="\t")


def _write_csv(
    path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]], delimiter: str = ","
) -> None:
    with path.open("w", newline="", encoding="ascii") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
