"""From the user's CSV to the submission."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.submission_figures import nearest_distances, plot_nearest_distances
from glm_assets.heads.apply import embed, load_head
from glm_assets.lineage.study import SUBMITTED_HEAD, Study
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import TEST_SEQUENCES
from glm_assets.storage.tables import PART, read_part
from glm_assets.submission.sequences import read_test_sequences
from glm_assets.submission.write import write_submission

_TREATMENTS = ("lower_cased", "trimmed", "padded_ids", "ignored_columns", "blank_lines", "bom")


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


def make_submission(study: Study) -> Manifest:
    """Pass the test vectors through the last head and write the CSV."""
    product = study.submission()

    def build(work: Path) -> Facts:
        prepare_device(CPU, study.settings.cpu_threads)
        index = read_part(study.test_embeddings().folder)
        head = load_head(study.head_folder(SUBMITTED_HEAD))
        vectors = embed(head, study.store().read_sequences(index["key"]))
        report = write_submission(
            index["ID"],
            vectors,
            work / study.submission_csv.name,
            significant_digits=study.profile.submission.significant_digits,
            max_dimensions=study.profile.submission.max_dimensions,
        )
        save_figure(plot_nearest_distances(nearest_distances(vectors)), work / "nearest.png")
        return asdict(report) | {"head": SUBMITTED_HEAD}

    return product.make(build)
