"""`glm-assets predict-reads`: labels of reads by a trained classifier, as one command."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_assets.cli.arguments import Commands, positive, say

if TYPE_CHECKING:
    from glm_assets.studies.metagenome.study import MetagenomeStudy

_HELP = """\
Label the reads of FASTA, FASTQ or CSV files with the classifier of the study metagenome. Written are a CSV of the reads
(sequence_id, predicted_class, confidence, sequence_length, prob_<class> ..), and beside it samples.csv with the labels
of each sample's aggregated vectors, abundance.csv, and part.parquet with the most probable labels. A killed run goes on
from its last batch. With --embeddings-only no classifier is needed: written is a Parquet file of the language model's
own vectors."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    predict = commands.add_parser("predict-reads", help="label reads by the trained classifier", description=_HELP)
    predict.add_argument(
        "--input", type=Path, required=True, nargs="+", metavar="FILE", help="reads, also gzipped"
    )
    predict.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the CSV, in a folder of its own"
    )
    predict.add_argument(
        "--embeddings-only", action="store_true", help="write a Parquet file of vectors, and label nothing"
    )
    predict.add_argument(
        "--ckpt", type=Path, metavar="FOLDER", help="a classifier's folder; default: that of the data root"
    )
    predict.add_argument(
        "--batch-size", "--batch_size", type=positive, metavar="N", help="reads in a forward pass"
    )
    predict.add_argument("--top-k", type=positive, metavar="K", help="labels in the column top_k")
    predict.add_argument("--aggregation", choices=("mean", "max", "sum"), help="of a sample's vectors")
    predict.add_argument("--sample-column", "--sample_column", metavar="NAME", help="of a CSV")
    predict.add_argument("--sequence-column", "--sequence_column", metavar="NAME", help="of a CSV")
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> str:
    from glm_assets.lineage.study import Study
    from glm_assets.settings import Settings
    from glm_assets.studies.metagenome.study import MetagenomeStudy

    study = MetagenomeStudy(Study(Settings.from_environment()))
    named = ("batch_size", "top_k", "aggregation", "sample_column", "sequence_column")
    choices = {name: value for name in named if (value := getattr(options, name)) is not None}
    return (_embed if options.embeddings_only else _label)(study, options, choices)


def _label(study: MetagenomeStudy, options: argparse.Namespace, choices: dict[str, Any]) -> str:
    from glm_assets.studies.metagenome.prediction import predict_once

    done = predict_once(study, options.input, options.output, folder=options.ckpt, choices=choices, progress=say)
    found = "".join(f"  {label}: {reads:,}\n" for label, reads in done.labels.most_common() if reads)
    return f"{done.reads:,} reads in {options.output}\n{found}{_told(done.left_out)}"


def _embed(study: MetagenomeStudy, options: argparse.Namespace, choices: dict[str, Any]) -> str:
    from glm_assets.errors import SettingsError
    from glm_assets.studies.metagenome.vectors import embed_once

    if options.ckpt:
        raise SettingsError(
            "--ckpt names a classifier, and --embeddings-only uses none", fix="leave one of the two out"
        )
    study.main.claim()
    done = embed_once(study, options.input, options.output, choices=choices, progress=say)
    vectors = f"{done.reads:,} vectors of {done.dimension:,} numbers in {options.output}"
    return f"{vectors}, {done.computed:,} computed\n{_told(done.left_out)}"


def _told(left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{reads:,} {reason}" for reason, reads in left_out.items() if reads)
    return f"left out: {reasons}\n" if reasons else ""
