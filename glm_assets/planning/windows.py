"""How many windows would go through the model: a count where the windows are made, an estimate where they are not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.evo2.config import EVO2_MODELS
from glm_assets.encoders.evo2.plan import DOWNSTREAM_ONLY
from glm_assets.encoders.keys import pair_keys, sequence_keys
from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import GlmError, MissingUpstreamError
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.lineage.embeddings import embeddable_windows, with_other_strand
from glm_assets.lineage.ladders import draw_ladders
from glm_assets.lineage.layer_comparison import draw_sample
from glm_assets.lineage.likelihoods import LIKELIHOOD_DTYPE
from glm_assets.lineage.study import Study
from glm_assets.planning.expectation import GRID_REFERENCE_SHARE, REFERENCE_SHARE, expected_rows
from glm_assets.planning.staleness import Finding, Offer
from glm_assets.planning.stored import StoredKeys
from glm_assets.sources.reference import FASTA
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import read_part, table_folder
from glm_assets.submission.sequences import read_test_sequences

CHROMOSOME_VECTORS = ("variant_embeddings", "variant_likelihoods", "covariance_embeddings")
EMBEDDED = (*CHROMOSOME_VECTORS, "mutation_ladders", "layer_comparison", "test_embeddings")
"""The assets that compute vectors which the store keeps."""

_KEY_COLUMNS = ["ref_digest", "var_digest", "variant_offset", "ref", "alt"]


@dataclass(frozen=True)
class Work:
    """What an asset's partition has to compute.

    Attributes:
        asset: Its name.
        partition: Chromosome; empty where there are no partitions.
        rows: Variants, rungs or sequences that it asks for.
        pairs: Those whose vectors the store lacks; sequences count as pairs of their own.
        references: Different reference windows among these; 0 of sequences.
        windows: Windows that go through the model.
        exact: Whether that follows from the windows themselves.
        basis: What it follows from.
        length: Bases of a window.
        offset: Where variants begin in it, in the mean.
        spec: What the vectors are; None where this machine cannot say, as `basis` then tells.
        store_dtype: Type of the stored numbers.
    """

    asset: str
    partition: str
    rows: int
    pairs: int
    references: int
    windows: int
    exact: bool
    basis: str
    length: int
    offset: int
    spec: EncoderSpec | None
    store_dtype: str

    @property
    def vector_bytes(self) -> int:
        """What the vectors of one pair or sequence take."""
        dimension = self.spec.dimension if self.spec else 0
        vectors = 1 if self.asset == "test_embeddings" else 2
        return vectors * dimension * np.dtype(self.store_dtype).itemsize


class PlannedStudy(Study):
    """A study that can say what vectors will be before the weights are there; their keys are then nobody's."""

    def checkpoint(self) -> Manifest:
        """The record of the weights, or a stand-in."""
        try:
            return super().checkpoint()
        except MissingUpstreamError:
            product = self.glm_checkpoint("unknown")
            facts = {"path": str(self.weights_folder / "unknown")}
            return Manifest(
                *(product.asset, None, product.input_digest, product.inputs, product.recipe),
                *(product.code_version, "unknown", {}, facts, "", {}),
            )


def count_work(study: Study, finding: Finding, stored: StoredKeys, offer: Offer, *, ready: bool) -> Work:
    """Count what one asset's partition has to compute.

    Args:
        study: The main study.
        finding: One of `EMBEDDED`.
        stored: What is in the store.
        offer: What the source offers.
        ready: Whether everything that it is made from is up to date and stays as it is.
    """
    spec, problem = _spec(PlannedStudy(study.settings), finding.asset)
    if finding.asset == "test_embeddings":
        return _count_sequences(study, spec, problem, stored)
    if ready and spec:
        return _count_pairs(study, finding, spec, stored)
    return _estimate(study, finding, spec, problem, stored, offer)


