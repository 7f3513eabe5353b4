"""A model that is read from disk in part computes what it computes in memory, bit for bit, and nothing from wrong bytes."""

import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import DeviceError, FreeholdError, InternalError, VerificationError
from freehold.core.models import VerifiedModel
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import SLOTS, Placement, place
from freehold.engine.weights import Weights
from tests.engine.models.tiny import Tiny, batch, tiny
from tests.engine.models_on_disk import verified_model
from tests.fakes.tiny_gguf import pack_string, pack_tensor, pack_value

Logits = npt.NDArray[np.float32]
PROMPT = np.random.default_rng(4).integers(0, 301, 70).astype(np.int32)
MODELS: dict[str, Tiny] = {
    "tied": tiny("llama", TensorType.Q4_1, block_count=3),
    "untied": tiny("qwen2", TensorType.Q4_K, tied=False, block_count=3),
}
EVERYTHING = 1 << 40


def gguf_of(model: Tiny) -> bytes:
    table, data = b"", b""
    for tensor in model.tensors.values():
        table += pack_tensor(tensor.name, tensor.shape, tensor.type, len(data))
        data += tensor.data.tobytes() + bytes(-tensor.data.nbytes % 32)
    keys = b"".join(pack_string(key) + pack_value(value) for key, value in model.metadata.items())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(model.tensors), len(model.metadata)) + keys + table
    return head + bytes(-len(head) % 32) + data


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VerifiedModel:
    return verified_model(tmp_path_factory.mktemp(request.param), gguf_of(MODELS[request.param]))


@pytest.fixture
def own(tmp_path: Path) -> VerifiedModel:
    """One to be damaged."""
    return verified_model(tmp_path, gguf_of(MODELS["untied"]))


def loaded(
    model: VerifiedModel, memory_bytes: int, *, tile_bytes: int = 20_000, threads: int = 1, slots: int = SLOTS
) -> tuple[Llama, Placement]:
    weights = Weights(model)
    shape = shape_of(weights.header.metadata, weights.header.tensors)
    placement = place(shape.order(), weights.header.tensors, memory_bytes, tile_bytes=tile_bytes)
    found = weights.load(lambda *_: None, placement, slots=slots)
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, 12, 4, 4)
    return Llama(shape, found.tensors, cache, threads, streaming=found.streaming), placement


def answer(llama: Llama, cuts: list[int], mates: int = 0) -> Logits:
    """Logits of PROMPT in chunks of these sizes, in passes shared with other sequences."""
    sequences = [llama.cache.open() for _ in range(1 + mates)]
    for sequence in sequences:
        llama.cache.reserve(sequence, len(PROMPT))
    rows, at = [], 0
    for size in cuts:
        part = PROMPT[at : at + size]
        step = batch(*((sequence, at, part if i == 0 else part[::-1].copy()) for i, sequence in enumerate(sequences)))
        rows.append(llama.step(step)[step.sequences == sequences[0]])
        at += size
    for sequence in sequences:
        llama.cache.free(sequence)
    return np.concatenate(rows)


def cut(sizes: list[int]) -> list[int]:
    out: list[int] = []
    while sum(out) < len(PROMPT):
        out.append(min(sizes[len(out) % len(sizes)], len(PROMPT) - sum(out)))
    return out


def one_token(llama: Llama) -> Callable[[], Logits]:
    """Computes the same position anew with each call."""
    sequence = llama.cache.open()
    llama.cache.reserve(sequence, 1)
    step = batch((sequence, 0, PROMPT[:1]))
    return lambda: llama.step(step)


def twice(compute: Callable[[], Logits], expected: Logits | None = None) -> None:
    """What was read ahead before a file changed may serve one pass more."""
    for _ in range(2):
        found = compute()
        assert expected is None or np.array_equal(found, expected)


@pytest.fixture(scope="module")
def expected(model: VerifiedModel) -> Logits:
    llama, placement = loaded(model, EVERYTHING)
    assert placement.is_whole
    found = answer(llama, [len(PROMPT)])
    llama.close()
    return found


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    share=st.floats(0, 1.2),
    tile_bytes=st.sampled_from([1, 9_000, 60_000, 8 << 20]),
    threads=st.integers(1, 2),
    sizes=st.lists(st.integers(3, 70), min_size=1, max_size=3),
    mates=st.integers(0, 2),
)
def test_where_the_weights_lie_does_not_change_a_bit(
    model: VerifiedModel, expected: Logits, share: float, tile_bytes: int, threads: int, sizes: list[int], mates: int
) -> None:
    size_bytes = model.manifest.files[0].size_bytes
    llama, _ = loaded(model, int(share * size_bytes), tile_bytes=tile_bytes, threads=threads)
    assert np.array_equal(answer(llama, cut(sizes), mates), expected)
    llama.close()


