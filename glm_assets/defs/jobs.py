"""The jobs, in their order: sources, embed (a run a chromosome), train, submit; and beside them what evaluates.

No job mixes partitioned and unpartitioned assets: a run a chromosome would make the latter once per chromosome.
"""

import dagster as dg

from glm_assets.defs.tags import GPU_RUN_TAGS

sources = dg.define_asset_job(
    "sources",
    selection=dg.AssetSelection.groups("sources") | dg.AssetSelection.assets("clinvar_release_diff"),
    description="Fetch the newest release, the reference and the encoder's weights, and say what is new.",
)

embed = dg.define_asset_job(
    "embed",
    selection=dg.AssetSelection.assets("clinvar_variants", "variant_windows", "variant_embeddings"),
    tags=GPU_RUN_TAGS,
    description="Label, cut and embed one chromosome.",
)

embed_for_evaluation = dg.define_asset_job(
    "embed_for_evaluation",
    selection=dg.AssetSelection.assets("variant_likelihoods", "covariance_embeddings"),
    tags=GPU_RUN_TAGS,
    description="Score one chromosome without training, and embed it for the covariance probe.",
)

layer_sweep = dg.define_asset_job(
    "layer_sweep",
    selection=dg.AssetSelection.assets("layer_comparison"),
    tags=GPU_RUN_TAGS,
    description="Embed a sample of variants at several layers in one forward, and compare the layers.",
)

train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.assets(
        "split_audit", "mutation_ladders", "head_v0", "head_v1", "head_v2", "head_v3", "linear_probe"
    ),
    tags=GPU_RUN_TAGS,
    description="Audit the splits, embed the ladders and train the heads on all expected chromosomes.",
)

search = dg.define_asset_job(
    "search",
    selection=dg.AssetSelection.assets("head_search"),
    tags=GPU_RUN_TAGS,
    description="Search one head for better values of its recipe.",
)

evaluate = dg.define_asset_job(
    "evaluate",
    selection=dg.AssetSelection.assets("covariance_probe", "head_comparison"),
    description="Compare every head, probe and zero-shot score on the sealed test.",
)

score_variants = dg.define_asset_job(
    "score_variants",
    selection=dg.AssetSelection.assets("scored_variants"),
    tags=GPU_RUN_TAGS,
    description="Score the user's VCF or region.",
)

submit = dg.define_asset_job(
    "submit",
    selection=dg.AssetSelection.groups("submission") | dg.AssetSelection.assets("submission_score"),
    tags=GPU_RUN_TAGS,
    description="Embed the test sequences, write the submission and score it.",
)

impact_embed = dg.define_asset_job(
    "impact_embed",
    selection=dg.AssetSelection.assets(
        "impact/individual_alignments",
        "impact/individual_variants",
        "impact/read_examples",
        "impact/read_embeddings",
    ),
    tags=GPU_RUN_TAGS,
    description="Study impact: choose and embed the reads of one chromosome.",
)

impact_train = dg.define_asset_job(
    "impact_train",
    selection=dg.AssetSelection.assets("impact/training_set", "impact/head", "impact/report"),
    tags=GPU_RUN_TAGS,
    description="Study impact: train the heads on all expected chromosomes, and judge them.",
)

impact_predict = dg.define_asset_job(
    "impact_predict",
    selection=dg.AssetSelection.assets("impact/predictions"),
    tags=GPU_RUN_TAGS,
    description="Study impact: predict the impact of new reads and new variants.",
)

metagenome_train = dg.define_asset_job(
    "metagenome_train",
    selection=dg.AssetSelection.assets(
        "metagenome/reads", "metagenome/splits", "metagenome/classifier", "metagenome/evaluation"
    ),
    tags=GPU_RUN_TAGS,
    description="Study metagenome: read, split, train and judge.",
)

metagenome_predict = dg.define_asset_job(
    "metagenome_predict",
    selection=dg.AssetSelection.assets("metagenome/predictions"),
    tags=GPU_RUN_TAGS,
    description="Study metagenome: label new reads.",
)

sugarcane_prepare = dg.define_asset_job(
    "sugarcane_prepare",
    selection=dg.AssetSelection.assets(
        "sugarcane/genome",
        "sugarcane/annotation",
        "sugarcane/genome_profile",
        "sugarcane/units",
        "sugarcane/token_shards",
    ),
    description="Study sugarcane: read, describe, cut and tokenise the genome of one variety.",
)

sugarcane_train = dg.define_asset_job(
    "sugarcane_train",
    selection=dg.AssetSelection.assets("sugarcane/lora_adapter"),
    tags=GPU_RUN_TAGS,
    description="Study sugarcane: adapt the language model to one variety.",
)

sugarcane_evaluate = dg.define_asset_job(
    "sugarcane_evaluate",
    selection=dg.AssetSelection.assets(
        "sugarcane/unit_scores",
        "sugarcane/token_profiles",
        "sugarcane/generations",
        "sugarcane/model_comparison",
        "sugarcane/report",
    ),
    tags=GPU_RUN_TAGS,
    description="Study sugarcane: score, draw and compare, before and after training.",
)

sugarcane_search = dg.define_asset_job(
    "sugarcane_search",
    selection=dg.AssetSelection.assets("sugarcane/search"),
    tags=GPU_RUN_TAGS,
    description="Study sugarcane: search for better adapters and learning rates.",
)

plant_prepare = dg.define_asset_job(
    "plant_prepare",
    selection=dg.AssetSelection.assets("plant/genome", "plant/tokens"),
    description="Study plant: read and tokenise the genome of one species.",
)

plant_train = dg.define_asset_job(
    "plant_train",
    selection=dg.AssetSelection.assets("plant/lm", "plant/evaluation", "plant/generations"),
    tags=GPU_RUN_TAGS,
    description="Study plant: train the language model on all species, judge it and draw from it.",
)

plant_phenotypes = dg.define_asset_job(
    "plant_phenotypes",
    selection=dg.AssetSelection.assets("plant/phenotypes", "plant/phenotype_head", "plant/report"),
    tags=GPU_RUN_TAGS,
    description="Study plant: tell phenotypes from the model's vectors, and put all figures on a page.",
)
