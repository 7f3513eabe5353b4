"""The ring of streamed tiles, by itself: the test stands in for the kernels that use tiles up."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from freehold.core.models import VerifiedModel
from freehold.engine import runtime as runtime_module
from freehold.engine.kernels.records import Tile as Record
from freehold.engine.ring import Ring
from tests.engine.models_on_disk import verified_model
from tests.engine.test_runtime import runtime
from tests.engine.test_runtime_streamed import everything_streamed
from tests.fakes.tiny_gguf import tiny_gguf

HEAD = 0  # the group of the matrix that gives logits
LONG_S = 20.0


@pytest.fixture
def ring(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    model: VerifiedModel = verified_model(tmp_path, tiny_gguf())
    monkeypatch.setattr(runtime_module, "plan", everything_streamed)
    made: Any = runtime(model, threads=1)
    yield made.model._streaming._ring
    made.model.close()


def use(ring: Ring, number: int, *, of_head: bool) -> None:
    """What a pass does with the tiles of the layers, or of the head: waits for each, and uses all of its rows."""
    for record, tile, group in zip(ring._records, ring._tiles, ring._groups, strict=True):
        if (group == HEAD) is of_head:
            until_s = time.monotonic() + LONG_S
            while record[Record.ARRIVED] < number:
                assert time.monotonic() < until_s, f"{tile.use} from row {tile.first_row} never came for pass {number}"
                time.sleep(0.0005)
            record[Record.DONE] += tile.rows
            ring._notify()


def test_what_the_next_pass_wants_is_not_read_for_one_that_ended_without_it(ring: Ring) -> None:
    """A pass without logits may end, and the next begin, before the reader comes to the head for the first of the two."""
    head = [record for record, group in zip(ring._records, ring._groups, strict=True) if group == HEAD]
    assert len(head) > len(ring._slots) / 2
    use(ring, 1, of_head=False)
    for record in head:
        record[Record.WANTED] = 2  # as `begin` of pass 2 does, before the reader has looked for pass 1
    ring.begin(1, {HEAD: False})
    ring.begin(2, {HEAD: True})
    use(ring, 2, of_head=False)
    use(ring, 2, of_head=True)
    ring.end()
    assert all(record[Record.ARRIVED] == 2 for record in head)
    assert [int(record[Record.DONE]) for record in ring._records] == [2 * tile.rows for tile in ring._tiles]
