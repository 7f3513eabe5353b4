"""The shape of a model: everything about it that is not its weights, read from a file's metadata and list of tensors.

Decided here: which files we run. Anything else is refused by name before weights are read.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.kernels.graph import Graph, Rope
from freehold.engine.kernels.records import BLOCK
from freehold.engine.models.families import FAMILIES, Family
from freehold.engine.models.rotary import Rotation, Yarn
from freehold.engine.tensor_types import COMPUTED, TensorType
from freehold.engine.tiles import Use

ROPE_KEY: Final = "freehold.rope"  # for weights that are not in GGUF's order: which dimensions turn together
MOST_LANES: Final = 16  # rows of a panel on the widest target: a multiple of every other's
_SCALINGS: Final = ("none", "linear", "yarn", "longrope")  # llama3's is a tensor of factors
_SOFTMAX: Final = 1  # llama.cpp's number for how a router's scores become weights
_MOST_EXPERTS: Final = 1024
_MOST_EXPERTS_USED: Final = 32
_POST_NORMS: Final = ("post_attention_norm", "post_ffw_norm")
# Keys that change a graph in ways we do not compute, with the value besides 0 that changes nothing.
_REFUSED: Final[Mapping[str, float]] = {
    "expert_group_count": 1,
    "expert_shared_count": 0,
    "expert_weights_scale": 1,
    "interleave_moe_layer_step": 1,
    "leading_dense_block_count": 0,
    "attention.clamp_kqv": 0,
    "attention.max_alibi_bias": 0,
    "attention.scale": 0,
    "attention.shared_kv_layers": 0,
    "attention.temperature_scale": 0,
    "embedding_scale": 1,
    "logit_scale": 1,
    "residual_scale": 1,
    "rope.scaling.yarn_ext_factor": 1,
    "rope.scaling.yarn_log_multiplier": 0,
}


class HasShape(Protocol):
    """A tensor, or what a header says of one."""

    @property
    def type(self) -> TensorType: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape:
    architecture: str
    layers: int
    embedding: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    context: int  # positions the model was trained for
    norm_epsilon: float
    tied: bool  # the head is the embedding
    graph: Graph
    rotation: Rotation
    window: int = 0  # positions that a token sees in the layers of `windowed_layers`; 0 is all
    windowed_layers: frozenset[int] = frozenset()
    window_rotation: Rotation | None = None  # in those layers; None is as everywhere
    experts: int = 0  # of a mixture; `ffn` is then that of one expert
    experts_used: int = 0  # by each token
    fused: tuple[str, ...] = ()  # tensors that hold the rows of several matrices

    @property
    def family(self) -> Family:
        return FAMILIES[self.architecture]

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        """All there are: one or two."""
        return tuple(dict.fromkeys(self.rotation_of(layer) for layer in range(self.layers)))

    def window_of(self, layer: int) -> int:
        """Positions that a token sees in a layer, its own among them; 0 is all."""
        return self.window if layer in self.windowed_layers else 0

    def rotation_of(self, layer: int) -> Rotation:
        if (period := self.family.still_period) and layer % period == period - 1:
            return Rotation(base=self.rotation.base, dimensions=self.rotation.dimensions, scale=math.inf)
        return self.window_rotation or self.rotation if layer in self.windowed_layers else self.rotation

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """(name, row length, rows) of every matrix that is computed with."""
        yield "token_embd.weight", self.embedding, self.vocabulary
        sizes = self.layer_matrices()
        for layer in range(self.layers):
            for name, (length, rows) in sizes.items():
                yield f"blk.{layer}.{name}.weight", length, rows
        if not self.tied:
            yield "output.weight", self.embedding, self.vocabulary

    def layer_matrices(self) -> dict[str, tuple[int, int]]:
        """(row length, rows) of a layer's matrices by name."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "attn_q": (self.embedding, q),
            "attn_k": (self.embedding, kv),
            "attn_v": (self.embedding, kv),
            "attn_output": (q, self.embedding),
        } | ({"ffn_gate_inp": (self.embedding, self.experts)} if self.experts else self.ffn_matrices())

    def ffn_matrices(self) -> dict[str, tuple[int, int]]:
        """(row length, rows) of the feed-forward part by name: a layer's, or each expert's."""
        return {
            "ffn_gate": (self.embedding, self.ffn),
            "ffn_up": (self.embedding, self.ffn),
            "ffn_down": (self.ffn, self.embedding),
        }

    def expert_tensors(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """(name, shape in ggml's order) of the tensors that hold a matrix of all experts of a layer, one after the other."""
        if self.experts:
            for layer in range(self.layers):
                for name, (length, rows) in self.ffn_matrices().items():
                    yield f"blk.{layer}.{name}_exps.weight", (length, rows, self.experts)

    def source(self, name: str) -> tuple[str, int]:
        """The tensor of the file that holds a matrix's rows, and which of its rows is the first."""
        prefix, _, rest = name.removesuffix(".weight").rpartition(".")
        for whole in self.fused:
            parts = (self.family.fused or {})[whole]
            if prefix and rest in parts:
                sizes = self.layer_matrices()
                return f"{prefix}.{whole}.weight", sum(sizes[part][1] for part in parts[: parts.index(rest)])
        return name, 0

    def order(self) -> Iterator[tuple[Use, ...]]:
        """The matrices in the order in which a pass uses their rows; those of one group side by side; no experts."""
        ffn = (("ffn_gate_inp",),) if self.experts else (("ffn_gate", "ffn_up"), ("ffn_down",))
        groups = (("attn_q",), ("attn_k",), ("attn_v",), ("attn_output",), *ffn)
        multiples = dict.fromkeys(("attn_q", "attn_k", "attn_v"), self.head_dim) | dict.fromkeys(("ffn_gate", "ffn_up"), BLOCK)
        sizes = self.layer_matrices()
        for layer in range(self.layers):
            for group in groups:
                yield tuple(
                    self._use(f"blk.{layer}.{name}.weight", sizes[name][1], multiples.get(name, MOST_LANES)) for name in group
                )
        yield (self._use("token_embd.weight" if self.tied else "output.weight", self.vocabulary, MOST_LANES),)

    def expert_uses(self) -> Iterator[Iterator[tuple[Use, ...]]]:
        """Gate, up and down of each layer's experts."""
        sizes = self.ffn_matrices()
        for layer in range(self.layers if self.experts else 0):
            yield (
                tuple(
                    Use(
                        name=f"blk.{layer}.{name}.{expert}.weight",
                        tensor=f"blk.{layer}.{name}_exps.weight",
                        first_row=expert * rows,
                        rows=rows,
                        multiple=1,
                    )
                    for name, (_, rows) in sizes.items()
                )
                for expert in range(self.experts)
            )

    def _use(self, name: str, rows: int, multiple: int) -> Use:
        tensor, first_row = self.source(name)
        return Use(name=name, tensor=tensor, first_row=first_row, rows=rows, multiple=multiple)

    def in_file(self) -> Iterator[tuple[str, int, int]]:
        """(name, row length, rows) of every matrix as the file has it."""
        found: dict[str, tuple[int, int]] = {}
        for name, length, rows in self.matrices():
            tensor = self.source(name)[0]
            found[tensor] = length, rows + found.get(tensor, (0, 0))[1]
        for tensor, (length, rows) in found.items():
            yield tensor, length, rows

    def vectors(self) -> Iterator[tuple[str, int]]:
        """(name, length) of every f32 vector."""
        names = ("attn_norm", "ffn_norm", *(_POST_NORMS if self.graph.post_norms else ()))
        for layer in range(self.layers):
            for name in names:
                yield f"blk.{layer}.{name}.weight", self.embedding
            if self.graph.qk_norm:
                yield f"blk.{layer}.attn_q_norm.weight", self.head_dim
                yield f"blk.{layer}.attn_k_norm.weight", self.head_dim
            if self.family.bias:
                for part, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)):
                    yield f"blk.{layer}.attn_{part}.bias", heads * self.head_dim
        yield "output_norm.weight", self.embedding
        for factors in (self.rotation.factors, self.rotation.long_factors):
            if factors:
                yield factors, self.graph.rotated // 2


