"""The jobs, in their order: sources, embed (a run a chromosome), train, submit; and the layer sweep beside them.

No job mixes partitioned and unpartitioned assets: a run a chromosome would make the latter once per chromosome.
"""

import dagster as dg

from glm_assets.defs.tags import GPU_RUN_TAGS

sources = dg.define_asset_job(
    "sources",
    selection=dg.AssetSelection.groups("sources"),
    description="Fetch the newest release, the reference and the encoder's weights.",
)

embed = dg.define_asset_job(
    "embed",
    selection=dg.AssetSelection.assets("clinvar_variants", "variant_windows", "variant_embeddings"),
    tags=GPU_RUN_TAGS,
    description="Label, cut and embed one chromosome.",
)

layer_sweep = dg.define_asset_job(
    "layer_sweep",
    selection=dg.AssetSelection.assets("layer_comparison"),
    tags=GPU_RUN_TAGS,
    description="Embed a sample of variants at several layers in one forward, and compare the layers.",
)

train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.assets("split_audit") | dg.AssetSelection.groups("heads"),
    tags=GPU_RUN_TAGS,
    description="Audit the splits and train the heads on all expected chromosomes.",
)

submit = dg.define_asset_job(
    "submit",
    selection=dg.AssetSelection.groups("submission"),
    tags=GPU_RUN_TAGS,
    description="Embed the test sequences and write the submission.",
)
