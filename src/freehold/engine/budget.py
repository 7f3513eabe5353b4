"""How the memory that an engine may take is shared out: weights, keys and values, and what every pass needs.

Decided here, from a header alone, so that what is predicted before a download and what is done at load are one: how many pages of
keys and values there are, and where each tile of the weights lies. Pure; what memory there is, `memory` says.

Keys and values are taken page by page as sequences grow, but are counted whole from the start. Where the weights do not fit
beside them they get an eighth of the memory and no more: a byte kept for a sequence that may come is a byte read in each pass.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from freehold.core.errors import DeviceError
from freehold.engine.config import EngineConfig
from freehold.engine.kernels.records import MAX_COLUMNS, SCRATCH_BYTES
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache, KvType
from freehold.engine.memory import Room, megabytes
from freehold.engine.tiers import Placement, place
from freehold.engine.tiles import InFile, Use

DEFAULT_CONTEXT_TOKENS: Final = 8192  # more only where it is asked for: each position costs KV memory
BESIDE_BYTES: Final = 32 << 20  # compiling kernels takes 10 to 20 MB; requests the rest
_KV_SHARE: Final = 8
_COLUMN_BYTES: Final = 5.5  # of an activation: f32, int8, and a header of 16 for 32


class HasDimensions(Protocol):
    """A model's shape, as far as memory goes."""

    @property
    def layers(self) -> int: ...

    @property
    def embedding(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def kv_heads(self) -> int: ...

    @property
    def head_dim(self) -> int: ...

    @property
    def ffn(self) -> int: ...

    @property
    def vocabulary(self) -> int: ...

    @property
    def context(self) -> int: ...

    @property
    def experts_used(self) -> int: ...

    def expert_uses(self) -> Iterable[Iterable[Sequence[Use]]]: ...

    def order(self) -> Iterable[Sequence[Use]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    placement: Placement
    pages: int  # of keys and values
    context_tokens: int  # the longest sequence
    kv_bytes: int
    activation_bytes: int
    usable_bytes: int  # for all of these together

    @property
    def needed_bytes(self) -> int:
        return self.placement.memory_bytes + self.kv_bytes + self.activation_bytes + BESIDE_BYTES


def plan(
    shape: HasDimensions, tensors: Mapping[str, InFile], config: EngineConfig, threads: int, found: Room, taken_bytes: int = 0
) -> Plan:
    """`taken_bytes` are what this process has already, and count against `ram_mb`.

    Raises DeviceError, with the numbers, where a model does not run in this memory even if all of it is streamed.
    """
    usable = found.usable_bytes
    if config.ram_mb:  # said by who knows the machine: no headroom is taken off it
        usable = min((config.ram_mb << 20) - taken_bytes, found.available_bytes)
    pages, context = pages_and_context(shape, config, config.kv_memory_mb << 20)
    made = _plan(shape, tensors, config, threads, usable, pages, context)
    if not made.placement.is_whole:
        least = -(-config.context_tokens // PAGE_POSITIONS) or 1  # pages
        share = max(least * page_bytes(shape, config), usable // _KV_SHARE)
        pages, context = pages_and_context(shape, config, min(config.kv_memory_mb << 20, share))
        made = _plan(shape, tensors, config, threads, usable, pages, context)
    if made.needed_bytes > usable:
        raise DeviceError(_too_little(made, found, config))
    return made


def pages_and_context(shape: HasDimensions, config: EngineConfig, kv_bytes: int) -> tuple[int, int]:
    """KV pages in so much memory and the longest sequence. All running sequences at full length need no more pages."""
    context = min(config.context_tokens or DEFAULT_CONTEXT_TOKENS, shape.context)
    one_page = page_bytes(shape, config)
    affordable = kv_bytes // one_page
    per_sequence = -(-context // PAGE_POSITIONS)
    if affordable < per_sequence and config.context_tokens:
        raise DeviceError(
            f"a context of {context} tokens needs {per_sequence * one_page >> 20} MB of KV memory, "
            f"engine.kv_memory_mb is {config.kv_memory_mb}: raise it, or lower engine.context_tokens"
        )
    if affordable < 1:
        raise DeviceError(f"engine.kv_memory_mb {config.kv_memory_mb} holds not one page of {one_page >> 10} KB: raise it")
    pages = min(affordable, per_sequence * config.max_sequences)
    return pages, min(context, pages * PAGE_POSITIONS)


def page_bytes(shape: HasDimensions, config: EngineConfig) -> int:
    return KvCache.page_bytes(shape.layers, shape.kv_heads, shape.head_dim, KvType(config.kv_type))


def activation_bytes(shape: HasDimensions, threads: int, max_sequences: int, context_tokens: int) -> int:
    """Buffers of a pass, rotation tables, and logits twice: as computed, and as a sampler works on them."""
    heads = shape.heads + 2 * shape.kv_heads
    columns = shape.embedding + shape.heads * shape.head_dim + shape.ffn
    floats = 2 * shape.embedding + heads * shape.head_dim
    # Each choice of an expert has columns and an output of its own.
    columns += shape.experts_used * (shape.embedding + shape.ffn)
    floats += shape.experts_used * shape.embedding
    tables = 2 * 8 * context_tokens * shape.head_dim
    logits = 2 * 4 * max_sequences * shape.vocabulary
    return int(MAX_COLUMNS * (_COLUMN_BYTES * columns + 4 * floats)) + threads * SCRATCH_BYTES + tables + logits


def _plan(
    shape: HasDimensions,
    tensors: Mapping[str, InFile],
    config: EngineConfig,
    threads: int,
    usable_bytes: int,
    pages: int,
    context: int,
) -> Plan:
    kv_bytes = pages * page_bytes(shape, config)
    activations = activation_bytes(shape, threads, config.max_sequences, context)
    return Plan(
        placement=place(
            shape.order(),
            tensors,
            usable_bytes - kv_bytes - activations - BESIDE_BYTES,
            experts=shape.expert_uses(),
            experts_used=shape.experts_used,
        ),
        pages=pages,
        context_tokens=context,
        kv_bytes=kv_bytes,
        activation_bytes=activations,
        usable_bytes=usable_bytes,
    )


def _too_little(made: Plan, found: Room, config: EngineConfig) -> str:
    parts = {
        "weights that have to stay, and a ring for the others": made.placement.memory_bytes,
        "keys and values": made.kv_bytes,
        "activations": made.activation_bytes,
        "the rest": BESIDE_BYTES,
    }
    listed = " + ".join(f"{megabytes(size)} for {what}" for what, size in parts.items())
    whose = f"of engine.ram_mb {config.ram_mb}, beside what the process has already" if config.ram_mb else "less headroom"
    return (
        f"not enough memory, even with every layer streamed: {listed} = {megabytes(made.needed_bytes)}, but "
        f"{megabytes(max(0, made.usable_bytes))} can be used ({whose}; {megabytes(found.available_bytes)} free under "
        f"{found.bound_by}'s limit of {megabytes(found.limit_bytes)}). "
        "Lower engine.context_tokens, engine.kv_memory_mb or engine.max_sequences, or give the node more memory"
    )
