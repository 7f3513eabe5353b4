"""Reads a config.json into the metadata that a GGUF file of the same model has.

Decided here: what each family's settings mean, and which values we compute. A setting with another value is refused by name; a
setting that is not known here is one that changes nothing in the families below.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.models.families import FAMILIES

Floats = npt.NDArray[np.float32]
Made = dict[str, Floats]  # tensors that are computed from the settings

_ARCHITECTURES: Final[Mapping[str, str]] = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "mixtral": "llama",
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3moe",
    "smollm3": "smollm3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
}
_HAS_TEXT_PART: Final = ("gemma3",)  # models that also see: their text part stands in text_config
_GELU: Final = ("gelu_pytorch_tanh", "gelu")  # Gemma's first release said gelu and computed the tanh form
_REFUSED: Final = {
    "auto_map": "asks for code of its own, which is not run",
    "quantization_config": "is quantised in a format of its own; take the unquantised weights, or a GGUF",
}


def text_config(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The settings of the text part. Raises UnsupportedArtefact for a kind that we do not run."""
    text = dict(config)
    if config.get("model_type") in _HAS_TEXT_PART and isinstance(config.get("text_config"), dict):
        text = dict(config["text_config"])
        text.setdefault("model_type", f"{config['model_type']}_text")
    for part in (config, text):
        for key, why in _REFUSED.items():
            if part.get(key) is not None:
                raise UnsupportedArtefact(f"{name}: config.json has {key}: the model {why}")
    kind = text.get("model_type")
    if not isinstance(kind, str) or kind not in _ARCHITECTURES:
        raise UnsupportedArtefact(f"{name}: model_type {kind!r:.40} is not supported; supported are {', '.join(_ARCHITECTURES)}")
    return text


def config_metadata(text: Mapping[str, Any], name: str) -> tuple[dict[str, Any], Made]:
    return _Config(text, name).read()


