"""Kernels of the GPU tier: right against their references, and their rates beside what the card was measured to give."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from freehold.engine.gpu import attention, elementwise, multiply
from freehold.engine.gpu.suited import SUPPORTED
from freehold.engine.gpu.unpack import FLOATS
from freehold.engine.kernels import reference
from freehold.engine.kernels.graph import Activation, Graph, Rope
from freehold.engine.tensor_types import TensorType

CARD = torch.device("cuda")
# Where in a block its f16 numbers lie, and about what they are.
_HALVES: dict[TensorType, tuple[tuple[int, float], ...]] = {
    TensorType.Q4_0: ((0, 0.02),),
    TensorType.Q4_1: ((0, 0.02), (2, -0.15)),
    TensorType.Q5_0: ((0, 0.01),),
    TensorType.Q5_1: ((0, 0.01), (2, -0.15)),
    TensorType.Q8_0: ((0, 0.002),),
    TensorType.Q4_K: ((0, 0.0005), (2, 0.003)),
    TensorType.Q5_K: ((0, 0.0003), (2, 0.003)),
    TensorType.Q6_K: ((208, 0.0001),),
}


def random_rows(seed: int, type_: TensorType, rows: int, length: int) -> torch.Tensor:
    """(rows, bytes) on the card. Any bytes are weights, once the f16 numbers among them are."""
    generator = torch.Generator(CARD).manual_seed(seed)
    if type_ in FLOATS:
        floats = torch.randn((rows, length), device=CARD, generator=generator) * 0.1
        return floats.to(FLOATS[type_]).view(torch.uint8).view(rows, -1)
    shape = (rows * length // type_.block_elements, type_.block_bytes)
    blocks = torch.randint(0, 256, shape, dtype=torch.uint8, device=CARD, generator=generator)
    for offset, value in _HALVES[type_]:
        halves = (torch.rand(len(blocks), device=CARD, generator=generator) * 0.5 + 0.5) * value
        blocks[:, offset : offset + 2] = halves.half().view(torch.uint8).view(-1, 2)
    return blocks.view(rows, -1)


def timed(calls: Sequence[Callable[[], Any]], repeats: int = 20) -> float:
    """Seconds of one call, the median over `repeats`. Several calls with data of their own keep the card's cache out of it."""
    for call in calls:
        call()
    torch.cuda.synchronize()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    graph.replay()
    for begin, end in events:
        begin.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize()
    return float(median(begin.elapsed_time(end) for begin, end in events)) / 1e3 / len(calls)


def copy_rate() -> float:
    """Bytes read and written a second."""
    source = torch.zeros(1 << 28, dtype=torch.int32, device=CARD)
    target = torch.empty_like(source)
    return 8 * len(source) / timed([lambda: torch.add(source, 1, out=target)])  # a plain copy may go to a slower engine


def matrix_rate() -> float:
    a, b = (torch.randn((8192, 8192), device=CARD, dtype=torch.bfloat16) for _ in range(2))
    return 2 * 8192**3 / timed([lambda: a @ b], 10)


def link_rate(chunk_bytes: int = 64 << 20, chunks: int = 16) -> float:
    source, target = (
        torch.empty(chunk_bytes, dtype=torch.uint8, pin_memory=True),
        torch.empty(chunk_bytes, dtype=torch.uint8, device=CARD),
    )
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    target.copy_(source, non_blocking=True)
    begin.record()
    for _ in range(chunks):
        target.copy_(source, non_blocking=True)
    end.record()
    torch.cuda.synchronize()
    return float(chunks * chunk_bytes / (begin.elapsed_time(end) / 1e3))


# ---- right? -------------------------------------------------------------------------------------------------------


def columns_of(x: npt.NDArray[np.float32]) -> multiply.Columns:
    columns = multiply.Columns(len(x), x.shape[1], CARD)
    q, scales = reference.quantise(x)
    sums = q.reshape(len(x), -1, 16).astype(np.int32).sum(-1)
    halves, wholes = sums * np.repeat(scales, 2, 1), sums.reshape(len(x), -1, 2).sum(-1) * scales
    given = ((columns.x, x), (columns.half, x), (columns.q, q), (columns.xs, scales), (columns.hs, halves), (columns.bs, wholes))
    for place, values in given:
        place.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    return columns


def off(out: torch.Tensor, expected: npt.NDArray[Any]) -> float:
    """Relative error, as a norm; NaN where anything is."""
    found = out.double().cpu().numpy()
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def limit(name: str) -> float:
    """How far off a result may be: f32 sums, bf16 weights and activations, f16 keys and queries."""
    return {"expand": 3e-3, "prompt": 6e-3, "bytes": 2e-3}.get(name, 2e-3 if " " in name else 2e-5)


