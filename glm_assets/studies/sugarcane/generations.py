"""Sequences drawn from the model, before and after training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.generation_figures import plot_gc_bars, plot_lengths
from glm_assets.evaluation.model_styles import model_title
from glm_assets.evaluation.sequence_logo import plot_sequence_logo
from glm_assets.language.model import LanguageModel
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import GENERATIONS
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane.adapter import open_models
from glm_assets.studies.sugarcane.study import VARIABLE, SugarcaneStudy
from glm_assets.studies.sugarcane.unit_sequences import UnitSequences, choose_evenly, read_units

Progress = Callable[[str], None]

FASTA: Final = "generations.fa"


@dataclass(frozen=True)
class Prompt:
    """What a model goes on from, and what it is called."""

    name: str
    sequence: str


def make_generations(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Draw sequences from the model as it was published and from the trained one, after the same prompts.

    Args:
        study: The study.
        variety: Name of the variety.
        progress: Called with a line now and then.

    Raises:
        MissingUpstreamError: Units or adapter are absent or out of date.
        EvaluationError: There is no unit to take a prompt from.
        SettingsError: Prompt and new bases are longer than the model's context.
    """
    product = study.generations(variety)
    settings = study.values.generation

    def build(work: Path) -> Facts:
        from glm_assets.language.generated import gc_share, write_fasta

        prompts = read_prompts(study, variety)
        table = pl.concat(
            _drawn(study, variety, name, model, prompts, progress)
            for name, model in open_models(study, variety).items()
        )
        GENERATIONS.write(table, work / PART)
        write_fasta(work / FASTA, map(_record, table.iter_rows(named=True)))
        references = {"genome": _genome_gc(study, variety)}
        if of_prompts := gc_share("".join(prompt.sequence for prompt in prompts)):
            references["prompts"] = of_prompts
        _save_figures(table, references, settings.new_bases, variety, work)
        means = table.group_by("model", maintain_order=True).agg(pl.col("gc", "logprob_mean").mean())
        return {
            "rows": table.height,
            "prompts": len(prompts),
            "samples": settings.samples,
            "other_letters": int(table["sequence"].str.count_matches("[^ACGT]").sum()),
            **{
                figure: dict(means.select("model", figure).drop_nulls().iter_rows())
                for figure in ("gc", "logprob_mean")
            },
        }

    return product.make(build)


def read_prompts(study: SugarcaneStudy, variety: str) -> list[Prompt]:
    """The prompts that the values name, or the first bases of some test units, evenly over their types.

    Raises:
        EvaluationError: No unit of the test split has as many bases.
    """
    settings = study.values.generation
    if settings.prompts:
        return [Prompt(str(number), sequence.upper()) for number, sequence in enumerate(settings.prompts)]
    units = read_units(study, variety).filter(
        (pl.col("split") == "test") & (pl.col("length") >= settings.prompt_bases)
    )
    if not units.height:
        raise EvaluationError(
            f"variety {variety} has no test unit of {settings.prompt_bases:,} bases to take a prompt from",
            fix=f"name generation.prompts, or lower generation.prompt_bases, in the YAML file of {VARIABLE}",
        )
    chosen = choose_evenly(units, settings.max_prompts)
    sequences = UnitSequences(study, variety).each(chosen)
    return [
        Prompt(name, sequence[: settings.prompt_bases])
        for name, sequence in zip(chosen["unit_id"], sequences, strict=True)
    ]


def _drawn(
    study: SugarcaneStudy,
    variety: str,
    name: str,
    model: LanguageModel,
    prompts: list[Prompt],
    progress: Progress,
) -> pl.DataFrame:
    from glm_assets.language.generated import drawn_columns
    from glm_assets.language.generation import generate
    from glm_assets.language.sampling import Sampling

    settings = study.values.generation
    allowed = tuple(model.sequence_ids.tolist()) if settings.only_bases else None
    sampling = Sampling(settings.temperature, settings.top_k, settings.top_p, study.values.seed, allowed)
    drawn = generate(
        model,
        [prompt.sequence for prompt in prompts],
        tokens=settings.new_bases,
        samples=settings.samples,
        sampling=sampling,
        progress=lambda line: progress(f"{name}: {line}"),
    )
    rows = [
        {
            "variety": variety,
            "model": name,
            "prompt": each.prompt,
            "prompt_name": prompts[each.prompt].name,
            "sample": each.sample,
            "prompt_sequence": prompts[each.prompt].sequence,
        }
        | drawn_columns(each)
        for each in drawn
    ]
    return pl.DataFrame(rows, GENERATIONS.schema)


def _save_figures(table: pl.DataFrame, references: dict[str, float], asked: int, variety: str, work: Path) -> None:
    save_figure(plot_gc_bars(table, references=references, title=f"GC, {variety}"), work / "gc.png")
    save_figure(plot_lengths(table, asked=asked, title=f"lengths, {variety}"), work / "lengths.png")
    for (name,), rows in table.group_by("model", maintain_order=True):
        title = f"drawn after all prompts, {model_title(str(name))}"
        save_figure(plot_sequence_logo(rows["sequence"].to_list(), title=title), work / f"logo_{name}.png")


def _record(row: dict[str, object]) -> tuple[str, str]:
    header = f"{row['model']}_{row['prompt']}_{row['sample']} prompt={row['prompt_name']} length={row['length']}"
    return header, str(row["sequence"])


def _genome_gc(study: SugarcaneStudy, variety: str) -> float:
    """Share of G and C among the known bases of the genome."""
    known = pl.col("length") - pl.col("unknown")
    strong = (pl.col("gc").fill_null(0.0) * known).sum()
    return read_part(study.files("genome", variety)).select(strong / known.sum().clip(lower_bound=1)).item()
