"""The bound of a model that is streamed: by hand, and by the engine's own prediction on the same machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.core.links import slowest
from freehold.engine.fit import Machine, PassBytes, Share, Tier, pass_time
from freehold.plan.catalogue import find
from freehold.plan.streaming import QUANTISATIONS, USABLE, Host, bound_s, stream, stream_range

GB = 10**9
RATES = st.floats(0.1, 5000)
SIZES = st.integers(0, 500)


@given(SIZES, SIZES, SIZES, RATES, RATES, RATES, RATES)
def test_the_engine_predicts_the_same_of_the_same_machine(
    card: int, memory: int, disk: int, card_rate: float, memory_rate: float, link: float, disk_rate: float
) -> None:
    """Without what the engine knows besides: kernels, checks, system calls."""
    card += 1  # something lies on the card
    machine = Machine(
        threads=1,
        ram_bytes_per_s=memory_rate * GB,
        disk_bytes_per_s=disk_rate * GB,
        vram_bytes_per_s=card_rate * GB,
        pcie_bytes_per_s=link * GB,
    )
    places = ((Tier.VRAM, card), (Tier.RAM, memory), (Tier.DISK, disk))
    bytes_ = PassBytes(shares=tuple(Share(tier=tier, type="Q8_0", size_bytes=size * GB) for tier, size in places if size))
    host = Host(link_gb_per_s=link, memory_gb_per_s=memory_rate, disk_gb_per_s=disk_rate)
    assert bound_s(card, memory, disk, card_rate, host)[0] == pytest.approx(pass_time(machine, bytes_).seconds, rel=1e-9)


def test_a_70b_on_one_rtx_3090() -> None:
    card = find("RTX 3090")
    for name, expected in (("Q6_K", 0.17), ("Q4_K_M", 0.28)):
        one = stream(70.6e9, name, card, Host(link_gb_per_s=6.5))
        assert one.tokens_per_s == pytest.approx(expected, abs=0.005)
        assert one.bound == "the link"
    assert stream(7e9, "Q4_K_M", card).streamed_gb == 0
    together = stream(70.6e9, "Q4_K_M", card, Host(link_gb_per_s=6.5, memory_gb_per_s=60.0))
    assert together.tokens_per_s > 1
    assert together.bound == "the machine's memory"


def test_what_memory_does_not_hold_comes_from_the_disk() -> None:
    card = find("RTX 3090")
    with pytest.raises(InvalidRequest, match="say what the disk reads"):
        stream(70.6e9, "Q4_K_M", card, Host(memory_gb=8))
    one = stream(70.6e9, "Q4_K_M", card, Host(memory_gb=8, disk_gb_per_s=2.0))
    assert one.memory_gb == 8
    assert one.disk_gb == pytest.approx(70.6 * 4.82 / 8 - USABLE * 24 - 8)
    assert one.tokens_per_s == pytest.approx(2.0 / one.disk_gb)
    assert one.bound == "the disk"


@given(st.floats(1e9, 1e12), st.sampled_from(sorted(QUANTISATIONS)), RATES, RATES)
def test_a_faster_link_is_never_slower(parameters: float, name: str, slow: float, faster: float) -> None:
    card = find("RTX 4090")
    rates = sorted((slow, faster))
    tokens = [stream(parameters, name, card, Host(link_gb_per_s=rate)).tokens_per_s for rate in rates]
    assert tokens[0] <= tokens[1]


def test_an_engine_reaches_part_of_the_bound() -> None:
    card, host = find("RTX 3090"), Host(memory_gb=8, disk_gb_per_s=2.0)
    found = stream(70.6e9, "Q4_K_M", card, host)
    spread = stream_range(found, card, host)
    assert spread.p10 < spread.p50 < found.tokens_per_s
    assert spread.bars[0].name in ("the disk", "of the bound")


@pytest.mark.parametrize(
    ("parameters", "name", "host"),
    [
        (-1.0, "Q8_0", Host()),
        (float("nan"), "Q8_0", Host()),
        (7e9, "Q1_X", Host()),
        (7e9, "Q8_0", Host(link_gb_per_s=0.0)),
        (7e9, "Q8_0", Host(disk_gb_per_s=float("nan"))),
        (7e9, "Q8_0", Host(memory_gb=-1.0)),
    ],
)
def test_absurd_machines_are_refused(parameters: float, name: str, host: Host) -> None:
    with pytest.raises(InvalidRequest):
        stream(parameters, name, find("RTX 3090"), host)


def test_what_waits_adds_up_and_what_works_at_once_hides() -> None:
    assert slowest({"disk": 3.0, "check": 1.0}, {"card": 1.0, "memory": 1.5}) == (3.0, "disk")
    assert slowest({"disk": 2.0}, {"card": 1.0, "memory": 1.5}) == (2.5, "memory")
    assert slowest({}, {"card": 1.0}) == (1.0, "card")