@dataclass(slots=True)
class _Config:
    text: Mapping[str, Any]
    name: str

    def read(self) -> tuple[dict[str, Any], Made]:
        architecture = _ARCHITECTURES[self.text["model_type"]]
        is_gemma = architecture.startswith("gemma")
        self._refuse_unknown(is_gemma)
        heads, embedding = self._count("num_attention_heads"), self._count("hidden_size")
        head_dim = self._count("head_dim", 256 if is_gemma else max(1, embedding // heads))
        share = self._number("partial_rotary_factor", 1.0)
        if not share <= 1:
            raise self._malformed(f"partial_rotary_factor {share} is above 1")
        rotated = int(head_dim * share)
        found: dict[str, Any] = {
            "block_count": self._count("num_hidden_layers"),
            "context_length": self._count("max_position_embeddings", 8192 if is_gemma else None),
            "embedding_length": embedding,
            "feed_forward_length": self._count("intermediate_size"),
            "attention.head_count": heads,
            "attention.head_count_kv": self._count("num_key_value_heads", heads),
            "attention.key_length": head_dim,
            "attention.value_length": head_dim,
            "attention.layer_norm_rms_epsilon": self._number("rms_norm_eps", 1e-6),
            "rope.dimension_count": rotated,
        }
        scaling, made = self._rotation(rotated, architecture)
        found |= scaling | self._gemma(architecture, head_dim, embedding // heads) | self._windows(architecture) | self._mixture()
        metadata = {f"{architecture}.{key}": value for key, value in found.items()}
        label = self.text.get("_name_or_path")
        about = {"general.architecture": architecture, "general.name": label if isinstance(label, str) and label else self.name}
        # Hugging Face's q and k have the halves of a head turn together, in every family.
        return about | metadata | {"freehold.rope": "halves"}, made

    # ---- parts ----------------------------------------------------------------------------------------------

    def _refuse_unknown(self, is_gemma: bool) -> None:
        key = "hidden_activation" if is_gemma and self.text.get("hidden_activation") is not None else "hidden_act"
        activation = self.text.get(key, _GELU[0] if is_gemma else "silu")
        if activation not in (_GELU if is_gemma else ("silu",)):
            raise self._unsupported(f"{key} {activation!r:.40}")
        for key in ("mlp_bias", "use_bidirectional_attention"):
            if self.text.get(key):
                raise self._unsupported(f"{key} {self.text[key]!r:.40}")
        if self.text.get("attention_bias") and self.text["model_type"] != "qwen2":
            raise self._unsupported("attention_bias")

    def _rotation(self, rotated: int, architecture: str) -> tuple[dict[str, Any], Made]:
        # Newer files have one object for all of it, and Gemma 3's has one for each kind of layer.
        parameters = self.text.get("rope_parameters")
        if isinstance(parameters, dict) and isinstance(parameters.get("full_attention"), dict):
            local = parameters.get("sliding_attention")
            parameters = dict(parameters["full_attention"])
            parameters["rope_local_base_freq"] = local.get("rope_theta") if isinstance(local, dict) else None
        scaling = parameters if isinstance(parameters, dict) else self.text.get("rope_scaling")
        if scaling is not None and not isinstance(scaling, dict):
            raise self._malformed("rope_scaling is not an object")
        rope = _Config(dict(self.text) | (scaling or {}), self.name)
        base = rope._number("rope_theta", 1_000_000.0 if architecture == "gemma3" else 10_000.0)
        found: dict[str, Any] = {"rope.freq_base": base}
        if architecture == "gemma3" and rope.text.get("rope_local_base_freq") is not None:
            found["rope.freq_base_swa"] = rope._number("rope_local_base_freq", 10_000.0)
        kind = (scaling or {}).get("rope_type", (scaling or {}).get("type", "default"))
        match kind:
            case "default":
                return found, {}
            case "linear":
                return found | {"rope.scaling.type": "linear", "rope.scaling.factor": rope._number("factor")}, {}
            case "llama3":
                return found, {"rope_freqs.weight": rope._llama3(base, rotated)}
            case "yarn":
                return found | rope._yarn(), {}
            case "longrope" | "su":
                return rope._longrope(found, rotated)
        raise self._unsupported(f"rope scaling {kind!r:.40}")

    def _llama3(self, base: float, rotated: int) -> Floats:
        """(rotated / 2): what divides each frequency. Long waves by `factor`, short ones by 1, between them in between."""
        factor, low, high = (self._number(key) for key in ("factor", "low_freq_factor", "high_freq_factor"))
        original = self._count("original_max_position_embeddings")
        if not low < high:
            raise self._malformed(f"low_freq_factor {low} is not below high_freq_factor {high}")
        waves = 2 * math.pi * base ** (np.arange(0, rotated, 2) / rotated)  # positions a turn
        share = np.clip((original / waves - low) / (high - low), 0, 1)
        return np.asarray(1 / ((1 - share) / factor + share), np.float32)

    def _yarn(self) -> dict[str, Any]:
        for key in ("attention_factor", "mscale", "mscale_all_dim"):
            if self.text.get(key) is not None:
                raise self._unsupported(f"rope scaling yarn with {key}")
        default = self._count("max_position_embeddings")
        return {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": self._number("factor"),
            "rope.scaling.original_context_length": self._count("original_max_position_embeddings", default),
            "rope.scaling.yarn_beta_fast": self._number("beta_fast", 32.0),
            "rope.scaling.yarn_beta_slow": self._number("beta_slow", 1.0),
        }

    def _longrope(self, found: dict[str, Any], rotated: int) -> tuple[dict[str, Any], Made]:
        made: Made = {}
        for size in ("short", "long"):
            values = self.text.get(f"{size}_factor")
            if not isinstance(values, list) or len(values) != rotated // 2 or not all(_is_positive(value) for value in values):
                raise self._malformed(f"{size}_factor does not have {rotated // 2} positive numbers")
            made[f"rope_factors_{size}.weight"] = np.array(values, np.float32)
        longest = self._count("max_position_embeddings")
        original = self._count("original_max_position_embeddings", longest)
        scale = longest / original
        # cos and sin grow with the context that the model was stretched to (arXiv 2402.13753 §3.3).
        grown = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 and original > 1 else 1.0
        found |= {
            "rope.scaling.type": "longrope",
            "rope.scaling.attn_factor": self._number("attention_factor", grown),
            "rope.scaling.original_context_length": original,
        }
        return found, made

    def _gemma(self, architecture: str, head_dim: int, odd: int) -> dict[str, Any]:
        if not (odd_layers := FAMILIES[architecture].odd_scale_layers):
            return {}
        is_odd = self._count("num_hidden_layers") == odd_layers
        scalar = self._number("query_pre_attn_scalar", 256.0)
        if scalar != (odd if is_odd else head_dim):
            raise self._unsupported(f"query_pre_attn_scalar {scalar:g} with a head size of {head_dim}")
        caps = ("attn_logit_softcapping", "final_logit_softcapping")
        return {key: 0.0 if self.text.get(key) is None else self._number(key) for key in caps}

    def _mixture(self) -> dict[str, Any]:
        match self.text["model_type"]:
            case "mixtral":
                return {"expert_count": self._count("num_local_experts"), "expert_used_count": self._count("num_experts_per_tok")}
            case "qwen3_moe":
                for key, computed in (("norm_topk_prob", True), ("decoder_sparse_step", 1), ("mlp_only_layers", [])):
                    if self.text.get(key, computed) != computed:
                        raise self._unsupported(f"{key} {self.text[key]!r:.40}")
                return {
                    "expert_count": self._count("num_experts"),
                    "expert_used_count": self._count("num_experts_per_tok"),
                    "expert_feed_forward_length": self._count("moe_intermediate_size"),
                }
            case "smollm3":  # every fourth layer tells no positions apart
                turns = [int((layer + 1) % 4 != 0) for layer in range(self._count("num_hidden_layers"))]
                if self.text.get("no_rope_layers", turns) != turns or self.text.get("no_rope_layer_interval", 4) != 4:
                    raise self._unsupported("no_rope_layers other than every fourth")
        return {}

    def _windows(self, architecture: str) -> dict[str, Any]:
        """Which layers see only the last positions."""
        size = self.text.get("sliding_window")
        if architecture in ("qwen2", "qwen3", "qwen3moe", "smollm3"):
            if self.text.get("use_sliding_window"):
                raise self._unsupported("use_sliding_window")
            return {}
        if size is None or architecture == "gemma":
            return {"attention.sliding_window": 0} if FAMILIES[architecture].odd_scale_layers else {}
        found: dict[str, Any] = {"attention.sliding_window": self._count("sliding_window")}
        kinds = self.text.get("layer_types")
        if FAMILIES[architecture].odd_scale_layers and kinds is not None:
            known = ("sliding_attention", "full_attention")
            if (
                not isinstance(kinds, list)
                or len(kinds) != self._count("num_hidden_layers")
                or not all(k in known for k in kinds)
            ):
                raise self._malformed(f"layer_types does not have one of {' and '.join(known)} for each layer")
            found["attention.sliding_window_pattern"] = np.array([kind == known[0] for kind in kinds])
        elif architecture == "gemma3":
            found["attention.sliding_window_pattern"] = self._count("sliding_window_pattern", 6)
        return found

    # ---- values ---------------------------------------------------------------------------------------------

    def _malformed(self, what: str) -> MalformedArtefact:
        return MalformedArtefact(f"{self.name}: config.json: {what}")

    def _unsupported(self, what: str) -> UnsupportedArtefact:
        return UnsupportedArtefact(f"{self.name}: config.json: {what} is not supported")

    def _count(self, key: str, default: int | None = None) -> int:
        value = self.text.get(key)
        value = default if value is None else value
        if type(value) is not int or not 0 < value < 1 << 31:
            raise self._malformed(f"{key} {value!r:.40} is not a positive whole number")
        return value

    def _number(self, key: str, default: float | None = None) -> float:
        value = self.text.get(key)
        value = default if value is None else value
        if not _is_positive(value):
            raise self._malformed(f"{key} {value!r:.40} is not a positive number")
        return float(value)  # type: ignore[arg-type]


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf
