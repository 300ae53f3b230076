"""DNA models in the format of Hugging Face's transformers: a folder with safetensors, a config and a tokenizer.

Nothing is unpickled and no code of a model's repository is run, so a model must be one that transformers itself knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.encoders.evo2.plan import TWO_FORWARDS
from glm_assets.encoders.huggingface.folder import CONFIG, files_digest, model_weights, read_json
from glm_assets.encoders.huggingface.loading import load_model, load_tokenizer
from glm_assets.encoders.offers import refuse_evo2_options, weights_type
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.reduction import last_kept, masked_max, masked_mean, pool_outputs
from glm_assets.encoders.tokenizers.hf import TOKENIZER, load_core
from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "hf:"
LAST = "last_hidden_state"

# What a profile written for Evo2 must change in its section `encoder`.
PROFILE_VALUES = {
    "revision": "main",
    "sha256": None,
    "layer": LAST,
    "precision": "auto",
    "pooling": "mean",
    "sequence_pooling": "mean",
    "cast_all_bf16": False,
    "fp8": False,
}

_POOL = {"mean": masked_mean, "last": last_kept, "max": masked_max}

_PROBE = "ACGT" * 6 + "GATTACA"
_HIDDEN = "hidden_states."
_CPU_BATCH_TOKENS = 8_192
_GPU_BATCH_TOKENS = 65_536
# These number positions from the padding token's id + 1 on, so that many fewer tokens fit.
_OFFSET_POSITIONS = frozenset({"camembert", "esm", "roberta", "xlm-roberta"})


def hf_folder(name: str) -> Path:
    """The folder that `hf:<folder>` names.

    Raises:
        EncoderError: There is no such folder.
    """
    folder = Path(name.removeprefix(PREFIX)).expanduser()
    if not folder.is_dir():
        raise EncoderError(
            f"encoder {name}: there is no folder {folder}",
            expected="a folder with a saved transformers model and its tokenizer, or a repository owner/name",
            fix="download a repository with `hf download <repo> --revision <commit> --local-dir <folder>`",
        )
    return folder


def hf_spec(
    name: str,
    *,
    revision: str,
    layer: str,
    pooling: str,
    device: str,
    precision: str = "auto",
    reverse_complement: bool = False,
    fp8: bool = False,
    cast_all_bf16: bool = False,
    special_tokens: bool = True,
) -> EncoderSpec:
    """Say what the vectors of an `hf:` encoder are, from its folder's JSON files.

    The specification names the folder without its path, and the digest of its small files besides: the same model
    in another place gives the same keys.

    Args:
        name: `hf:<folder>`.
        revision: SHA-256 of the weights.
        layer: `last_hidden_state`, or `hidden_states.N` where 0 is the embedding.
        pooling: `mean`, `last` or `max`, over all tokens but the special ones; or `positions:N`, over the first N of
            these, where a token is one base.
        device: `cpu` or `cuda:N`.
        precision: `float32`, `bfloat16`, or `auto` for the first on a CPU and the second on a GPU.
        reverse_complement: Vectors are means over both strands.
        fp8: Not offered.
        cast_all_bf16: Not offered.
        special_tokens: Whether the model sees the special tokens, such as [BOS], that its tokenizer puts around a
            sequence.

    Raises:
        EncoderError: The folder, layer, pooling or precision does not fit, or an option is not offered.
    """
    folder = hf_folder(name)
    model_weights(folder)
    config = read_json(folder / CONFIG)
    if pooling == "log_likelihood":
        raise EncoderError(
            f"encoder {name} gives no log-likelihoods: a masked model predicts tokens from both sides, and such "
            "predictions do not multiply to a window's probability; of causal models only Evo2's are offered",
            expected="one of Evo2's models",
            fix="leave variant_likelihoods out, or set encoder.name to evo2_7b",
        )
    _layer_index(layer, int(_value(config, "num_hidden_layers", folder)))
    pooled = Pooling.parse(pooling)
    _check_pooling(name, pooled, _bases_in_token(folder))
    refuse_evo2_options(name, fp8=fp8, cast_all_bf16=cast_all_bf16)
    return EncoderSpec(
        name=PREFIX + folder.resolve().name,
        revision=revision,
        layer=layer,
        pooling=pooling,
        dimension=pooled.dimension(int(_value(config, "hidden_size", folder))),
        context=most_tokens(config, folder) * _bases_in_token(folder),
        dtype=weights_type(name, precision, device),
        reverse_complement=reverse_complement,
        # Left out where they are seen, as before one could choose, so that vectors kept since then stay valid.
        extras={"files": files_digest(folder), "pairs": TWO_FORWARDS}
        | ({} if special_tokens else {"special_tokens": False}),
    )


class HuggingFaceEncoder(Encoder):
    """A transformers model, pooled over the tokens of the sequence without the special ones.

    Sequences share a forward only with others of as many tokens, so none is ever padded.

    Args:
        spec: From `hf_spec`.
        weights: The safetensors file, or the index of divided ones, in the model's folder.
        device: `cpu` or `cuda:N`.
        batch_tokens: Bases in one forward pass; a value that suits the device by default.
        cpu_threads: torch threads of this process when on a CPU.

    Raises:
        EncoderError: The folder is not the one that was specified, or its model or tokenizer does not load.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        weights: Path,
        device: str,
        batch_tokens: int | None = None,
        cpu_threads: int = 1,
    ) -> None:
        self.device_name = prepare_device(device, cpu_threads)
        folder = weights.parent
        if files_digest(folder) != spec.extras["files"]:
            raise EncoderError(f"the config or tokenizer in {folder} is not the specified one")
        self.spec = spec
        self.batch_tokens = batch_tokens or (_CPU_BATCH_TOKENS if device == CPU else _GPU_BATCH_TOKENS)
        self._device = device
        config = read_json(folder / CONFIG)
        self._most_tokens = most_tokens(config, folder)
        self._pooling = Pooling.parse(spec.pooling)
        self._special_tokens = bool(spec.extras.get("special_tokens", True))
        self._layer = _layer_index(spec.layer, int(config["num_hidden_layers"]))
        self._tokenizer, self._model = _load(folder, spec.dtype, device)

    def embed_batch(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled vectors of one batch, a forward for each number of tokens.

        Args:
            windows: (b, L) ASCII bytes.

        Returns:
            (b, dimension) float32.

        Raises:
            EncoderError: A sequence has more tokens than the model has positions, or none.
        """
        texts = [row.tobytes().decode("ascii") for row in windows]
        encoded = self._tokenizer(texts, add_special_tokens=self._special_tokens)
        tokens = encoded["input_ids"]
        lengths = np.array([len(row) for row in tokens])
        if lengths.max(initial=0) > self._most_tokens:
            raise EncoderError(
                f"a sequence of {windows.shape[1]} bases has {lengths.max()} tokens",
                expected=f"at most {self._most_tokens}, the positions of encoder {self.spec.name}",
                fix="shorten windows.length; unknown bases take more tokens than known ones",
            )
        vectors = np.empty((len(windows), self.spec.dimension), np.float32)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            vectors[rows] = self._forward([tokens[row] for row in rows])
        return vectors

    def _forward(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        """Pool the tokens that are not special, or take the first of them, in float32."""
        import torch

        special = [self._tokenizer.get_special_tokens_mask(row, already_has_special_tokens=True) for row in tokens]
        # An unknown base stands for a place in the sequence and is no frame around it.
        ids = torch.tensor(tokens, device=self._device)
        keep = torch.tensor(special, device=self._device) == 0
        if self._tokenizer.unk_token_id is not None:
            keep |= ids == self._tokenizer.unk_token_id
        if not keep.any(dim=1).all():
            raise EncoderError(f"the tokenizer of {self.spec.name} finds no token in a sequence")
        with torch.inference_mode():
            out = self._model(
                input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=self._layer is not None
            )
            hidden: Tensor = out.last_hidden_state if self._layer is None else out.hidden_states[self._layer]
            if self._pooling.kind == "positions":
                rows = [
                    pool_outputs(self._pooling, row[kept][None]) for row, kept in zip(hidden, keep, strict=True)
                ]
                return torch.cat(rows).cpu().numpy()
            return _POOL[self._pooling.kind](hidden, keep).cpu().numpy()


def _check_pooling(name: str, pooling: Pooling, bases_in_token: int) -> None:
    """Refuse poolings for which the place of a base among the tokens would have to be known, where it is not."""
    if pooling.kind in _POOL or (pooling.kind == "positions" and bases_in_token == 1):
        return
    raise EncoderError(
        f"encoder {name} offers no pooling {pooling.name!r}: its tokens are not single bases, so the place of a "
        "variant among them is not known",
        expected=f"{', '.join(_POOL)}: over all tokens but the special ones",
        fix="set encoder.pooling and encoder.sequence_pooling to mean",
    )


def _load(folder: Path, dtype: str, device: str) -> tuple[Any, Any]:
    """Tokenizer and model of a folder."""
    model = load_model(folder, dtype)
    tokenizer = load_tokenizer(folder)
    probe = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    if not probe or set(probe) == {tokenizer.unk_token_id}:
        raise EncoderError(f"the tokenizer in {folder} does not know DNA", expected="tokens of A, C, G and T")
    _check_segmentation(folder, tokenizer)
    return tokenizer, model.to(device)


def _check_segmentation(folder: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer that transformers has remade: its class for a model may bring another way to cut a text."""
    path = folder / TOKENIZER
    if path.is_file() and tokenizer(_PROBE, add_special_tokens=False)["input_ids"] != (
        load_core(path).encode(_PROBE, add_special_tokens=False).ids
    ):
        raise EncoderError(
            f"transformers does not cut DNA into tokens as {path} says",
            expected='"tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json',
        )


def _layer_index(layer: str, layers: int) -> int | None:
    """Index into the hidden states; None for the last one."""
    number = layer.removeprefix(_HIDDEN)
    if layer == LAST:
        return None
    if layer.startswith(_HIDDEN) and number.isdecimal() and int(number) <= layers:
        return int(number)
    raise EncoderError(
        f"unknown layer {layer!r}", expected=f"{LAST}, or {_HIDDEN}0 to {_HIDDEN}{layers}", fix="set encoder.layer"
    )


def most_tokens(config: dict[str, Any], folder: Path) -> int:
    """Positions of a model, special tokens included.

    Args:
        config: The folder's config.json.
        folder: Named where the config does not say it.

    Raises:
        EncoderError: The config does not say it.
    """
    positions = int(_value(config, "max_position_embeddings", folder))
    return positions - (config["pad_token_id"] + 1 if config.get("model_type") in _OFFSET_POSITIONS else 0)


def _bases_in_token(folder: Path) -> int:
    """Length of the longest token of plain bases: 6 for 6-mers, 1 for characters."""
    if (path := folder / "vocab.txt").is_file():
        tokens = path.read_text(encoding="utf-8").split()
    else:
        vocabulary = read_json(folder / "tokenizer.json").get("model", {}).get("vocab", {})
        tokens = [entry if isinstance(entry, str) else entry[0] for entry in vocabulary]
    return max((len(token) for token in tokens if set(token) <= set("ACGT")), default=1)


def _value(config: dict[str, Any], key: str, folder: Path) -> Any:
    if config.get(key) is None:
        raise EncoderError(f"{folder / 'config.json'} does not state {key}")
    return config[key]
