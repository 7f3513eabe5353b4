"""What lies between the matrices: norms and residual sums, the gate, rotation and the write into the KV cache.

Every kernel that makes a matrix's input also rounds it to the forms of `Columns`, as kernels/elementwise.py does for the CPU:
blocks of 32 to signed bytes, by the largest of each. A program sees one token alone, so that no value depends on a neighbour.
"""

from typing import Final

import torch
import triton
import triton.language as tl

from freehold.engine.gpu.multiply import Columns
from freehold.engine.kernels.graph import Activation, Graph, Rope
from freehold.engine.kv_cache import PAGE_POSITIONS

_PAGE = tl.constexpr(PAGE_POSITIONS)
_ROUND = tl.constexpr(12582912.0)  # 1.5 * 2 ** 23: adding and taking it away rounds to the nearest whole number, ties to even
_GATE_BLOCKS: Final = 16


@triton.jit
def put(v, block, inside, token, blocks, x, half, q, xs, hs, bs):
    """Write (B, 2, 16) values, `block` (B, 1, 1) of 32 each, of one token into its Columns."""
    at = token.to(tl.int64) * blocks * 32 + block * 32 + tl.arange(0, 2)[None, :, None] * 16 + tl.arange(0, 16)[None, None, :]
    tl.store(x + at, v, mask=inside)
    tl.store(half + at, v.to(half.dtype.element_ty), mask=inside)
    largest = tl.max(tl.max(tl.abs(v), 2, keep_dims=True), 1, keep_dims=True)
    inverse = tl.where(largest > 0, tl.div_rn(127.0, tl.where(largest > 0, largest, 1.0)), 0.0)
    whole = (v * inverse + _ROUND) - _ROUND
    scale = tl.div_rn(largest, 127.0)
    tl.store(q + at, whole.to(tl.int8), mask=inside)
    tl.store(xs + token * blocks + block, scale, mask=inside)
    sums = tl.sum(whole, 2, keep_dims=True)
    tl.store(hs + (token * blocks + block) * 2 + tl.arange(0, 2)[None, :, None], sums * scale, mask=inside)
    tl.store(bs + token * blocks + block, tl.sum(sums, 1, keep_dims=True) * scale, mask=inside)


@triton.jit
def _rms(v, weight, epsilon, count):
    mean = tl.sum(tl.sum(tl.sum(v * v, 2), 1), 0) / count
    return v * tl.div_rn(1.0, tl.sqrt_rn(mean + epsilon)) * weight


@triton.jit
def _normalise(
    stream, delta, post, weight, epsilon, blocks, x, half, q, xs, hs, bs,
    B: tl.constexpr, ADDS: tl.constexpr, POST: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0)
    block = tl.arange(0, B)[:, None, None]
    inside = block < blocks
    place = block * 32 + tl.arange(0, 2)[None, :, None] * 16 + tl.arange(0, 16)[None, None, :]
    at = token.to(tl.int64) * blocks * 32 + place
    v = tl.load(stream + at, mask=inside, other=0.0)
    if ADDS:
        branch = tl.load(delta + at, mask=inside, other=0.0)
        if POST:
            branch = _rms(branch, tl.load(post + place, mask=inside, other=0.0), epsilon, blocks * 32)
        v += branch
        tl.store(stream + at, v, mask=inside)
    normed = _rms(v, tl.load(weight + place, mask=inside, other=0.0), epsilon, blocks * 32)
    put(normed, block, inside, token, blocks, x, half, q, xs, hs, bs)


@triton.jit
def _gate(gate_up, pitch, blocks, x, half, q, xs, hs, bs, B: tl.constexpr, GELU: tl.constexpr):
    token = tl.program_id(0)
    block = tl.program_id(1) * B + tl.arange(0, B)[:, None, None]
    inside = block < blocks
    place = block * 32 + tl.arange(0, 2)[None, :, None] * 16 + tl.arange(0, 16)[None, None, :]
    at = token.to(tl.int64) * pitch + place
    gate = tl.load(gate_up + at, mask=inside, other=0.0)
    up = tl.load(gate_up + at + blocks * 32, mask=inside, other=0.0)
    if GELU:
        inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        gate = gate / (1.0 + tl.exp(-2.0 * inner))  # 0.5 * (1 + tanh(inner)) is sigmoid(2 * inner)
    else:
        gate = gate / (1.0 + tl.exp(-gate))
    put(gate * up, block, inside, token, blocks, x, half, q, xs, hs, bs)