def shape_of(metadata: Mapping[str, Any], tensors: Mapping[str, HasShape]) -> LlamaShape:
    """The model's shape. Raises MalformedArtefact for what contradicts itself, UnsupportedArtefact for what we don't run.

    Reads no weights, and needs no kernels.
    """
    return _Reader(metadata, tensors).read()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a shape out of metadata, refusing what does not fit."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, HasShape]

    def read(self) -> LlamaShape:
        architecture = self.metadata.get("general.architecture")
        if not isinstance(architecture, str) or architecture not in FAMILIES:
            raise UnsupportedArtefact(f"architecture {architecture!r:.40} is not supported; supported are {', '.join(FAMILIES)}")
        family = FAMILIES[architecture]
        self._refuse_unknown()
        embedding, heads = self._count("embedding_length"), self._count("attention.head_count")
        if "token_embd.weight" not in self.tensors:
            raise MalformedArtefact("the model has no tensor token_embd.weight")
        layers, context = self._count("block_count"), self._count("context_length")
        if layers > len(self.tensors):  # before any list as long as a hostile header says
            raise MalformedArtefact(f"the metadata says {layers} layers, the file has {len(self.tensors)} tensors in all")
        head_dim = self._count("attention.key_length", embedding // heads)
        rotated = self._count("rope.dimension_count", head_dim)
        experts, experts_used = self._experts(family)
        window, windowed = self._window(family, layers, context)
        base = family.windows.base if family.windows else None
        local = None if base is None else Rotation(base=self._number("rope.freq_base_swa", base), dimensions=rotated)
        shape = LlamaShape(
            architecture=architecture,
            layers=layers,
            embedding=embedding,
            heads=heads,
            kv_heads=self._count("attention.head_count_kv", heads),
            head_dim=head_dim,
            ffn=self._ffn(is_mixture=experts > 0),
            vocabulary=self.tensors["token_embd.weight"].shape[-1],
            context=context,
            norm_epsilon=self._number("attention.layer_norm_rms_epsilon", 1e-5),
            tied="output.weight" not in self.tensors,
            graph=Graph(
                head_dim=head_dim,
                rotated=rotated,
                query_scale=(embedding / heads if layers == family.odd_scale_layers else head_dim) ** -0.5,
                rope=self._rope(family),
                activation=family.activation,
                qk_norm=family.qk_norm,
                post_norms=family.post_norms,
                windowed=bool(windowed),
                experts=experts > 0,
                embedding_scale=math.sqrt(embedding) if family.scales_embedding else 1.0,
                attention_cap=self._cap("attn_logit_softcapping", family.attention_cap),
                logit_cap=self._cap("final_logit_softcapping", family.logit_cap),
            ),
            rotation=self._rotation(rotated, context),
            window=window,
            windowed_layers=windowed,
            window_rotation=local,
            experts=experts,
            experts_used=experts_used,
            fused=tuple(name for name in family.fused or () if self._is_fused(name)),
        )
        self._check_dimensions(shape)
        self._check_tensors(shape)
        return shape

    # ---- values ---------------------------------------------------------------------------------------------

    def _key(self, name: str) -> str:
        return f"{self.metadata['general.architecture']}.{name}"

    def _count(self, name: str, default: int | None = None) -> int:
        value = self.metadata.get(self._key(name), default)
        if value is None:
            raise MalformedArtefact(f"the model's metadata has no {self._key(name)}")
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise UnsupportedArtefact(f"{self._key(name)} is {type(value).__name__}; one number for all layers is supported")
        if not 0 < int(value) < 1 << 31:
            raise MalformedArtefact(f"{self._key(name)} is {value}; it must be a positive number")
        return int(value)

    def _number(self, name: str, default: float) -> float:
        value = self.metadata.get(self._key(name), default)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < float(value) < math.inf:
            raise MalformedArtefact(f"{self._key(name)} is not a positive number")
        return float(value)

    def _cap(self, name: str, default: float) -> float:
        """A soft cap; 0 is none, and where the file says so, too."""
        return 0.0 if _is_zero(self.metadata.get(self._key(name), default)) else self._number(name, default)

    def _refuse_unknown(self) -> None:
        if self.metadata.get(self._key("attention.causal"), True) is not True:
            raise UnsupportedArtefact(f"{self._key('attention.causal')} is off: the model reads texts and writes none")
        for name, neutral in _REFUSED.items():
            value = self.metadata.get(self._key(name), 0)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or value not in (0, neutral):
                raise UnsupportedArtefact(f"{self._key(name)} {value!r:.40} is not supported")

    def _experts(self, family: Family) -> tuple[int, int]:
        """How many a layer has, and how many of them a token takes; 0 and 0 of a dense model."""
        key, said = "expert_count", self.metadata.get(self._key("expert_count"), 0)
        if not isinstance(said, bool) and isinstance(said, int) and said == 0:
            if family.mixture is True:
                raise MalformedArtefact(f"the model's metadata has no {self._key(key)}")
            return 0, 0
        count = self._count(key)
        if family.mixture is False:
            raise UnsupportedArtefact(f"{self._key(key)} {count} is not supported for {self.metadata['general.architecture']}")
        used = self._count("expert_used_count")
        if count > _MOST_EXPERTS or used > min(count, _MOST_EXPERTS_USED):
            raise UnsupportedArtefact(
                f"{used} of {count} experts for each token; up to {_MOST_EXPERTS_USED} of up to {_MOST_EXPERTS} are supported"
            )
        if (gating := self._count("expert_gating_func", _SOFTMAX)) != _SOFTMAX:
            raise UnsupportedArtefact(f"{self._key('expert_gating_func')} {gating} is not supported; {_SOFTMAX}, softmax, is")
        if self.metadata.get(self._key("expert_weights_norm"), True) is not True:
            raise UnsupportedArtefact(f"{self._key('expert_weights_norm')} is not supported where it is false")
        return count, used

    def _ffn(self, *, is_mixture: bool) -> int:
        own = "expert_feed_forward_length"
        return self._count(own if is_mixture and self._key(own) in self.metadata else "feed_forward_length")

    def _rope(self, family: Family) -> Rope:
        value = self.metadata.get(ROPE_KEY, family.rope.value)
        if not isinstance(value, str) or value not in [rope.value for rope in Rope]:
            raise MalformedArtefact(f"{ROPE_KEY} {value!r:.40} is not one of {', '.join(rope.value for rope in Rope)}")
        return Rope(value)

    def _window(self, family: Family, layers: int, context: int) -> tuple[int, frozenset[int]]:
        """How many positions the windows have, and in which layers: 0 and none where they would hide nothing."""
        windows, key = family.windows, "attention.sliding_window"
        said = self.metadata.get(self._key(key), 0 if windows is None else windows.default)
        if _is_zero(said):
            return 0, frozenset()
        size = self._count(key, said)
        if windows is None:
            raise UnsupportedArtefact(f"{self._key(key)} {size} is not supported for {self.metadata['general.architecture']}")
        if size >= context and windows.base is None:
            return 0, frozenset()
        pattern = self.metadata.get(self._key(f"{key}_pattern"))
        if isinstance(pattern, np.ndarray) and len(pattern) == layers:
            return size, frozenset(np.flatnonzero(pattern).tolist())
        period = self._count(f"{key}_pattern", windows.period) if pattern is not None else windows.period
        return size, frozenset(layer for layer in range(layers) if period == 0 or layer % period < period - 1)

    def _rotation(self, dimensions: int, context: int) -> Rotation:
        # A file that says a factor and no type means linear; files from before rope.scaling.* name the factor scale_linear.
        kind = self.metadata.get(self._key("rope.scaling.type"), "linear")
        if not isinstance(kind, str) or kind not in _SCALINGS:
            raise UnsupportedArtefact(f"rope scaling {kind!r:.40} is not supported; supported are {', '.join(_SCALINGS)}")
        old = self._number("rope.scale_linear", 1.0)
        says_none = kind in ("none", "longrope") or _is_zero(self.metadata.get(self._key("rope.scaling.factor"), 0))
        scale = old if says_none else self._number("rope.scaling.factor", old)
        original = self._count("rope.scaling.original_context_length", context)
        short, long, own = (f"rope_{name}.weight" for name in ("factors_short", "factors_long", "freqs"))
        has_sets = short in self.tensors or long in self.tensors
        if kind == "longrope" and not has_sets:
            raise MalformedArtefact(f"rope scaling is longrope, and the model has no tensor {short}")
        base, yarn = self._number("rope.freq_base", 10000.0), None
        if base <= 1:
            raise MalformedArtefact(f"{self._key('rope.freq_base')} {base} is not above 1")
        magnitude = self._number("rope.scaling.attn_factor", 1.0)
        if kind == "yarn":
            fast, slow = (self._number(f"rope.scaling.yarn_beta_{name}", d) for name, d in (("fast", 32.0), ("slow", 1.0)))
            yarn = Yarn(original_context=original, fast=fast, slow=slow)
            magnitude *= 1 + 0.1 * math.log(scale) if scale > 1 else 1.0
        return Rotation(
            base=base,
            dimensions=dimensions,
            scale=scale,
            yarn=yarn,
            magnitude=magnitude,
            factors=short if has_sets else own if own in self.tensors else None,
            long_factors=long if has_sets else None,
            original_context=original,
        )

    def _is_fused(self, name: str) -> bool:
        """A part may bear the whole's name (ffn_up): then it is the parts that must be missing."""
        parts = (FAMILIES[self.metadata["general.architecture"]].fused or {})[name]
        others = [part for part in parts if part != name]
        return f"blk.0.{name}.weight" in self.tensors and not any(f"blk.0.{part}.weight" in self.tensors for part in others)

    # ---- checks ---------------------------------------------------------------------------------------------

    def _check_dimensions(self, s: LlamaShape) -> None:
        for name, value, multiple in (
            ("embedding length", s.embedding, BLOCK),
            ("feed-forward length", s.ffn, BLOCK),
            ("head size", s.head_dim, BLOCK),
            ("rope.dimension_count", s.graph.rotated, BLOCK),
            ("head count", s.heads, s.kv_heads),
        ):
            if value % multiple:
                raise UnsupportedArtefact(f"{name} {value} is not a multiple of {multiple}")
        if s.head_dim > 256:
            raise UnsupportedArtefact(f"head size {s.head_dim} is above 256")
        if s.graph.rotated > s.head_dim:
            raise MalformedArtefact(f"rope.dimension_count {s.graph.rotated} is above the head size {s.head_dim}")
        if (values := self._count("attention.value_length", s.head_dim)) != s.head_dim:
            raise UnsupportedArtefact(f"{self._key('attention.value_length')} {values} differs from the head size {s.head_dim}")

    def _check_tensors(self, shape: LlamaShape) -> None:
        expected: dict[str, tuple[int, ...]] = {name: (length,) for name, length in shape.vectors()}
        expected |= {name: (length, rows) for name, length, rows in shape.in_file()}
        expected |= dict(shape.expert_tensors())
        for name, dimensions in expected.items():
            if name not in self.tensors:
                raise MalformedArtefact(f"the model has no tensor {name}")
            tensor = self.tensors[name]
            if tuple(tensor.shape) != dimensions:
                raise MalformedArtefact(f"tensor {name} has shape {tuple(tensor.shape)}, {dimensions} is expected")
            if len(dimensions) == 1 and tensor.type is not TensorType.F32:
                raise UnsupportedArtefact(f"tensor {name} has type {tensor.type.name}; F32 is supported for it")
            if tensor.type not in COMPUTED:
                known = ", ".join(type_.name for type_ in COMPUTED)
                raise UnsupportedArtefact(f"tensor {name} has type {tensor.type.name}; supported are {known}")
            tensor.type.row_bytes(dimensions[0])
        if extra := sorted(set(self.tensors) - set(expected)):
            raise UnsupportedArtefact(
                f"{len(extra)} tensors of a kind that {shape.architecture} does not have here, first {extra[0]}"
            )


def _is_zero(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and value == 0