@pytest.mark.parametrize(("slots", "threads"), [(2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("tile_bytes", [1, 30_000])
def test_the_smallest_ring_does_not_stand_still(
    model: VerifiedModel, expected: Logits, slots: int, threads: int, tile_bytes: int
) -> None:
    llama, placement = loaded(model, 0, tile_bytes=tile_bytes, threads=threads, slots=slots)
    assert all(placement.is_streamed)
    found: list[Logits] = []
    working = threading.Thread(target=lambda: found.append(answer(llama, cut([35, 1, 34]))), daemon=True)
    working.start()
    working.join(timeout=60)
    assert not working.is_alive()
    assert np.array_equal(found[0], expected)
    llama.close()


def read_by_this_process() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def test_a_pass_reads_what_is_streamed_and_no_more(model: VerifiedModel) -> None:
    llama, placement = loaded(model, 800_000)
    assert 0 < placement.streamed_bytes < placement.pass_bytes
    compute = one_token(llama)
    compute()
    settled(llama)
    before, on_disk = llama.stream_stats(), read_by_this_process()
    for _ in range(5):
        compute()
    settled(llama)
    after = llama.stream_stats()
    assert before is not None
    assert after is not None
    assert after.read_bytes - before.read_bytes == 5 * placement.streamed_bytes
    sectors = 5 * len(placement.streamed) * 2 * 4096  # that tiles begin and end in
    # Less where the file system has no O_DIRECT: nothing there is said of the disk.
    assert read_by_this_process() - on_disk <= 5 * placement.streamed_bytes + sectors
    llama.close()


def settled(llama: Llama) -> None:
    """Until the ring is full."""
    seen = -1
    while (stats := llama.stream_stats()) and stats.tiles != seen:
        seen = stats.tiles
        threading.Event().wait(0.05)


def test_a_pass_without_logits_does_not_read_the_head(model: VerifiedModel) -> None:
    llama, placement = loaded(model, 0)
    one_token(llama)
    step = batch((0, 0, PROMPT[:1]))
    unwanted = Batch(tokens=step.tokens, positions=step.positions, sequences=step.sequences, wants_logits=np.zeros(1, np.bool_))
    llama.step(step)
    settled(llama)
    before = llama.stream_stats()
    for _ in range(3):
        assert llama.step(unwanted).shape[0] == 0
    settled(llama)
    after = llama.stream_stats()
    head = sum(tile.size_bytes for tile in placement.tiles if tile.use == placement.tiles[-1].use)
    assert before is not None
    assert after is not None
    assert after.read_bytes - before.read_bytes == 3 * (placement.streamed_bytes - head)
    llama.close()


# ---- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.fixture
def streamed(own: VerifiedModel) -> Iterator[tuple[Llama, Placement, Path]]:
    llama, placement = loaded(own, 0, threads=2)
    yield llama, placement, own.directory / "model.gguf"
    llama.close()


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
        file.flush()
        os.fsync(file.fileno())


@pytest.mark.parametrize("which", [0, 4, 7, -1], ids=str)
def test_a_bit_that_changes_on_disk_is_caught_before_a_token_comes_of_it(
    streamed: tuple[Llama, Placement, Path], which: int
) -> None:
    llama, placement, path = streamed
    compute = one_token(llama)
    expected = compute()
    tile = placement.streamed[which]
    settled(llama)
    flip(path, tile.end - 1)
    with pytest.raises(VerificationError, match=rf"model\.gguf, bytes {tile.offset} to {tile.end}, are not what they were"):
        twice(compute, expected)
    with pytest.raises(VerificationError):
        twice(compute, expected)
    flip(path, tile.end - 1)
    for _ in range(3):  # the bytes are right again: so are the tokens
        assert np.array_equal(compute(), expected)


def test_a_changed_embedding_row_is_caught_when_it_is_asked_for(streamed: tuple[Llama, Placement, Path]) -> None:
    llama, _, path = streamed
    sequence = llama.cache.open()
    llama.cache.reserve(sequence, 1)
    table = MODELS["untied"].tensors["token_embd.weight"]
    flip(path, path.read_bytes().index(table.data.tobytes()) + table.data.nbytes - 1)
    llama.step(batch((sequence, 0, np.array([1], np.int32))))
    with pytest.raises(VerificationError, match="are not what they were"):
        llama.step(batch((sequence, 0, np.array([300], np.int32))))
    llama.step(batch((sequence, 0, np.array([1], np.int32))))


def test_a_file_cut_short_is_a_device_error(streamed: tuple[Llama, Placement, Path]) -> None:
    llama, placement, path = streamed
    compute = one_token(llama)
    compute()
    os.truncate(path, placement.tiles[3].offset + 100)
    with pytest.raises(DeviceError, match=r"model\.gguf ended at byte \d+ of \d+ while it was read"):
        twice(compute)


def test_a_file_replaced_by_another_is_not_looked_at(streamed: tuple[Llama, Placement, Path]) -> None:
    llama, _, path = streamed
    compute = one_token(llama)
    expected = compute()
    other = path.with_name("other")
    other.write_bytes(b"something else")
    other.replace(path)
    for _ in range(3):
        assert np.array_equal(compute(), expected)


def test_a_disk_that_fails_and_comes_back(streamed: tuple[Llama, Placement, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    llama, _, _ = streamed
    compute = one_token(llama)
    expected = compute()

    def fails(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", fails)
        with pytest.raises(DeviceError, match=r"reading model\.gguf failed at byte \d+: Input/output error; check the disk"):
            twice(compute)
    assert np.array_equal(compute(), expected)


def test_file_systems_without_direct_reads_stream_too(own: VerifiedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    llama, _ = loaded(own, EVERYTHING)
    expected = one_token(llama)()
    llama.close()
    monkeypatch.delattr(os, "O_DIRECT")
    llama, _ = loaded(own, 0)
    assert np.array_equal(one_token(llama)(), expected)
    llama.close()


def test_a_model_closed_while_a_pass_waits_for_its_disk(own: VerifiedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    llama, _ = loaded(own, 0)
    compute = one_token(llama)
    compute()
    gate, read, found = threading.Event(), os.preadv, []

    def waits(*arguments: Any) -> int:
        gate.wait()
        return read(*arguments)

    def step() -> None:
        try:
            twice(compute)
        except InternalError as exc:
            found.append(exc.message)

    monkeypatch.setattr(os, "preadv", waits)
    stepping = threading.Thread(target=step)
    stepping.start()
    while llama.stream_stats() and not llama._passing.locked():
        pass
    closing = threading.Thread(target=llama.close)
    closing.start()
    stepping.join(timeout=30)
    assert not stepping.is_alive()
    gate.set()
    closing.join(timeout=30)
    assert not closing.is_alive()
    assert found == ["the model was closed while it computed"] or found == ["the weights have been closed"]
    with pytest.raises(InternalError, match="closed"):
        compute()


@pytest.mark.parametrize("failed", [False, True])
def test_no_thread_and_no_descriptor_is_left(own: VerifiedModel, failed: bool) -> None:
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    llama, placement = loaded(own, 0, threads=2)
    compute = one_token(llama)
    compute()
    if failed:
        flip(own.directory / "model.gguf", placement.tiles[5].offset)
        with pytest.raises(FreeholdError):
            twice(compute)
    llama.close()
    llama.close()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, descriptors)


def test_a_file_that_is_not_the_signed_one_leaves_nothing_open(own: VerifiedModel) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    path = own.directory / "model.gguf"
    flip(path, path.stat().st_size - 1)
    with pytest.raises(VerificationError):
        loaded(own, 0)
    assert len(os.listdir("/proc/self/fd")) == descriptors


# ---- some of the layers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [0, 1, 2, 3])
def test_layers_computed_by_two_models_give_what_one_computes(model: VerifiedModel, expected: Logits, where: int) -> None:
    weights = Weights(model)
    shape = shape_of(weights.header.metadata, weights.header.tensors)
    tensors = weights.load(lambda *_: None).tensors
    parts = []
    for layers in (range(where), range(where, shape.layers)):
        cache = KvCache(len(layers), shape.kv_heads, shape.head_dim, 2, 1, 2)
        cache.reserve(cache.open(), len(PROMPT))
        parts.append(Llama(shape, tensors, cache, 1, layers=layers))
    step = batch((0, 0, PROMPT))
    unwanted = Batch(
        tokens=step.tokens, positions=step.positions, sequences=step.sequences, wants_logits=np.zeros(len(PROMPT), np.bool_)
    )
    residual, _ = parts[0].run(unwanted)
    _, logits = parts[1].run(step, residual)
    assert np.array_equal(logits, expected)
    for part in parts:
        part.close()
