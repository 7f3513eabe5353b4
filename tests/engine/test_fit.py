"""The prediction against a table worked out by hand, and its promises: more of anything never makes a model slower."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.engine.fit import GB, Kernel, Link, Machine, PassBytes, Share, Tier, lines, pass_time, predict
from freehold.engine.fit import size as shown

Q4_GB, Q6_GB = 41.92, 57.01  # that Llama 3.1 70B reads for a token: Q4_K_M, Q6_K
PCIE3_X8, PCIE4_X16 = 6.5, 25.0


def weights(size_gb: float, *, type_: str = "Q4_K", is_head: bool = False) -> Share:
    return Share(tier=Tier.RAM, type=type_, size_bytes=int(size_gb * GB), is_head=is_head)


def laid(size_gb: float, ram_gb: float, vram_gb: float = 0) -> PassBytes:
    """What fits lies in VRAM, then in memory; the rest on the disk."""
    on_disk = PassBytes(shares=(replace(weights(size_gb), tier=Tier.DISK),), kv_bytes_per_position=131072)
    return on_disk.moved(int(vram_gb * GB), Tier.VRAM, Tier.DISK).moved(int(ram_gb * GB), Tier.RAM, Tier.DISK)


def card_of_24_gb(disk: float, pcie: float) -> Machine:
    """Dual-channel memory at 38 GB/s, a card at 800."""
    return Machine(
        threads=8,
        kernels={"": Kernel(bytes_per_s=38e9, column_s_per_byte=0.0)},
        ram_bytes_per_s=38e9,
        disk_bytes_per_s=disk * 1e9,
        vram_bytes_per_s=800e9,
        pcie_bytes_per_s=pcie * 1e9,
    )


# (weights, RAM for them, PCIe, then for disks of 3.5, 7 and 14 GB/s: all on the card, where the bytes lie)
TABLE = [
    (Q4_GB, 0, PCIE3_X8, (5.83, 3.14, 3.14), (5.83, 2.92, 1.46)),
    (Q4_GB, 10, PCIE3_X8, (3.14, 3.14, 3.14), (2.98, 1.49, 0.74)),
    (Q4_GB, 10, PCIE4_X16, (2.98, 1.49, 0.82), (2.98, 1.49, 0.74)),
    (Q4_GB, 21, PCIE3_X8, (3.14, 3.14, 3.14), (0.56, 0.56, 0.56)),
    (Q6_GB, 0, PCIE3_X8, (10.15, 5.46, 5.46), (10.15, 5.07, 2.54)),
    (Q6_GB, 26, PCIE3_X8, (5.46, 5.46, 5.46), (2.72, 1.36, 0.96)),
    (Q6_GB, 26, PCIE4_X16, (2.72, 1.42, 1.42), (2.72, 1.36, 0.96)),
    (Q6_GB, 36, PCIE3_X8, (5.46, 5.46, 5.46), (0.96, 0.96, 0.96)),
]


@pytest.mark.parametrize(("size_gb", "ram_gb", "pcie", "on_card", "hybrid"), TABLE)
def test_seconds_a_token_are_those_of_the_table(
    size_gb: float, ram_gb: float, pcie: float, on_card: tuple[float, ...], hybrid: tuple[float, ...]
) -> None:
    placed = laid(size_gb, ram_gb, 21.5)
    for disk, all_s, hybrid_s in zip((3.5, 7.0, 14.0), on_card, hybrid, strict=True):
        machine = card_of_24_gb(disk, pcie)
        assert pass_time(machine, placed).seconds == pytest.approx(min(all_s, hybrid_s), abs=0.02)
        without_link = replace(machine, pcie_bytes_per_s=None)
        assert pass_time(without_link, placed).seconds == pytest.approx(hybrid_s, abs=0.02)


def two_cores(**changes: Any) -> Machine:
    known = {"Q4_K": Kernel(bytes_per_s=16e9, column_s_per_byte=6e-12), "Q6_K": Kernel(bytes_per_s=12e9, column_s_per_byte=5e-12)}
    machine = Machine(
        threads=2, kernels=known, ram_bytes_per_s=33e9, disk_bytes_per_s=2.8e9, check_bytes_per_s=5e9, read_cpu_s_per_byte=2e-11
    )
    return replace(machine, **changes)


def test_what_comes_from_the_disk_costs_the_cores_a_hash_and_a_read_as_well() -> None:
    resident, half = pass_time(two_cores(), laid(4.5, 5)), pass_time(two_cores(disk_bytes_per_s=1e12), laid(4.5, 2.25))
    extra_s = 2.25e9 * (1 / 5e9 + 2e-11) / 2
    assert half.seconds == pytest.approx(resident.seconds + extra_s, rel=1e-6)


def test_one_thread_that_checks_can_be_what_holds_a_pass_up() -> None:
    found = pass_time(two_cores(check_bytes_per_s=1e9, threads=64, disk_bytes_per_s=30e9), laid(4.5, 1))
    assert found.bottleneck is Link.CHECK


def test_each_link_is_named_when_it_is_the_slowest() -> None:
    assert pass_time(two_cores(), laid(4.5, 2)).bottleneck is Link.DISK
    assert pass_time(two_cores(), laid(4.5, 5)).bottleneck is Link.PROCESSOR
    assert pass_time(two_cores(ram_bytes_per_s=17e9), laid(4.5, 5)).bottleneck is Link.MEMORY
    assert pass_time(card_of_24_gb(7, 25), laid(4.5, 5).moved(4 * GB, Tier.VRAM, Tier.RAM)).bottleneck is Link.MEMORY
    assert pass_time(card_of_24_gb(7, 25), laid(4.5, 5).moved(5 * GB, Tier.VRAM, Tier.RAM)).bottleneck is Link.VRAM


def test_a_prompt_costs_a_pass_a_chunk_until_its_arithmetic_costs_more() -> None:
    bytes_ = laid(4.5, 2)
    short = predict(two_cores(), bytes_, prompt_tokens=4, chunk_tokens=4)
    assert short.first_token_s == pytest.approx(short.token_s, rel=0.05)
    long = predict(two_cores(), bytes_, prompt_tokens=1024, chunk_tokens=128)
    assert long.first_token_s > 4 * short.first_token_s
    larger_chunks = predict(two_cores(), bytes_, prompt_tokens=1024, chunk_tokens=1024)
    assert larger_chunks.first_token_s < long.first_token_s


def test_the_head_is_computed_once_a_prompt() -> None:
    body, head = weights(1.0), weights(0.2, is_head=True)
    both = PassBytes(shares=(body, head))
    alone = PassBytes(shares=(body,))
    twice = [predict(two_cores(), bytes_, prompt_tokens=256, chunk_tokens=128).first_token_s for bytes_ in (both, alone)]
    assert twice[0] - twice[1] == pytest.approx(0.2e9 / 16e9, rel=1e-3)


def test_experts_that_no_token_chose_are_not_read() -> None:
    share = replace(weights(40), experts=8, experts_used=2)
    assert share.read_bytes(1) == pytest.approx(10e9)
    assert share.read_bytes(4) == pytest.approx(40e9 * (1 - 0.75**4))
    assert share.read_bytes(1000) == pytest.approx(40e9)


@given(st.floats(0.1, 60), st.floats(0, 64), st.floats(0, 24), st.floats(0, 8), st.floats(0, 8))
def test_more_memory_never_makes_it_slower(size_gb: float, ram: float, vram: float, more_ram: float, more_vram: float) -> None:
    machine = replace(card_of_24_gb(3.5, 6.5), check_bytes_per_s=5e9, read_cpu_s_per_byte=2e-11)

    def token_s(ram_gb: float, vram_gb: float) -> float:
        return pass_time(machine, laid(size_gb, ram_gb, vram_gb)).seconds

    before = token_s(ram, vram)
    assert token_s(ram + more_ram, vram) <= before * (1 + 1e-9)
    # A card is faster than this memory, so moving bytes there helps as well.
    assert token_s(ram, vram + more_vram) <= before * (1 + 1e-9)


@given(st.floats(0.1, 60), st.floats(0, 64), st.floats(1, 4), st.integers(1, 64), st.integers(0, 4096))
def test_a_faster_disk_never_makes_it_slower(size_gb: float, ram_gb: float, faster: float, columns: int, positions: int) -> None:
    slow, fast = two_cores(), two_cores(disk_bytes_per_s=faster * 2.8e9)
    bytes_ = laid(size_gb, ram_gb)
    times = [pass_time(machine, bytes_, columns=columns, positions=positions).seconds for machine in (slow, fast)]
    assert times[1] <= times[0] * (1 + 1e-9)


@given(st.floats(0.1, 60), st.floats(0.1, 20), st.floats(0, 64), st.floats(0, 24))
def test_no_byte_is_lost_in_moving(size_gb: float, other_gb: float, ram_gb: float, vram_gb: float) -> None:
    both = PassBytes(shares=(weights(size_gb), weights(other_gb, type_="Q6_K", is_head=True)))
    moved = both.moved(int(vram_gb * GB), Tier.VRAM, Tier.DISK, Tier.RAM).moved(int(ram_gb * GB), Tier.DISK, Tier.RAM)
    assert moved.size_bytes == both.size_bytes
    assert moved.of(Tier.VRAM) <= vram_gb * GB
    assert {(share.type, share.is_head) for share in moved.shares} == {("Q4_K", False), ("Q6_K", True)}


def test_what_one_more_gigabyte_buys_is_what_the_same_machine_with_it_takes() -> None:
    found = predict(two_cores(), laid(4.5, 2), prompt_tokens=100)
    assert found.with_more_ram_s == pytest.approx(predict(two_cores(), laid(4.5, 3), prompt_tokens=100).token_s)
    assert found.with_faster_disk_s is not None
    assert found.with_faster_disk_s < found.token_s
    assert found.with_more_vram_s is None


def test_a_model_that_fits_says_so_and_has_nothing_to_gain_from_a_disk() -> None:
    found = predict(two_cores(), laid(4.5, 5))
    assert found.fits
    assert found.with_more_ram_s is found.with_faster_disk_s is None
    assert "fits: yes: nothing is streamed" in lines(found)


def test_an_unknown_rate_makes_a_lower_bound_that_says_it_is_one() -> None:
    found = predict(two_cores(disk_bytes_per_s=None), laid(4.5, 2))
    assert found.unknown == (Link.DISK,)
    said = lines(found)
    assert any("at least" in line for line in said)
    assert "not known here: how fast this is: disk" in said


def test_more_threads_scale_arithmetic_up_to_what_memory_gives() -> None:
    found = two_cores().with_threads(8)
    assert found.kernels["Q4_K"].bytes_per_s == 33e9
    assert found.kernels["Q4_K"].column_s_per_byte == pytest.approx(6e-12 / 4)
    assert two_cores().with_threads(1).kernels["Q4_K"].bytes_per_s == pytest.approx(8e9)


def test_the_lines_are_short_and_say_one_fact_each() -> None:
    said = lines(predict(two_cores(), laid(41.92, 20), prompt_tokens=512))
    assert said[0] == "a token reads: 41.9 GB: 20 GB in memory, 21.9 GB streamed from the disk"
    assert "bottleneck: the disk, 2.8 GB/s" in said
    assert any(line.startswith("1 GB more memory: ") for line in said)
    assert any(line.startswith("a disk twice as fast: ") for line in said)
    assert all(len(line) < 100 for line in said)


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 bytes"), (98e6, "98 MB"), (999e6, "999 MB"), (4.49e9, "4.49 GB"), (1.2e12, "1.2 TB")]
)
def test_sizes_have_three_digits(size_bytes: float, text: str) -> None:
    assert shown(size_bytes) == text
