"""Attention over the paged cache, for answers and prompts alike.

A tile is a few neighbouring tokens of one sequence; with the heads that share keys it makes M rows of queries, which walk the
pages together, keeping a running maximum and sum (online softmax). An answer's single token walks in shares of a fixed number of
pages, so that a long context fills the card; the shares are put together in their order. Where a share begins is a matter of
position alone.

    program (tile, kv head, share)  ->  partial (T, H, shares, D), peaks and sums (T, H, shares)
    program (token, head)           ->  attended, rounded for the next matrix
"""

from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl

from freehold.engine.gpu.elementwise import put
from freehold.engine.gpu.multiply import Columns
from freehold.engine.kernels.graph import Graph
from freehold.engine.kv_cache import PAGE_POSITIONS

_PAGE = tl.constexpr(PAGE_POSITIONS)
PROMPT_ROWS: Final = 64  # M of a prompt's tile


@triton.jit
def _attend(
    queries, pitch, firsts, counts, positions, sequences, pages, pages_pitch, store, page_halves,
    partial, peaks, sums, shares, share_pages, window, cap,
    D: tl.constexpr, P: tl.constexpr, GROUP: tl.constexpr, GP: tl.constexpr, M: tl.constexpr, CAPPED: tl.constexpr,
):  # fmt: skip
    tile, kv_head, share = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    first, count = tl.load(firsts + tile), tl.load(counts + tile)
    m, d, s = tl.arange(0, M), tl.arange(0, P), tl.arange(0, _PAGE)
    token, head = m // GP, m % GP
    valid = (token < count) & (head < GROUP)
    start = tl.load(positions + first)
    position = start + token
    q_at = queries + (first + token)[:, None].to(tl.int64) * pitch + ((kv_head * GROUP + head) * D)[:, None] + d[None, :]
    q = tl.load(q_at, mask=valid[:, None] & (d < D)[None, :], other=0.0).to(tl.float16)
    table = pages + tl.load(sequences + first) * pages_pitch
    begin, end = share * share_pages, tl.minimum((share + 1) * share_pages, (start + count - 1) // _PAGE + 1)
    if window > 0:
        begin = tl.maximum(begin, tl.maximum(start - window + 1, 0) // _PAGE)
    peak = tl.full((M,), float("-inf"), tl.float32)
    total = tl.zeros((M,), tl.float32)
    out = tl.zeros((M, P), tl.float32)
    for page in range(begin, end):
        base = store + tl.load(table + page).to(tl.int64) * page_halves + kv_head * (2 * _PAGE * D)
        keys = tl.load(base + s[None, :] * D + d[:, None], mask=(d < D)[:, None], other=0.0)
        scores = tl.dot(q, keys)
        if CAPPED:
            scores = cap * (1.0 - 2.0 / (1.0 + tl.exp(2.0 * scores / cap)))
        key = page * _PAGE + s
        seen = (key[None, :] <= position[:, None]) & ((window <= 0) | (key[None, :] > position[:, None] - window))
        scores = tl.where(seen, scores, float("-inf"))
        higher = tl.maximum(peak, tl.max(scores, 1))
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        weights = tl.exp(scores - safe[:, None])
        shrink = tl.exp(peak - safe)
        # Places past the sequence's end hold whatever was there, a NaN too: nought times that must not count.
        values = tl.load(
            base + _PAGE * D + s[:, None] * D + d[None, :], mask=(key <= start + count - 1)[:, None] & (d < D)[None, :], other=0.0
        )
        total = total * shrink + tl.sum(weights, 1)
        out = tl.dot(weights.to(tl.float16), values, out * shrink[:, None])
        peak = higher
    line = ((first + token).to(tl.int64) * (tl.num_programs(1) * GROUP) + kv_head * GROUP + head) * shares + share
    tl.store(partial + line[:, None] * D + d[None, :], out, mask=valid[:, None] & (d < D)[None, :])
    tl.store(peaks + line, peak, mask=valid)
    tl.store(sums + line, total, mask=valid)


@triton.jit
def _combine(
    partial, peaks, sums, shares, share_pages, positions, x, half, q, xs, hs, bs, heads, D: tl.constexpr, B: tl.constexpr
):  # fmt: skip
    token, head = tl.program_id(0), tl.program_id(1)
    used = tl.minimum(shares, tl.maximum(tl.load(positions + token), 0) // _PAGE // share_pages + 1)
    line = (token * heads + head) * shares
    b = tl.arange(0, B)[:, None, None]
    inside = b * 32 < D
    at = b * 32 + tl.arange(0, 2)[None, :, None] * 16 + tl.arange(0, 16)[None, None, :]
    peak = float("-inf")
    for share in range(used):
        peak = tl.maximum(peak, tl.load(peaks + line + share))
    total = 0.0
    out = tl.zeros((B, 2, 16), tl.float32)
    for share in range(used):
        weight = tl.exp(tl.load(peaks + line + share) - peak)
        total += weight * tl.load(sums + line + share)
        out += weight * tl.load(partial + (line + share).to(tl.int64) * D + at, mask=inside, other=0.0)
    blocks = heads * (D // 32)
    put(tl.div_rn(out, out * 0.0 + total), head * (D // 32) + b, inside, token, blocks, x, half, q, xs, hs, bs)


@dataclass(frozen=True, slots=True)
class Tiles:
    """Which tokens attend together: the first of each tile, and how many. `shares` walk the pages; 1 walks them all."""

    firsts: torch.Tensor  # int32
    counts: torch.Tensor
    tokens_each: int
    shares: int
    share_pages: int


class Partials:
    """Room for what shares give before they are put together."""

    def __init__(self, tokens: int, heads: int, shares: int, head_dim: int, device: torch.device) -> None:
        self.out = torch.zeros((tokens, heads, shares, head_dim), dtype=torch.float32, device=device)
        self.peaks = torch.zeros((tokens, heads, shares), dtype=torch.float32, device=device)
        self.sums = torch.zeros((tokens, heads, shares), dtype=torch.float32, device=device)


def attend(
    queries: torch.Tensor,
    graph: Graph,
    heads: tuple[int, int],
    tiles: Tiles,
    where: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    store: torch.Tensor,
    partials: Partials,
    out: Columns,
    window: int = 0,
) -> None:
    """Queries (T, ..), finished by `place`, over the cache: out (T, H D). Raises nothing: indices were checked by the caller."""
    positions, sequences, pages = where
    group = heads[0] // heads[1]
    padded = triton.next_power_of_2(group)
    _attend[(len(tiles.firsts), heads[1], tiles.shares)](
        queries, queries.stride(0), tiles.firsts, tiles.counts, positions, sequences, pages, pages.stride(0),
        store, store.stride(0),
        partials.out, partials.peaks, partials.sums, tiles.shares, tiles.share_pages, window, graph.attention_cap or 1.0,
        D=graph.head_dim, P=triton.next_power_of_2(graph.head_dim), GROUP=group, GP=padded,
        M=max(16, triton.next_power_of_2(tiles.tokens_each) * padded), CAPPED=graph.attention_cap > 0, num_warps=4, num_stages=2,
    )  # fmt: skip
    _combine[(len(queries), heads[0])](
        partials.out, partials.peaks, partials.sums, tiles.shares, tiles.share_pages, positions,
        out.x, out.half, out.q, out.xs, out.hs, out.bs, heads[0],
        D=graph.head_dim, B=triton.next_power_of_2(graph.head_dim // 32), num_warps=1,
    )  # fmt: skip