def check_type(type_: TensorType) -> dict[str, float]:
    """Of rows as in the file, then in planes; and the timed shapes, compiled once for all processes."""
    raw, planes = check_multiply(type_, multiply.as_landed, 1), check_multiply(type_, multiply.resident, 2)
    for laid_out in (multiply.as_landed, multiply.resident):
        for length in (8192, 4096):
            matrix = laid_out(type_, length, 64, random_rows(1, type_, 64, length).reshape(-1))
            for count in (1, 4, 16):
                given, out = multiply.Columns(count, length, CARD), torch.empty((count, 64), device=CARD)
                multiply.multiply(matrix, given, 0, count, out)
    return {name: max(error, planes[name]) for name, error in raw.items()}


def check_multiply(type_: TensorType, laid_out: Callable[..., multiply.DeviceMatrix], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    rows, length = 203, 2816
    blocks = random_rows(seed, type_, rows, length)
    matrix = laid_out(type_, length, rows, blocks.reshape(-1))
    x = rng.normal(0, 1, (19, length)).astype(np.float32)
    columns, host = columns_of(x), blocks.cpu().numpy()
    errors = {}
    expected = reference.multiply(type_, host, x)
    previous: torch.Tensor | None = None
    for count in (1, 3, 16):
        out = torch.full((count, rows), torch.nan, device=CARD)
        multiply.multiply(matrix, columns, 2, count, out)
        errors[str(count)] = off(out, expected[2 : 2 + count])
        if previous is not None and not torch.equal(previous[0], out[0]):
            errors[str(count)] = float("nan")  # a column's bits must not depend on the columns beside it
        previous = out
    weights = torch.full((rows, length), torch.nan, device=CARD, dtype=torch.bfloat16)
    multiply.expand(matrix, 0, rows, weights)
    errors["expand"] = off(weights, reference.dequantise(type_, host))
    out = torch.full((19, rows), torch.nan, device=CARD)
    multiply.product(columns.half, weights, out)
    many = torch.cat([columns.half, torch.randn((300, length), device=CARD).bfloat16()])
    beside = torch.empty((len(many), rows), device=CARD)
    multiply.product(many, weights, beside)
    if not torch.equal(out, beside[:19]):
        out.fill_(torch.nan)  # nor on how long the prompt is
    errors["prompt"] = off(out, x.astype(np.float64) @ reference.dequantise(type_, host).astype(np.float64).T)
    return errors


def check_elementwise(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    x, delta, weight = (rng.normal(0, 1, shape).astype(np.float32) for shape in ((7, 2880), (7, 2880), (2880,)))
    stream, out = torch.from_numpy(x.copy()).to(CARD), multiply.Columns(7, 2880, CARD)
    elementwise.normalise(stream, torch.from_numpy(weight).to(CARD), 1e-5, out, torch.from_numpy(delta).to(CARD))
    normed = reference.rms_norm(x + delta, weight, 1e-5)
    errors = {"norm": off(out.x, normed), "bytes": off(_rounded(out), reference.rounded(normed))}
    pair = rng.normal(0, 2, (7, 5760)).astype(np.float32)
    elementwise.gate(torch.from_numpy(pair).to(CARD), Activation.SILU, out)
    errors["gate"] = off(out.x, reference.silu(pair[:, :2880]) * pair[:, 2880:])
    return errors


def _rounded(columns: multiply.Columns) -> torch.Tensor:
    return (columns.q.view(len(columns.q), -1, 32).float() * columns.xs[..., None]).view(len(columns.q), -1)


def check_attention(seed: int, head_dim: int, prompt: bool) -> dict[str, float]:
    """From raw q, k and v through the cache to what is attended."""
    rng, heads, kv, length = np.random.default_rng(seed), 16, 4, 700
    count = 61 if prompt else 3
    positions = np.arange(length - count, length)
    qkv = rng.normal(0, 1, (length, (heads + 2 * kv) * head_dim)).astype(np.float32)
    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(head_dim // 2) / (head_dim // 2))
    table = np.empty((length, 2, head_dim), np.float32)
    table[:, 0], table[:, 1] = np.repeat(np.cos(angles), 2, 1), np.repeat(np.sin(angles), 2, 1)
    table[:, 1, 0::2] *= -1
    graph = Graph(head_dim=head_dim, rotated=head_dim, query_scale=head_dim**-0.5, rope=Rope.INTERLEAVED)
    pages = torch.from_numpy(np.random.default_rng(seed).permutation(16).astype(np.int32)[None]).to(CARD)
    store = torch.full((16, kv, 2, 64, head_dim), torch.nan, dtype=torch.float16, device=CARD)
    where = (torch.arange(length, dtype=torch.int32, device=CARD), torch.zeros(length, dtype=torch.int32, device=CARD), pages)
    buffer = torch.from_numpy(qkv.copy()).to(CARD)
    elementwise.place(buffer, graph, (heads, kv), torch.from_numpy(table).to(CARD), where, store, epsilon=1e-5)
    q, k, v = (part.reshape(length, -1, head_dim) for part in np.split(qkv, [heads * head_dim, (heads + kv) * head_dim], 1))
    q, k = reference.turn(q, angles, Rope.INTERLEAVED), reference.turn(k, angles, Rope.INTERLEAVED)
    expected = reference.attend(q[positions], k, v, positions)
    each = attention.PROMPT_ROWS // (heads // kv) if prompt else 1
    firsts = torch.arange(0, count, each, dtype=torch.int32, device=CARD)
    counts = torch.clamp(count - firsts, max=each).int()
    tiles = attention.Tiles(firsts, counts, each, 1 if prompt else 6, 1 << 20 if prompt else 2)
    out, partials = (
        multiply.Columns(count, heads * head_dim, CARD),
        attention.Partials(count, heads, tiles.shares, head_dim, CARD),
    )
    here = (where[0][length - count :], where[1][:count], pages)
    attention.attend(buffer[length - count :], graph, (heads, kv), tiles, here, store, partials, out)
    return {f"{'prompt' if prompt else 'answer'} {head_dim}": off(out.x, expected.reshape(count, -1))}


# ---- fast? --------------------------------------------------------------------------------------------------------


def matrix_bytes(type_: TensorType, rows: int, length: int) -> int:
    return rows * type_.row_bytes(length)


def multiply_rate(
    type_: TensorType, rows: int, length: int, columns: int, *, planes: bool = True, tuning: multiply.Tuning | None = None
) -> float:
    """Bytes of blocks a second."""
    size = matrix_bytes(type_, rows, length)
    copies = max(2, -(-300_000_000 // size))
    lay_out = multiply.resident if planes else multiply.as_landed
    matrices = [lay_out(type_, length, rows, random_rows(i, type_, rows, length).reshape(-1)) for i in range(copies)]
    given = columns_of(np.random.default_rng(1).normal(0, 1, (columns, length)).astype(np.float32))
    out = torch.empty((columns, rows), device=CARD)
    return size / timed([partial(multiply.multiply, matrix, given, 0, columns, out, tuning) for matrix in matrices])


def prompt_rate(type_: TensorType, tokens: int, rows: int, length: int, **tuning: Any) -> tuple[float, float, float]:
    """Operations a second of expanding and multiplying, of the product alone, and of the library's product."""
    matrix = multiply.resident(type_, length, rows, random_rows(1, type_, rows, length).reshape(-1))
    x = torch.randn((tokens, length), device=CARD).bfloat16()
    weights = torch.empty((rows, length), device=CARD, dtype=torch.bfloat16)
    out = torch.empty((tokens, rows), device=CARD)
    work = 2.0 * tokens * rows * length
    multiply.expand(matrix, 0, rows, weights)
    spread = timed([lambda: multiply.expand(matrix, 0, rows, weights)])
    ours = timed([lambda: multiply.product(x, weights, out, **tuning)])
    library = timed([lambda: x @ weights.T])
    return work / (spread + ours), work / ours, work / library


def attention_rate(context: int, sequences: int, share_pages: int = 8) -> float:
    """Bytes of keys and values a second."""
    heads, kv, head_dim = 32, 8, 128
    pages_each = -(-context // 64)
    store = torch.randn((pages_each * sequences, kv, 2, 64, head_dim), device=CARD).half()
    pages = torch.arange(pages_each * sequences, dtype=torch.int32, device=CARD).view(sequences, -1)
    positions = torch.full((sequences,), context - 1, dtype=torch.int32, device=CARD)
    where = (positions, torch.arange(sequences, dtype=torch.int32, device=CARD), pages)
    graph = Graph(head_dim=head_dim, rotated=head_dim, query_scale=head_dim**-0.5)
    shares = -(-pages_each // share_pages)
    tiles = attention.Tiles(
        torch.arange(sequences, dtype=torch.int32, device=CARD),
        torch.ones(sequences, dtype=torch.int32, device=CARD),
        1,
        shares,
        share_pages,
    )
    out, partials = (
        multiply.Columns(sequences, heads * head_dim, CARD),
        attention.Partials(sequences, heads, shares, head_dim, CARD),
    )
    queries = torch.randn((sequences, (heads + 2 * kv) * head_dim), device=CARD)
    size = int(store.numel()) * 2
    return size / timed([lambda: attention.attend(queries, graph, (heads, kv), tiles, where, store, partials, out)] * 4)


TYPES = sorted(SUPPORTED)
