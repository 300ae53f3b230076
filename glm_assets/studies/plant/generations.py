"""Sequences drawn from the language model as each of its species, after the beginnings of test sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from glm_assets.encoders.tokenizers.kmer import decode_kmers
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.generation_figures import plot_gc_bars
from glm_assets.evaluation.sequence_logo import plot_sequence_logo
from glm_assets.language.token_store import TokenStore
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_plant import GENERATIONS
from glm_assets.storage.tables import PART
from glm_assets.studies.plant.judging import evenly_spaced
from glm_assets.studies.plant.opening import open_lm
from glm_assets.studies.plant.study import PlantStudy

if TYPE_CHECKING:
    from glm_assets.encoders.plant_lm.network import PlantLm

Progress = Callable[[str], None]

FASTA: Final = "generations.fa"

_CHUNK: Final = 1 << 22


def make_generations(study: PlantStudy, progress: Progress) -> Manifest:
    """Draw sequences as each species, every one after another stretch of its test sequence.

    Raises:
        MissingUpstreamError: The model or a species' tokens are absent or out of date.
        SettingsError: Prompt and new tokens are more than the model has positions.
    """

    def build(work: Path) -> Facts:
        from glm_assets.language.generated import write_fasta

        network = open_lm(study)
        stores = {species: TokenStore(study.files("tokens", species)) for species in study.species}
        table = pl.concat(_drawn(study, network, species, store, progress) for species, store in stores.items())
        GENERATIONS.write(table, work / PART)
        write_fasta(work / FASTA, map(_record, table.iter_rows(named=True)))
        test_gc = {species: _gc_of_test(store) for species, store in stores.items()}
        named = table.with_columns(prompt_name=pl.col("species"))
        figure = plot_gc_bars(
            named, references={f"{name}, test": gc for name, gc in test_gc.items()}, by="species"
        )
        save_figure(figure, work / "gc.png")
        for (species,), rows in table.group_by("species", maintain_order=True):
            logo = plot_sequence_logo(rows["sequence"].to_list(), title=f"drawn as {species}")
            save_figure(logo, work / f"logo_{species}.png")
        return {
            "rows": table.height,
            "bases": int(table["length"].sum()),
            "gc": _means(table, "gc"),
            "gc_of_test_sequence": test_gc,
            "logprob_mean": _means(table, "logprob_mean"),
        }

    return study.generations().make(build)


def first_prompts(store: TokenStore, tokens: int, count: int) -> list[str]:
    """The first tokens of test segments, evenly spaced; those of the first ones again where there are too few.

    Args:
        store: Of the species.
        tokens: Of a prompt, at most: a short segment gives what it has.
        count: Prompts.
    """
    segments = store.segments.filter(pl.col("split") == "test").select("first_token", "tokens").rows()
    chosen = evenly_spaced(len(segments), count)
    prompts = []
    for number in range(count):
        first, length = segments[chosen[number % len(chosen)]]
        ids = store.tokens(np.arange(first, first + min(length, tokens)))
        prompts.append(decode_kmers(ids, store.card.bases_per_token).tobytes().decode("ascii"))
    return prompts


def _drawn(
    study: PlantStudy, network: PlantLm, species: str, store: TokenStore, progress: Progress
) -> pl.DataFrame:
    from glm_assets.language.generated import drawn_columns
    from glm_assets.language.generation import generate
    from glm_assets.language.plant_lm import PlantLanguageModel
    from glm_assets.language.sampling import Sampling

    settings = study.values.generation
    device = str(network.final_norm.weight.device)
    model = PlantLanguageModel(network, species=species, device=device, context=network.config.positions)
    prompts = first_prompts(store, settings.prompt_tokens, settings.samples)
    drawn = generate(
        model,
        prompts,
        tokens=settings.tokens,
        samples=1,
        sampling=Sampling(settings.temperature, settings.top_k, settings.top_p, study.values.seed),
        progress=progress,
    )
    rows = [
        {
            "species": species,
            "sample": each.prompt,
            "prompt_sequence": prompts[each.prompt],
        }
        | drawn_columns(each)
        for each in drawn
    ]
    return pl.DataFrame(rows, GENERATIONS.schema)


def _gc_of_test(store: TokenStore) -> float:
    """Share of G and C in the test sequence of a species."""
    counts = np.zeros(store.card.vocabulary_size, np.int64)
    for first, tokens in store.segments.filter(pl.col("split") == "test").select("first_token", "tokens").rows():
        for start in range(first, first + tokens, _CHUNK):
            ids = store.tokens(np.arange(start, min(start + _CHUNK, first + tokens)))
            counts += np.bincount(ids, minlength=len(counts))
    bases = decode_kmers(np.arange(len(counts)), store.card.bases_per_token).reshape(len(counts), -1)
    strong = ((bases == ord("G")) | (bases == ord("C"))).mean(axis=1)
    return float((counts * strong).sum() / counts.sum())


def _means(table: pl.DataFrame, column: str) -> dict[str, float]:
    means = table.group_by("species", maintain_order=True).agg(pl.col(column).mean())
    return dict(means.drop_nulls().iter_rows())


def _record(row: dict[str, object]) -> tuple[str, str]:
    return f"{row['species']}_{row['sample']} prompt={row['prompt_sequence']}", str(row["sequence"])