@triton.jit
def _place(
    qkv, pitch, bias, q_norm, k_norm, epsilon, query_scale, table, positions, sequences, pages, pages_pitch, store, page_halves,
    heads, kv_heads, D: tl.constexpr, P: tl.constexpr, ROTATED: tl.constexpr, HALVES: tl.constexpr,
    BIAS: tl.constexpr, NORM: tl.constexpr,
):  # fmt: skip
    """Finish one head of q, k or v of one token. A token at a negative position is padding."""
    token, item = tl.program_id(0), tl.program_id(1)
    d = tl.arange(0, P)
    inside = d < D
    if HALVES:
        partner = tl.where(d < ROTATED // 2, d + ROTATED // 2, d - ROTATED // 2)
    else:
        partner = d ^ 1
    turns = d < ROTATED
    partner = tl.where(turns, partner, d)
    at = qkv + token.to(tl.int64) * pitch + item * D
    v = tl.load(at + d, mask=inside, other=0.0)
    other = tl.load(at + partner, mask=inside, other=0.0)
    if BIAS:
        v += tl.load(bias + item * D + d, mask=inside, other=0.0)
        other += tl.load(bias + item * D + partner, mask=inside, other=0.0)
    position = tl.load(positions + token)
    is_value = item >= heads + kv_heads
    if not is_value:
        if NORM:
            norm = q_norm if item < heads else k_norm
            factor = tl.div_rn(1.0, tl.sqrt_rn(tl.sum(v * v, 0) / D + epsilon))
            v = v * factor * tl.load(norm + d, mask=inside, other=0.0)
            other = other * factor * tl.load(norm + partner, mask=inside, other=0.0)
        angle = table + tl.maximum(position, 0).to(tl.int64) * (2 * ROTATED) + d
        cos = tl.load(angle, mask=inside & turns, other=1.0)
        sin = tl.load(angle + ROTATED, mask=inside & turns, other=0.0)
        v = v * cos + other * sin
    # A thread may read its partner's place: nobody writes before all have read.
    tl.debug_barrier()
    if item < heads:
        tl.store(at + d, v * query_scale, mask=inside)
    elif position >= 0:
        page = tl.load(pages + tl.load(sequences + token) * pages_pitch + position // _PAGE)
        head = tl.where(is_value, item - heads - kv_heads, item - heads)
        part = tl.where(is_value, 1, 0)
        line = ((head * 2 + part) * _PAGE + position % _PAGE) * D
        tl.store(store + page.to(tl.int64) * page_halves + line + d, v.to(tl.float16), mask=inside)


def _blocks(elements: int) -> int:
    return int(triton.next_power_of_2(elements // 32))


def normalise(
    stream: torch.Tensor,
    weight: torch.Tensor,
    epsilon: float,
    out: Columns,
    delta: torch.Tensor | None = None,
    post: torch.Tensor | None = None,
) -> None:
    """Add `delta` (T, E), normalised by `post` if there is one, to the residual stream (T, E); `out` is the stream's norm."""
    tokens, elements = stream.shape
    count = _blocks(elements)
    _normalise[(tokens,)](
        stream, stream if delta is None else delta, weight if post is None else post, weight, epsilon, elements // 32,
        out.x, out.half, out.q, out.xs, out.hs, out.bs,
        B=count, ADDS=delta is not None, POST=post is not None, num_warps=8 if count >= 64 else 4,
    )  # fmt: skip


def gate(gate_up: torch.Tensor, activation: Activation, out: Columns) -> None:
    """out (T, F) = activation(gate_up[:, :F]) * gate_up[:, F:]"""
    blocks = out.elements // 32
    grid = (len(gate_up), triton.cdiv(blocks, _GATE_BLOCKS))
    _gate[grid](
        gate_up, gate_up.stride(0), blocks, out.x, out.half, out.q, out.xs, out.hs, out.bs,
        B=_GATE_BLOCKS, GELU=activation is Activation.GELU, num_warps=2,
    )  # fmt: skip


def place(
    qkv: torch.Tensor,
    graph: Graph,
    heads: tuple[int, int],
    table: torch.Tensor,
    where: "tuple[torch.Tensor, torch.Tensor, torch.Tensor]",
    store: torch.Tensor,
    *,
    epsilon: float,
    bias: torch.Tensor | None = None,
    norms: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> None:
    """Finish q, k, v (T, (H + 2 KV) D): bias, norms, rotation. Queries stay, scaled; keys and values go to the cache as f16.

    where: positions (T), sequences (T), block tables (sequences, pages). store: one layer's part of the cache,
    (pages, KV, 2, 64, D); its first dimension may have any stride.
    """
    positions, sequences, pages = where
    q_norm, k_norm = norms if norms is not None else (qkv, qkv)
    _place[(len(qkv), heads[0] + 2 * heads[1])](
        qkv, qkv.stride(0), qkv if bias is None else bias, q_norm, k_norm, epsilon, graph.query_scale, table,
        positions, sequences, pages, pages.stride(0), store, store.stride(0), heads[0], heads[1],
        D=graph.head_dim, P=triton.next_power_of_2(graph.head_dim), ROTATED=graph.rotated, HALVES=graph.rope is Rope.HALVES,
        BIAS=bias is not None, NORM=norms is not None, num_warps=1,
    )  # fmt: skip
