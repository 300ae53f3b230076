"""What the model expects along some units, position by position, before and after training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.model_styles import model_title
from glm_assets.evaluation.token_profile_figures import plot_entropy, plot_logit_map
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import TOKEN_PROFILES
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane.adapter import open_models
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.studies.sugarcane.unit_sequences import UnitSequences, choose_evenly, choose_named, read_units

Progress = Callable[[str], None]
Arrays = tuple[np.ndarray, np.ndarray]


def make_token_profiles(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Keep the logits of the four bases and their entropy along units, for both models.

    They lie in `logits.npy` and `entropy.npy`, all units of the first model before those of the second. A run that was
    killed goes on with the units that are not finished.

    Args:
        study: The study.
        variety: Name of the variety.
        progress: Called with a line after each unit.

    Raises:
        MissingUpstreamError: Scores, units or adapter are absent or out of date.
        SettingsError: A unit that is named does not exist, or the model cannot read tiles of that size.
    """
    product = study.token_profiles(variety)

    def build(work: Path) -> Facts:
        from glm_assets.language.profiles import ProfileFiles, write_profiles
        from glm_assets.language.tiling import Tiling

        units, settings = _profiled(study, variety), study.values.scoring
        sequences = list(UnitSequences(study, variety).each(units))
        models = open_models(study, variety)
        files = ProfileFiles(work, [len(sequence) for sequence in sequences] * len(models), product.input_digest)
        found = files.done
        tiling = Tiling(settings.start_token, settings.tile, settings.overlap, settings.batch_tokens)
        for number, (name, model) in enumerate(models.items()):
            first = number * units.height
            for done in write_profiles(model, sequences, files, tiling, first=first):
                progress(f"{done + 1 - first:,} of {units.height:,} units profiled, {name}")
        profiles = map(files.read, range(units.height * len(models)))
        table = _table(units, list(models), sequences, profiles, files.starts)
        TOKEN_PROFILES.write(table, work / PART)
        of_first = {name: files.read(number * units.height) for number, name in enumerate(models)}
        _save_figures(of_first, sequences[0], units["unit_id"][0], study.values.profiles.figure_bases, work)
        return {
            "rows": table.height,
            "units": units.height,
            "positions": sum(map(len, sequences)),
            "computed": table.height - found,
            **_means(table),
        }

    return product.make(build)


def _profiled(study: SugarcaneStudy, variety: str) -> pl.DataFrame:
    """The units that the values name, or as many of the scored ones as they say."""
    every, settings = read_units(study, variety), study.values.profiles
    if settings.units:
        return choose_named(every, settings.units, "profiles.units")
    scored = read_part(study.files("unit_scores", variety), ["unit_id"])["unit_id"].unique()
    return choose_evenly(every.filter(pl.col("unit_id").is_in(scored.implode())), settings.max_units)


def _table(
    units: pl.DataFrame, models: list[str], sequences: list[str], profiles: Iterable[Arrays], starts: np.ndarray
) -> pl.DataFrame:
    of_models = pl.concat(
        units.select("variety", "unit_id", "unit_type", pl.lit(name).alias("model")) for name in models
    )
    figures = [_figures(sequence, *rows) for sequence, rows in zip(sequences * len(models), profiles, strict=True)]
    return of_models.with_columns(
        pl.Series("first_row", starts[:-1]),
        pl.Series("positions", np.diff(starts)),
        pl.Series("mean_entropy", [entropy for entropy, _ in figures], pl.Float64),
        pl.Series("accuracy", [accuracy for _, accuracy in figures], pl.Float64),
    )


def _figures(sequence: str, logits: np.ndarray, entropy: np.ndarray) -> tuple[float | None, float | None]:
    """Mean entropy of the positions that are predicted, and the share of known bases that are the likeliest."""
    bases = encode_ids(np.frombuffer(sequence.encode("ascii"), np.uint8))
    predicted = ~np.isnan(logits).any(axis=1)
    judged = predicted & (bases != UNKNOWN_ID)
    mean = float(entropy[predicted].mean(dtype=np.float64)) if predicted.any() else None
    hits = logits[judged].argmax(axis=1) == bases[judged]
    return mean, float(hits.mean()) if judged.any() else None


def _means(table: pl.DataFrame) -> Facts:
    by_model = table.group_by("model", maintain_order=True).agg("mean_entropy", "accuracy")
    return {
        figure: {
            name: float(values.mean()) for name, values in zip(by_model["model"], by_model[figure], strict=True)
        }
        for figure in ("mean_entropy", "accuracy")
    }


def _save_figures(profiles: dict[str, Arrays], sequence: str, unit: str, most: int, work: Path) -> None:
    """Heat maps and entropies of one unit; a first base that nothing predicts is left out."""
    first = int(np.isnan(next(iter(profiles.values()))[1][:1]).sum())
    if len(sequence) <= first:
        return
    shown = slice(first, first + most)
    for name, (logits, _) in profiles.items():
        title = f"{unit}, {model_title(name)}"
        figure = plot_logit_map(logits[shown], sequence[shown], title=title, first=first + 1, positions=most)
        save_figure(figure, work / f"logits_{name}.png")
    entropies = {name: entropy[shown] for name, (_, entropy) in profiles.items()}
    save_figure(plot_entropy(entropies, title=unit, first=first + 1), work / "entropy.png")
