"""The parts of a variety's page: each product's figures with what they show, and its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT, model_title
from glm_assets.evaluation.report import PageTable, Section
from glm_assets.evaluation.score_distribution import score_statistics
from glm_assets.storage.tables import read_part
from glm_assets.studies.report_parts import Part
from glm_assets.studies.sugarcane.experiment_scores import SCORES_FILE
from glm_assets.studies.sugarcane.model_comparison import RANKING

_MODELS: Final = {ZERO_SHOT: model_title(ZERO_SHOT), FINE_TUNED: model_title(FINE_TUNED)}
_RANKED: Final = 10

_SECTIONS: Final = (
    ("model_comparison", "Before and after training"),
    ("lora_adapter", "Training"),
    ("unit_scores", "Scores of units"),
    ("token_profiles", "What the model expects, base by base"),
    ("generations", "Drawn sequences"),
    ("genome_profile", "The genome"),
)
"""In the order of the page."""

_TEXTS: Final = {
    "model_comparison": "Both models score the same units, so the difference may be certain where the means are close."
    " A mean log-probability nearer to 0 is better; guessing among four bases reaches \N{MINUS SIGN}1.386.",
    "lora_adapter": "The loss is in nats per base over windows of the validation split, which trained nothing.",
    "unit_scores": "Mean log-probability of a base of each unit, of both models.",
    "token_profiles": "Logits of the four bases at each position, and how sure the model is: 2 bits are a guess.",
    "generations": "Sequences that both models drew after the same prompts.",
    "genome_profile": "Counted on all of the genome and its annotation; what they do not say is missing, not made up.",
}

_CAPTIONS: Final = {
    "training": "Loss of training and validation, and the learning rate.",
    "unit_types": "Mean log-probability of a base by type of unit, and the difference with its 95 % interval.",
    f"scatter_{ZERO_SHOT}": "Score against experiment, before training.",
    f"scatter_{FINE_TUNED}": "Score against experiment, after training.",
    "histogram": "Distribution of the units' scores in 50 bins, with mean and median.",
    "violins": "The same as violins with their quartiles.",
    "ranking": "Units from the likeliest to the least likely.",
    f"logits_{ZERO_SHOT}": "Logits of A, C, G and T along a unit, before training; a dot marks the base that is there.",
    f"logits_{FINE_TUNED}": "The same after training.",
    "entropy": "Entropy of the four bases along a unit: thin by position, thick as a running mean.",
    "gc": "Share of G and C of each drawn sequence, beside the genome's and the prompts'.",
    "lengths": "Lengths of the drawn sequences.",
    f"logo_{ZERO_SHOT}": "Sequence logo of what was drawn, before training.",
    f"logo_{FINE_TUNED}": "Sequence logo of what was drawn, after training.",
    "genes": "Size, genes and composition; lengths of genes, exons and introns, and exons of a gene.",
    "codons": "Relative synonymous codon usage: 1 where all codons of an amino acid are used alike.",
    "repeats": "Microsatellites by bases of the motif, and shares of repeats.",
    "domains": "Protein domains that the annotation names.",
}


def sections(parts: Mapping[str, Part]) -> list[Section]:
    """The page's parts in order; what a product lacks is said to be missing.

    Args:
        parts: Product to its files and facts.
    """
    return [_section(name, title, parts[name]) for name, title in _SECTIONS]


def _section(name: str, title: str, part: Part) -> Section:
    tables = _TABLES[name](part) if name in _TABLES else []
    return Section(title, (_TEXTS[name],), tables, part.figures(_CAPTIONS), _missing(name, part))


def _missing(name: str, part: Part) -> list[str]:
    said = [] if part.figures(_CAPTIONS) else [f"Missing: {name.replace('_', ' ')} has no figure."]
    if name == "model_comparison" and SCORES_FILE not in part.names:
        said.append("Missing: scores against an experiment, for the study's values name no experiment.")
    said += [
        f"Missing: {what}, which the data do not say."
        for what in part.facts.get("missing", ())
        if what != "nothing"
    ]
    return said


def _comparison(part: Part) -> list[PageTable]:
    table = read_part(part.folder).drop("variety")
    tables = [
        PageTable(
            "Zero-shot and fine-tuned; the interval is of the difference",
            table.select("name", pl.exclude("name", "slice")),
            {**_MODELS, "low": "95 % from", "high": "to", "name": "units or experiment"},
        )
    ]
    if RANKING in part.names:
        ranked = pl.read_csv(part.folder / RANKING, schema_overrides={"unit_id": pl.String})
        tables += _ranking(ranked.select("rank", "unit_id", "unit_type", FINE_TUNED, ZERO_SHOT))
    return tables


def _ranking(ranked: pl.DataFrame) -> list[PageTable]:
    """Both ends of a ranking, or all of a short one."""
    by = "by the fine-tuned model, from the likeliest"
    if ranked.height <= 2 * _RANKED:
        return [PageTable(f"All {ranked.height:,} units, {by}", ranked, _MODELS)]
    return [
        PageTable(f"The first {_RANKED} of {ranked.height:,} units, {by}", ranked.head(_RANKED), _MODELS),
        PageTable(f"The last {_RANKED} of them", ranked.tail(_RANKED), _MODELS),
    ]


def _statistics(part: Part) -> list[PageTable]:
    scores = read_part(part.folder)
    groups = {
        model_title(str(model)): rows["logprob_mean"].drop_nulls().to_numpy()
        for (model,), rows in scores.group_by("model", maintain_order=True)
    }
    turned = score_statistics(groups).transpose(include_header=True, header_name="figure", column_names="group")
    return [PageTable("Mean log-probability of a base, over units", turned.filter(pl.col("figure") != "group"))]


def _profiles(part: Part) -> list[PageTable]:
    shown = read_part(part.folder).select(
        "unit_id", "unit_type", pl.col("model").replace(_MODELS), "positions", "mean_entropy", "accuracy"
    )
    titles = {"mean_entropy": "mean entropy (bits)", "accuracy": "likeliest base right"}
    return [PageTable("Units that were profiled", shown, titles, most=20)]


def _generations(part: Part) -> list[PageTable]:
    shown = read_part(part.folder).select(
        "prompt_name", pl.col("model").replace(_MODELS), pl.col("sample") + 1, "length", "gc", "logprob_mean"
    )
    return [PageTable("Sequences that were drawn", shown, {"prompt_name": "prompt", "gc": "GC"}, most=20)]


def _genome(part: Part) -> list[PageTable]:
    name = pl.col("name").replace("gc", "GC").str.replace_all("_", " ")
    summary = read_part(part.folder).filter(part="summary").select(name, "value")
    return [PageTable("Summary", summary)] if summary.height else []


_TABLES: Final = {
    "model_comparison": _comparison,
    "unit_scores": _statistics,
    "token_profiles": _profiles,
    "generations": _generations,
    "genome_profile": _genome,
}
