"""`glm-assets predict-reads`: labels of reads by a trained classifier, as one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from glm_assets.cli.arguments import Commands, positive, say

_HELP = """\
Label the reads of FASTA, FASTQ or CSV files with the classifier of the study metagenome. Written are a CSV of the reads
(sequence_id, predicted_class, confidence, sequence_length, prob_<class> ..), and beside it samples.csv with the labels
of each sample's aggregated vectors, abundance.csv, and part.parquet with the most probable labels. A killed run goes on
from its last batch."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    predict = commands.add_parser("predict-reads", help="label reads by the trained classifier", description=_HELP)
    predict.add_argument(
        "--input", type=Path, required=True, nargs="+", metavar="FILE", help="reads, also gzipped"
    )
    predict.add_argument("--output", type=Path, required=True, metavar="CSV", help="in a folder of its own")
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
    from glm_assets.studies.metagenome.prediction import predict_once
    from glm_assets.studies.metagenome.study import MetagenomeStudy

    study = MetagenomeStudy(Study(Settings.from_environment()))
    named = ("batch_size", "top_k", "aggregation", "sample_column", "sequence_column")
    choices = {name: value for name in named if (value := getattr(options, name)) is not None}
    done = predict_once(study, options.input, options.output, folder=options.ckpt, choices=choices, progress=say)
    found = "".join(f"  {label}: {reads:,}\n" for label, reads in done.labels.most_common() if reads)
    left_out = ", ".join(f"{reads:,} {reason}" for reason, reads in done.left_out.items() if reads)
    return f"{done.reads:,} reads in {options.output}\n{found}" + (f"left out: {left_out}\n" if left_out else "")