def _spec(study: Study, asset: str) -> tuple[EncoderSpec | None, str]:
    specs = {
        "variant_likelihoods": "likelihood_spec",
        "covariance_embeddings": "covariance_spec",
        "layer_comparison": "sweep_spec",
        "test_embeddings": "sequence_spec",
    }
    try:
        return getattr(study, specs.get(asset, "encoder_spec")), ""
    except GlmError as error:
        return None, error.problem
    except FileNotFoundError:  # a transformers model is described by its files
        return None, "the encoder's files are not here yet"


def _dtype(study: Study, asset: str) -> str:
    if asset == "variant_likelihoods":
        return LIKELIHOOD_DTYPE
    return "float32" if asset == "test_embeddings" else study.profile.encoder.store_dtype


def _count_pairs(study: Study, finding: Finding, spec: EncoderSpec, stored: StoredKeys) -> Work:
    asset, dtype, recipe = finding.asset, _dtype(study, finding.asset), study.profile.windows.as_dict()
    if asset == "mutation_ladders":
        rows = draw_ladders(study, spec, study.profile.chromosomes)[0]
    elif asset == "layer_comparison":
        rows = draw_sample(study)
    else:
        rows = embeddable_windows(study, finding.partition, spec)
    layers = study.profile.sweep.layers if asset == "layer_comparison" else (spec.layer,)
    missing = np.zeros(rows.height, bool)
    for layer in layers:
        keys = pair_keys(rows, replace(spec, layer=layer).fingerprint, recipe)
        missing |= stored.missing(keys, dtype)
    keys = pair_keys(rows, spec.fingerprint, recipe)
    todo = rows.select("ref_digest", "variant_offset").with_columns(keys)
    todo = todo.filter(missing).unique("key")
    sizes = todo.group_by("ref_digest").len()["len"]
    length = study.profile.windows.length
    mean = todo["variant_offset"].mean()
    passes = int(np.ceil(sizes.to_numpy() / _variants_a_batch(study, spec, length)).sum())
    return Work(
        asset=asset,
        partition=finding.partition,
        rows=rows.height,
        pairs=todo.height,
        references=sizes.len(),
        windows=_strands(spec) * (todo.height + passes),
        exact=True,
        basis="the windows and the store's keys",
        length=length,
        offset=_offset(study) if mean is None else int(float(str(mean))),
        spec=spec,
        store_dtype=dtype,
    )


