"""What can be set about the engine, and what each setting means."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

PrefixReuse: TypeAlias = Literal["key", "team", "all", "off"]

MAX_DRAFTS: Final = 16  # of one answer in one step
_LEAST: Final[Mapping[str, int]] = {
    "threads": 0,
    "context_tokens": 0,
    "ram_mb": 0,
    "vram_mb": 0,
    "kv_memory_mb": 1,
    "max_sequences": 1,
    "queue_limit": 0,
    "prefill_chunk_tokens": 0,
}


class WatermarkConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose answers carry a watermark. The first entry that fits counts; names may be globs, and none named is all of them."""

    secret: str
    """The name that it was made under: freehold watermark create NAME."""

    teams: tuple[str, ...] = ()

    keys: tuple[str, ...] = ()
    """Client keys, by name."""


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str = "smollm2-135m"
    """The name of a pulled or added model; empty runs no engine."""

    threads: int = 0
    """Compute threads; 0 takes one for each core this process may use."""

    context_tokens: int = 0
    """Longest prompt and answer together; 0 takes the model's own, up to 8192."""

    ram_mb: int = 0
    """Memory that the engine may take in all; weights that do not fit are read from disk in each pass. 0 takes what is free under
    the tightest limit, less headroom."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a model is computed: auto takes a CUDA card where there is one that runs it, and the extra `gpu` is installed."""

    vram_mb: int = 0
    """What may be taken of the card's memory; 0 takes what is free, less headroom."""

    kv_memory_mb: int = 1024
    """Memory for the keys and values of running sequences, at most. It is taken page by page as sequences grow."""

    kv_type: Literal["f16", "q8"] = "f16"
    """How a key or value is held: q8 takes half the memory, so twice the context or the sequences, and rounds to 1 in 254."""

    max_sequences: int = 16
    """Answers computed at the same time; more wait their turn."""

    queue_limit: int = 64
    """Requests that may wait; beyond that they are turned away with 503."""

    prefill_chunk_tokens: int = 0
    """Prompt tokens computed in one step beside the running answers: more is faster prefill, less is smoother answers. 0 chooses
    by the time that steps take."""

    speculation_tokens: int | Literal["auto"] = "auto"
    """Tokens drafted ahead of an answer in one step, at most; 0 drafts none. Drafts never change an answer."""

    draft_model: str = ""
    """The name of a pulled model, smaller and of the same vocabulary, that drafts where nothing repeats; empty is none."""

    prefix_reuse: PrefixReuse = "key"
    """Whose earlier prompts a prompt may begin with without being computed again: those of its key, of its team, or all."""

    kernels: Literal["auto", "vnni", "avx2", "portable"] = "auto"
    """The kernel set; auto takes the best the CPU has."""

    unsigned: Literal["pin", "refuse"] = "pin"
    """A model that nobody who is trusted here signed: pin runs the bytes that were there when it was added, and no others;
    refuse runs none."""

    watermarks: tuple[WatermarkConfig, ...] = ()

    def __post_init__(self) -> None:
        if self.speculation_tokens != "auto" and not 0 <= self.speculation_tokens <= MAX_DRAFTS:
            raise ValueError(f'[engine] speculation_tokens {self.speculation_tokens} must be "auto" or from 0 to {MAX_DRAFTS}')
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"[engine] {name} {getattr(self, name)} must be at least {least}")
