"""The command lines of BioNeMo's Evo2 for a variety: weights, training, and scores before and after it."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Final

from glm_assets.encoders.evo2.config import DEMO, EVO2_MODELS
from glm_assets.errors import SettingsError
from glm_assets.studies.sugarcane.bionemo_configuration import BLEND, PREPROCESSING, UNITS
from glm_assets.studies.sugarcane.configuration import SugarcaneConfiguration
from glm_assets.studies.sugarcane.study import VARIABLE


@dataclass(frozen=True)
class BionemoModel:
    """What BioNeMo calls a model.

    Attributes:
        size: Its `--model-size`.
        weights: The repository that it converts weights from.
    """

    size: str
    weights: str


BIONEMO_MODELS: Final = {
    "evo2_1b_base": BionemoModel("1b", "arcinstitute/savanna_evo2_1b_base"),
    "evo2_7b_base": BionemoModel("7b", "arcinstitute/savanna_evo2_7b_base"),
    "evo2_7b": BionemoModel("7b_arc_longcontext", "arcinstitute/savanna_evo2_7b"),
    "evo2_40b_base": BionemoModel("40b", "arcinstitute/savanna_evo2_40b_base"),
    "evo2_40b": BionemoModel("40b_arc_longcontext", "arcinstitute/savanna_evo2_40b"),
}
_IN_PLACE_OF_DEMO = "evo2_7b"

_BASE, _RESULTS = "base", "results"
_TRAINED, _NEEDS_TRAINED = '"$TRAINED"', ': "${TRAINED:?set it to the checkpoint}"'


def commands_text(values: SugarcaneConfiguration, variety: str) -> str:
    """A script of all commands, to be run, or followed line by line, where BioNeMo is installed.

    Args:
        values: The study's values.
        variety: Name of the variety.

    Raises:
        SettingsError: BioNeMo has no counterpart of the study's model.
    """
    name = _IN_PLACE_OF_DEMO if values.model.encoder == DEMO else values.model.encoder
    if name not in BIONEMO_MODELS:
        raise SettingsError(
            f"BioNeMo trains no {name}",
            expected=f"model.encoder as one of {', '.join(BIONEMO_MODELS)}",
            fix=f"change it in the YAML file of {VARIABLE}",
        )
    model = BIONEMO_MODELS[name]
    fp8 = ["--fp8"] if EVO2_MODELS[name].needs_fp8 else []
    tuned = ["--ckpt-dir", _BASE, "--lora-checkpoint-path"] if values.model.lora else ["--ckpt-dir"]
    zero_shot = _predict(values, model, fp8, "zero_shot", ["--ckpt-dir", _BASE])
    steps = [
        ("Datasets, one for each split.", f"preprocess_evo2 -c {PREPROCESSING}"),
        ("Weights, in BioNeMo's own form.", _convert(model)),
        ("Scores of the units by the model as it was published.", zero_shot),
        ("\n".join(_training_notes(values, fp8=bool(fp8))), _train(values, model, fp8, variety)),
        (
            f"Scores after training. TRAINED is a checkpoint's folder under {_RESULTS}/, whose name BioNeMo chooses.",
            f"{_NEEDS_TRAINED}\n{_predict(values, model, fp8, 'fine_tuned', tuned)} {_TRAINED}",
        ),
    ]
    return _head(variety, name, values) + "".join(f"\n{_comment(note)}\n{line}\n" for note, line in steps)


def _head(variety: str, name: str, values: SugarcaneConfiguration) -> str:
    imports = "\n".join(
        f"    glm-assets bionemo import {variety} --from predictions/{each} --model {each} --out {each}.parquet"
        for each in ("zero_shot", "fine_tuned")
    )
    demo = f"\nThe demo's model is of this package alone: in its place stands {name}, whose layers it has."
    return (
        "#!/bin/bash\n"
        + _comment(
            f"Variety {variety} with {name} in BioNeMo. Scores come back, where glm_assets is, by\n{imports}"
            + (demo if values.model.encoder == DEMO else "")
        )
        + '\nset -eu\ncd "$(dirname "$0")"\n'
    )


def _comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def _convert(model: BionemoModel) -> str:
    weights = f"hf://{model.weights}"
    words = ["evo2_convert_to_nemo2", "--model-path", weights, "--model-size", model.size, "--output-dir", _BASE]
    return shlex.join(words)


def _predict(
    values: SugarcaneConfiguration, model: BionemoModel, fp8: list[str], name: str, checkpoint: list[str]
) -> str:
    words = ["predict_evo2", "--fasta", UNITS, "--output-dir", f"predictions/{name}", "--model-size", model.size]
    words += ["--output-log-prob-seqs", "--log-prob-collapse-option", "mean", "--micro-batch-size", "1", *fp8]
    return shlex.join(words + (["--prepend-bos"] if values.scoring.start_token else []) + checkpoint)


def _train(values: SugarcaneConfiguration, model: BionemoModel, fp8: list[str], variety: str) -> str:
    training, lora = values.training, values.model.lora
    batches = math.ceil(training.validation_windows / training.items_in_a_step)
    options: dict[str, object] = {
        "dataset-config": BLEND,
        "model-size": model.size,
        "ckpt-dir": _BASE,
        "result-dir": _RESULTS,
        "experiment-name": variety,
        "devices": training.processes,
        "seq-length": training.context,
        "micro-batch-size": training.batch_size,
        "grad-acc-batches": training.accumulation,
        "max-steps": training.steps,
        "warmup-steps": training.warmup_steps,
        "constant-steps": 0,
        "lr": training.learning_rate,
        "min-lr": training.min_learning_rate,
        "wd": training.weight_decay,
        "adam-beta1": training.betas[0],
        "adam-beta2": training.betas[1],
        "clip-grad": training.clip_norm,
        "val-check-interval": training.validate_steps,
        "limit-val-batches": batches,
        "seed": values.seed,
    }
    if values.model.gradient_checkpointing:
        options["activation-checkpoint-recompute-num-layers"] = 1
    if lora:
        options |= {"lora-dim": lora.rank, "lora-alpha": round(lora.alpha)}
    flags = ["--ckpt-async-save", *fp8, *(["--lora-finetune"] if lora else [])]
    flags += [] if values.model.gradient_checkpointing else ["--no-activation-checkpointing"]
    # Here the end of a sequence is never a target of the loss either.
    flags += ["--eod-pad-in-loss-mask"] if values.shards.end_token else []
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return shlex.join(["train_evo2", *words, *flags])


def _training_notes(values: SugarcaneConfiguration, *, fp8: bool) -> list[str]:
    model, shards = values.model, values.shards
    notes = [
        "Training. Other than the original's:",
        f"- --seq-length {values.training.context}, not 1: in windows of one token a model sees nothing before the one",
        "  that predicts the next, an index of every single base is built, and the ranks that wait for it time out.",
        "- --constant-steps 0: the default of 80,000 leaves a short training no decay, and the rate falls at once.",
    ]
    if fp8:
        notes.append("- --fp8: these weights are near chance in bfloat16 alone.")
    if model.lora:
        notes += [
            "Adapters are BioNeMo's own: on all of its projections and filters, where the study's lora.targets names",
            "some, with its own dropout; the output layer is trained whole. Versions without --lora-dim and",
            "--lora-alpha take their own values.",
        ]
    if shards.soft_mask != "upper":
        notes += [
            "Lower case is read as upper case and counts for a tenth in BioNeMo's loss, where shards.soft_mask says",
            f"{shards.soft_mask} here.",
        ]
    return notes
