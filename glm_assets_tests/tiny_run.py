"""The tiny lineage from release to comparison, by the commands that a user types: the same on every engine."""

from __future__ import annotations

import json

from glm_assets_tests.checkouts import Checkout

MATERIALIZE = "dagster asset materialize -m glm_assets.definitions --select"
CHROMOSOMES = ("21", "22")
_TOGETHER = (
    "clinvar_variants,variant_windows,variant_embeddings,variant_likelihoods,covariance_embeddings",
    "split_audit,mutation_ladders,head_v0,head_v1,head_v2,head_v3,linear_probe,covariance_probe",
)
STAGES = (
    f"{MATERIALIZE} 'group:sources'",
    *(f"{MATERIALIZE} '{_TOGETHER[0]}' --partition {chrom}" for chrom in CHROMOSOMES),
    f"{MATERIALIZE} '{_TOGETHER[1]},group:submission'",
    f"{MATERIALIZE} 'head_comparison,submission_score'",
)
# What an engine runs once chromosomes are embedded, where it does not matter how many heads there are.
ONE_HEAD = f"{MATERIALIZE} 'split_audit,mutation_ladders,head_v0'"
# What does not depend on where or by whom it was computed: the content's version of every product but the heads'
# evaluation, which holds times.
_VERSIONS = """
import json
import sys
from glm_assets.lineage.study import HEADS, Study
from glm_assets.settings import Settings

study = Study(Settings.from_environment())
products = [study.head("head_v0")]
if sys.argv[1] == "whole":
    products = [study.head(name) for name in HEADS] + [study.submission()]
for chrom in study.profile.chromosomes:
    products += [study.clinvar_variants(chrom), study.variant_windows(chrom), study.variant_embeddings(chrom)]
found = {f"{p.asset}/{p.partition}": study.require(p).data_version for p in products}
print(json.dumps(found))
"""


def content_versions(checkout: Checkout, *, one_head: bool = False) -> dict[str, str]:
    """The data version of each finished product in the checkout's data root, by asset and partition.

    Args:
        checkout: Where `STAGES` have run.
        one_head: `ONE_HEAD` has run instead of the last two stages.
    """
    (checkout.folder / "versions.py").write_text(_VERSIONS)
    shown = checkout.run(f"python versions.py {'one_head' if one_head else 'whole'}")
    return json.loads(shown.splitlines()[-1])
