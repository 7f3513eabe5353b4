"""What a request makes a pass do, in bytes that are read: by this, joules of a batch are shared out.

A pass reads the weights once, for all requests in it alike. Each request has the keys and values of its own context read, and
its columns computed: multiply-adds with every weight a token goes through, and with the keys and values before it. Positions that
were found computed (a shared prefix) are read, not computed. How many of those operations cost as much as a byte is not assumed:
the engine's own passes tell it, by how much longer one of many columns takes than one of a single column.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from freehold.engine.gguf import TensorInfo
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache, KvType
from freehold.engine.models.shape import LlamaShape

WIDE: Final = 64  # columns of a pass that is compared with a single one
_FLOPS_PER_BYTE: Final = 10.0  # where passes tell nothing: columns that cost no time beside the weights


class Times(Protocol):
    def expected(self, columns: int) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWork:
    """Of one model as it is held: bytes and floating-point operations."""

    weights_bytes: int  # that a pass of one token reads; of a mixture, the experts that one token takes
    kv_bytes: int  # of one position, all layers
    token_flops: int  # with the weights, of one token
    position_flops: int  # with the keys and values of one earlier position, of one token

    def of(self, requests: int, end: int, columns: int, flops_per_byte: float) -> float:
        """One request's, in bytes, of a pass of so many `requests`: its columns are the last of `end` positions."""
        start = end - columns
        seen = columns * start + columns * (columns + 1) // 2  # positions that its columns look at, themselves included
        flops = columns * self.token_flops + seen * self.position_flops
        return self.weights_bytes / requests + end * self.kv_bytes + flops / flops_per_byte

    def flops_per_byte(self, times: Times) -> float:
        """Operations that take as long as reading a byte. A column more is operations alone, a single one almost only bytes."""
        single_s, wide_s = times.expected(1), times.expected(WIDE)
        column_s = (wide_s - single_s) / (WIDE - 1)
        if not (column_s > 0 and single_s > 0 and math.isfinite(single_s / column_s)):
            return _FLOPS_PER_BYTE
        return self.token_flops / self.weights_bytes * single_s / column_s


def model_work(shape: LlamaShape, tensors: Mapping[str, TensorInfo], kv_type: KvType) -> ModelWork:
    used = shape.experts_used / shape.experts if shape.experts else 1.0
    shares = [(info, used if "_exps" in info.name else 1.0) for info in _matrices(shape, tensors)]
    weights = sum(share * math.prod(info.shape) for info, share in shares)
    return ModelWork(
        weights_bytes=max(1, round(sum(share * info.size_bytes for info, share in shares))),
        kv_bytes=KvCache.page_bytes(shape.layers, shape.kv_heads, shape.head_dim, kv_type) // PAGE_POSITIONS,
        token_flops=max(1, round(2 * weights)),
        position_flops=4 * shape.layers * shape.heads * shape.head_dim,
    )


def _matrices(shape: LlamaShape, tensors: Mapping[str, TensorInfo]) -> Iterable[TensorInfo]:
    """All that a token is multiplied with: not the embedding, of which it takes a row, unless that is the head as well."""
    for name, info in tensors.items():
        if len(info.shape) > 1 and (name != "token_embd.weight" or shape.tied):
            yield info
