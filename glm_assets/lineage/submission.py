"""From the user's CSV to the submission."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.submission_figures import nearest_distances, plot_nearest_distances
from glm_assets.heads.apply import embed, load_head
from glm_assets.lineage.head_choice import check_encoder, choose_head
from glm_assets.lineage.study import SUBMITTED_HEAD, Study
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import TEST_SEQUENCES
from glm_assets.storage.tables import PART, read_part
from glm_assets.submission.sequences import read_test_sequences
from glm_assets.submission.write import write_submission
from glm_assets.tracking import Registry

_TREATMENTS = ("lower_cased", "trimmed", "padded_ids", "formula_ids", "ignored_columns", "blank_lines", "bom")


def make_test_sequences(study: Study) -> Manifest:
    """Read and validate the user's CSV."""
    csv = study.test_csv()
    product = study.test_sequences()

    def build(work: Path) -> Facts:
        sequences, counts = read_test_sequences(csv, max_length=study.profile.submission.max_length)
        TEST_SEQUENCES.write(sequences, work / PART)
        found = asdict(counts)
        treated = {name: int(found.pop(name)) for name in _TREATMENTS}
        return found | {"csv": str(csv), "treated": treated}

    return product.make(build)


def make_submission(study: Study, registry: Registry, *, head: str = SUBMITTED_HEAD) -> Manifest:
    """Pass the test vectors through a head and write the CSV.

    Args:
        study: The main study.
        registry: Asked only where `head` names an alias or a version.
        head: Which head, as `head_choice` reads it.

    Raises:
        EncoderError: The head was trained on vectors of another encoder.
    """
    choice = choose_head(study, head, registry)
    checked = check_encoder(choice, study, study.sequence_spec)
    product = study.submission(choice.inputs)

    def build(work: Path) -> Facts:
        prepare_device(CPU, study.settings.cpu_threads)
        index = read_part(study.test_embeddings().files())
        vectors = embed(load_head(choice.weights), study.store().read_sequences(index["key"]))
        report = write_submission(
            index["ID"],
            vectors,
            work / study.submission_csv.name,
            significant_digits=study.profile.submission.significant_digits,
            max_dimensions=study.profile.submission.max_dimensions,
        )
        save_figure(plot_nearest_distances(nearest_distances(vectors)), work / "nearest.png")
        return asdict(report) | {"head": choice.label, "head_encoder": checked}

    return product.make(build)