def _variants_a_batch(study: Study, spec: EncoderSpec, length: int) -> float:
    """With how many of its variants a reference window shares a batch; with more it is computed once in each."""
    if spec.name not in EVO2_MODELS:
        return math.inf
    reach = Pooling.parse(spec.pooling).positions_from_variant
    own = min(length, reach) if reach and spec.extras["pairs"] == DOWNSTREAM_ONLY else length
    return max(1, (study.profile.encoder.batch_tokens - length) // own)


def _count_sequences(study: Study, spec: EncoderSpec | None, problem: str, stored: StoredKeys) -> Work:
    longest = study.profile.submission.max_length
    try:
        sequences, _ = read_test_sequences(study.test_csv(), max_length=longest)
        rows, problem = sequences["seq"], problem or "the CSV and the store's keys"
    except GlmError as error:
        rows, problem = pl.Series("seq", [], pl.String), error.problem
    keys = sequence_keys(rows, spec.fingerprint) if spec else rows
    todo = keys.filter(stored.missing(keys, "float32")).unique() if spec else rows.unique()
    return Work(
        asset="test_embeddings",
        partition="",
        rows=len(rows),
        pairs=len(todo),
        references=0,
        windows=_strands(spec) * len(todo),
        exact=spec is not None and len(rows) > 0,
        basis=problem,
        length=int(rows.str.len_bytes().to_numpy().max(initial=0)) or longest,
        offset=0,
        spec=spec,
        store_dtype="float32",
    )


def _estimate(
    study: Study, finding: Finding, spec: EncoderSpec | None, problem: str, stored: StoredKeys, offer: Offer
) -> Work:
    if finding.asset in CHROMOSOME_VECTORS:
        rows, pairs, references, basis = _expect(study, finding.partition, spec, stored, offer, finding.asset)
    else:
        rows, pairs, references, basis = _expect_sample(study, finding.asset)
    return Work(
        asset=finding.asset,
        partition=finding.partition,
        rows=rows,
        pairs=pairs,
        references=references,
        windows=_strands(spec) * (pairs + references),
        exact=False,
        basis=problem or basis,
        length=study.profile.windows.length,
        offset=_offset(study),
        spec=spec,
        store_dtype=_dtype(study, finding.asset),
    )


def _expect(
    study: Study, chrom: str, spec: EncoderSpec | None, stored: StoredKeys, offer: Offer, asset: str
) -> tuple[int, int, int, str]:
    """Rows, pairs without vectors, their references, and what these follow from."""
    expected = expected_rows(study, chrom, offer)
    folder = table_folder(study.tables, "variant_windows", chrom)
    earlier = study.recorded(folder)
    recipe = study.profile.windows.as_dict()
    if earlier is None or spec is None or earlier.recipe.get("windows") != recipe:
        return expected.rows, expected.rows, math.ceil(expected.rows * _share(study)), expected.basis
    try:
        rows = read_part(study.files(folder), _KEY_COLUMNS)
    except GlmError:
        return expected.rows, expected.rows, math.ceil(expected.rows * _share(study)), expected.basis
    if spec.reverse_complement:
        rows = _both_strands(study, chrom, folder)
    todo = rows.filter(stored.missing(pair_keys(rows, spec.fingerprint, recipe), _dtype(study, asset)))
    return _grown(rows, todo, expected.rows, expected.basis)


def _both_strands(study: Study, chrom: str, folder: Path) -> pl.DataFrame:
    """The windows before, with those of the other strand; none where there is no reference to cut them from."""
    if not study.reference_or_none():
        return read_part(folder).clear()
    contig = ReferenceGenome(study.files(study.reference_folder) / FASTA).sequence(chrom)
    return with_other_strand(read_part(folder), contig, study.profile.windows.length)


def _grown(rows: pl.DataFrame, todo: pl.DataFrame, expected: int, basis: str) -> tuple[int, int, int, str]:
    added = max(0, expected - rows.height)
    share = rows["ref_digest"].n_unique() / rows.height if rows.height else REFERENCE_SHARE
    references = todo["ref_digest"].n_unique() + math.ceil(added * share)
    return rows.height + added, todo.height + added, references, f"the windows before, and {basis}"


def _expect_sample(study: Study, asset: str) -> tuple[int, int, int, str]:
    if asset == "layer_comparison":
        sample = study.profile.sweep.variants
        return sample, sample, math.ceil(sample * _share(study)), "the profile's sample"
    drawn = study.profile.ladders.windows
    rungs = 1 + int(math.log2(min(512, study.profile.windows.length // 2)))
    return drawn * rungs, drawn * rungs, drawn, "the profile's ladders"


def _share(study: Study) -> float:
    """Different reference windows a pair, where no windows say it."""
    return GRID_REFERENCE_SHARE if study.profile.windows.layout == "grid" else REFERENCE_SHARE


def _offset(study: Study) -> int:
    windows = study.profile.windows
    return windows.anchor if windows.anchor is not None else windows.length // 2


def _strands(spec: EncoderSpec | None) -> int:
    return 2 if spec and spec.reverse_complement else 1


def lost_vectors(study: Study, finding: Finding, stored: StoredKeys) -> int:
    """How many vectors of an index that is up to date are no longer in the store."""
    if finding.asset not in EMBEDDED or finding.asset == "layer_comparison":
        return 0
    folder = table_folder(study.tables, finding.asset, finding.partition or None)
    keys = read_part(study.files(folder), ["key"])["key"]
    return int(stored.missing(keys, _dtype(study, finding.asset)).sum())
