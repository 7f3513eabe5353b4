"""How fast a model will be on a machine, from sizes and rates alone. Does no I/O, measures nothing.

A pass over the weights serves every token that is computed in it. Its bytes lie in three tiers, and each link between the tiers
and the arithmetic works at the same time as the others, so a pass takes as long as its slowest link:

    disk  D ---- b_disk ----+                        computed where they lie   T = max(D / b_disk, V / b_vram + (R + D) / b_cpu)
                            v                        all on the card           T = max(D / b_disk, (R + D) / b_pcie, W / b_vram)
    RAM   R ---- b_cpu ----> processor
                 b_pcie ---> card <---- b_vram ---- V  VRAM                    W = V + R + D; the smaller T is the one to have

On a machine of few cores the processor has more to do than to multiply: what comes from the disk is hashed before it is used, and
reading itself costs system time. Both are taken from the same cores, and are in b_cpu's term here. The formula and what it left
out were measured: docs/adr/0020-prediction.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from freehold.core.links import slowest

GB: Final = 1_000_000_000
_MEMORY_BOUND: Final = 0.85  # of the memory's own rate: from there on more cores would not help
_TILE_COLUMNS: Final = 4  # neighbouring tokens that share one reading of the keys and values


class Tier(StrEnum):
    VRAM = "VRAM"
    RAM = "RAM"
    DISK = "disk"


class Link(StrEnum):
    """What can hold a pass up."""

    DISK = "disk"
    CHECK = "checking"
    MEMORY = "memory"
    PROCESSOR = "processor"
    VRAM = "VRAM"
    PCIE = "PCIe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One tensor type's matrix products, all threads at once."""

    bytes_per_s: float  # of weights that come out of memory, times one column
    column_s_per_byte: float  # added by each further column


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Rates; None is unknown, and a prediction then says so and is a lower bound."""

    threads: int
    kernels: Mapping[str, Kernel] = field(default_factory=dict)  # by tensor type; "" serves types that are not there
    ram_bytes_per_s: float | None = None
    disk_bytes_per_s: float | None = None
    check_bytes_per_s: float | None = None  # of one core that checks streamed blocks
    checkers: int = 1  # threads that check
    read_cpu_s_per_byte: float = 0.0  # system time that reading takes from the cores
    pass_s: float = 0.0  # of any pass, whatever it reads
    vram_bytes_per_s: float | None = None
    pcie_bytes_per_s: float | None = None

    def kernel(self, type_: str) -> Kernel | None:
        return self.kernels.get(type_) or self.kernels.get("")

    def with_threads(self, threads: int) -> "Machine":
        """As if it had been measured with that many: arithmetic scales with threads, memory does not."""
        scale = threads / self.threads
        limit = self.ram_bytes_per_s or float("inf")
        kernels = {
            name: Kernel(
                bytes_per_s=min(kernel.bytes_per_s * scale, max(kernel.bytes_per_s, limit)),
                column_s_per_byte=kernel.column_s_per_byte / scale,
            )
            for name, kernel in self.kernels.items()
        }
        return replace(self, threads=threads, kernels=kernels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Weights of one tensor type in one tier, all of which a pass goes over."""

    tier: Tier
    type: str
    size_bytes: int
    is_head: bool = False  # only the columns whose logits are wanted meet it
    experts: int = 1
    experts_used: int = 1  # by one token

    def read_bytes(self, columns: int) -> float:
        """What `columns` tokens read of it; they choose their experts independently."""
        if self.experts_used >= self.experts:
            return float(self.size_bytes)
        return self.size_bytes * (1 - (1 - self.experts_used / self.experts) ** columns)

    def column_bytes(self) -> float:
        """What one token is multiplied with."""
        return self.size_bytes * min(1.0, self.experts_used / self.experts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassBytes:
    """What one pass goes over."""

    shares: tuple[Share, ...]
    kv_bytes_per_position: int = 0

    def of(self, tier: Tier) -> int:
        return sum(share.size_bytes for share in self.shares if share.tier is tier)

    @property
    def size_bytes(self) -> int:
        return sum(share.size_bytes for share in self.shares)

    def token_bytes(self, tier: Tier) -> float:
        """What one token alone reads in a tier: of experts, those that it takes."""
        return sum(share.read_bytes(1) for share in self.shares if share.tier is tier)

    def moved(self, size_bytes: int, to: Tier, *sources: Tier) -> "PassBytes":
        """`size_bytes` more in tier `to`, taken from the first of the sources that has any, of all its types alike."""
        shares = list(self.shares)
        for source in sources:
            there = sum(share.size_bytes for share in shares if share.tier is source)
            taken = min(size_bytes, there)
            if taken <= 0:
                continue
            size_bytes -= taken
            shares = [part for share in shares for part in _split(share, source, to, taken, there)]
        return replace(self, shares=tuple(shares))


def _split(share: Share, source: Tier, to: Tier, taken: int, there: int) -> list[Share]:
    if share.tier is not source:
        return [share]
    part = share.size_bytes * taken // there
    parts = [replace(share, size_bytes=share.size_bytes - part), replace(share, tier=to, size_bytes=part)]
    return [found for found in parts if found.size_bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTime:
    """Seconds each link is busy, and which way the weights are computed."""

    seconds: float
    links: Mapping[Link, float]
    bottleneck: Link
    all_on_card: bool


def pass_time(machine: Machine, bytes_: PassBytes, *, columns: int = 1, outputs: int = 1, positions: int = 0) -> PassTime:
    """`columns` tokens at once, of which `outputs` want logits; each looks back on `positions` keys and values."""
    shares = [share for share in bytes_.shares if outputs or not share.is_head]
    streamed = _read((share for share in shares if share.tier is Tier.DISK), columns)
    feeding = {Link.DISK: _over(streamed, machine.disk_bytes_per_s)}
    if machine.check_bytes_per_s:
        feeding[Link.CHECK] = streamed / (machine.check_bytes_per_s * machine.checkers)
    chores_s = streamed * machine.read_cpu_s_per_byte / machine.threads
    if machine.check_bytes_per_s:
        chores_s += streamed / machine.check_bytes_per_s / machine.threads
    kv_bytes = columns * positions * bytes_.kv_bytes_per_position / min(columns, _TILE_COLUMNS)
    on_cpu = [share for share in shares if share.tier is not Tier.VRAM]
    on_card = [share for share in shares if share.tier is Tier.VRAM]
    here = bytes_.of(Tier.VRAM) / bytes_.size_bytes if on_card else 0.0  # keys and values lie with their layers
    kv_s = _over(kv_bytes * (1 - here), machine.ram_bytes_per_s)
    cpu_s = machine.pass_s + chores_s + kv_s + sum(_compute_s(machine, share, columns, outputs) for share in on_cpu)
    by_memory_s = _over(_read(on_cpu, columns), machine.ram_bytes_per_s) + kv_s
    processor = Link.MEMORY if by_memory_s >= _MEMORY_BOUND * cpu_s else Link.PROCESSOR
    in_turn = {Link.VRAM: _over(_read(on_card, columns) + kv_bytes * here, machine.vram_bytes_per_s), processor: cpu_s}
    where_they_lie = _slowest(feeding, in_turn, all_on_card=False)
    if not (machine.vram_bytes_per_s and machine.pcie_bytes_per_s and on_card):
        return where_they_lie
    across = {Link.PCIE: _read(on_cpu, columns) / machine.pcie_bytes_per_s}
    whole = {Link.VRAM: (_read(shares, columns) + kv_bytes) / machine.vram_bytes_per_s}
    on_the_card = _slowest(feeding | across, whole, all_on_card=True)
    return min(where_they_lie, on_the_card, key=lambda time: time.seconds)


def _slowest(at_once: Mapping[Link, float], in_turn: Mapping[Link, float], *, all_on_card: bool) -> PassTime:
    """Links of `in_turn` wait for each other."""
    seconds, bottleneck = slowest(at_once, in_turn)
    return PassTime(seconds=seconds, links={**at_once, **in_turn}, bottleneck=bottleneck, all_on_card=all_on_card)


def _read(shares: Iterable[Share], columns: int) -> float:
    return sum(share.read_bytes(columns) for share in shares)


def _compute_s(machine: Machine, share: Share, columns: int, outputs: int) -> float:
    kernel = machine.kernel(share.type)
    if kernel is None:
        return _over(share.read_bytes(columns), machine.ram_bytes_per_s)
    met = min(columns, outputs) if share.is_head else columns
    return share.read_bytes(columns) / kernel.bytes_per_s + (met - 1) * share.column_bytes() * kernel.column_s_per_byte


def _over(size_bytes: float, bytes_per_s: float | None) -> float:
    return size_bytes / bytes_per_s if bytes_per_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    bytes: PassBytes
    token_s: float  # seconds for one token of one answer
    first_token_s: float
    prompt_tokens: int
    bottleneck: Link
    bottleneck_bytes_per_s: float | None
    links: Mapping[Link, float]
    all_on_card: bool
    unknown: tuple[Link, ...]  # links whose rate nobody knows: both times are then lower bounds
    with_more_ram_s: float | None  # token_s with 1 GB more; None where nothing is left to gain
    with_more_vram_s: float | None
    with_faster_disk_s: float | None  # twice as fast

    @property
    def tokens_per_s(self) -> float:
        return 1 / self.token_s if self.token_s else 0.0

    @property
    def fits(self) -> bool:
        """Nothing is streamed."""
        return not self.bytes.of(Tier.DISK)


def predict(
    machine: Machine, bytes_: PassBytes, *, prompt_tokens: int = 512, chunk_tokens: int = 128, has_card: bool = False
) -> Prediction:
    """One answer at a time, its tokens right behind the prompt."""
    decode = pass_time(machine, bytes_, positions=prompt_tokens)

    def again(changed: PassBytes, on: Machine = machine) -> float:
        return pass_time(on, changed, positions=prompt_tokens).seconds

    twice = replace(machine, disk_bytes_per_s=machine.disk_bytes_per_s and 2 * machine.disk_bytes_per_s)
    disk, ram = bytes_.of(Tier.DISK), bytes_.of(Tier.RAM)
    return Prediction(
        bytes=bytes_,
        token_s=decode.seconds,
        first_token_s=_first_token_s(machine, bytes_, prompt_tokens, chunk_tokens),
        prompt_tokens=prompt_tokens,
        bottleneck=decode.bottleneck,
        bottleneck_bytes_per_s=_rate(machine, bytes_, decode),
        links=decode.links,
        all_on_card=decode.all_on_card,
        unknown=_unknown(machine, bytes_),
        with_more_ram_s=again(bytes_.moved(GB, Tier.RAM, Tier.DISK)) if disk else None,
        with_more_vram_s=again(bytes_.moved(GB, Tier.VRAM, Tier.DISK, Tier.RAM)) if has_card and disk + ram else None,
        with_faster_disk_s=again(bytes_, twice) if disk and machine.disk_bytes_per_s else None,
    )


def _first_token_s(machine: Machine, bytes_: PassBytes, prompt_tokens: int, chunk_tokens: int) -> float:
    seconds, at = 0.0, 0
    while at < prompt_tokens:
        columns = min(chunk_tokens, prompt_tokens - at)
        is_last = at + columns >= prompt_tokens
        seconds += pass_time(machine, bytes_, columns=columns, outputs=int(is_last), positions=at + columns).seconds
        at += columns
    return seconds


def _rate(machine: Machine, bytes_: PassBytes, time: PassTime) -> float | None:
    """At which the bottleneck lets bytes through."""
    match time.bottleneck:
        case Link.DISK:
            return machine.disk_bytes_per_s
        case Link.CHECK:
            return machine.check_bytes_per_s and machine.check_bytes_per_s * machine.checkers
        case Link.VRAM:
            return machine.vram_bytes_per_s
        case Link.PCIE:
            return machine.pcie_bytes_per_s
    seconds = time.links[time.bottleneck]
    return (bytes_.of(Tier.RAM) + bytes_.of(Tier.DISK)) / seconds if seconds else None


def _unknown(machine: Machine, bytes_: PassBytes) -> tuple[Link, ...]:
    types = {share.type for share in bytes_.shares if share.tier is not Tier.VRAM and machine.kernel(share.type) is None}
    missing = []
    if bytes_.of(Tier.DISK) and not machine.disk_bytes_per_s:
        missing.append(Link.DISK)
    if types and not machine.ram_bytes_per_s:
        missing.append(Link.MEMORY)
    if bytes_.of(Tier.VRAM) and not machine.vram_bytes_per_s:
        missing.append(Link.VRAM)
    return tuple(missing)


# ---- in words ----------------------------------------------------------------------------------------------------


def facts(prediction: Prediction) -> list[tuple[str, str]]:
    """(what, how much), a fact a line: as `freehold fit` prints them, and as an engine says them when it loads."""
    bytes_ = prediction.bytes
    read = {tier: bytes_.token_bytes(tier) for tier in Tier if bytes_.of(tier)}
    tiers = [f"{size(part)} {_WHERE[tier]}" for tier, part in read.items()]
    least = "at least " if prediction.unknown else ""
    rate = prediction.bottleneck_bytes_per_s
    said = [("a token reads", f"{size(sum(read.values()))}: {', '.join(tiers)}")]
    if prediction.fits:
        said.append(("fits", "yes: nothing is streamed"))
    said.append(("predicted", least + pace(prediction.token_s)))
    # How fast a card multiplies a prompt is not known: reading the weights is the least it takes.
    at_least = "at least " if bytes_.of(Tier.VRAM) else least
    first = f"{at_least}{duration(prediction.first_token_s)} after a prompt of {prediction.prompt_tokens} tokens"
    said.append(("first token", first))
    if prediction.unknown:
        said.append(("not known here", f"how fast this is: {', '.join(prediction.unknown)}"))
    said.append(("bottleneck", _HOLDS_UP[prediction.bottleneck] + (f", {size(rate)}/s" if rate else "")))
    said += _gains(prediction)
    return said


def lines(prediction: Prediction) -> list[str]:
    return [f"{what}: {how}" for what, how in facts(prediction)]


_WHERE: Final[Mapping[Tier, str]] = {Tier.VRAM: "in VRAM", Tier.RAM: "in memory", Tier.DISK: "streamed from the disk"}
_HOLDS_UP: Final[Mapping[Link, str]] = {
    Link.DISK: "the disk",
    Link.CHECK: "checking what comes from the disk",
    Link.MEMORY: "memory bandwidth",
    Link.PROCESSOR: "the processor",
    Link.VRAM: "the card's memory",
    Link.PCIE: "the link to the card",
}


def _gains(prediction: Prediction) -> Iterable[tuple[str, str]]:
    for what, seconds in (
        ("1 GB more memory", prediction.with_more_ram_s),
        ("1 GB more VRAM", prediction.with_more_vram_s),
        ("a disk twice as fast", prediction.with_faster_disk_s),
    ):
        if seconds is not None:
            less = 1 - seconds / prediction.token_s if prediction.token_s else 0.0
            yield what, pace(seconds) + (f", {less:.0%} less time" if less >= 0.005 else ": no gain")


def size(size_bytes: float) -> str:
    """ "41.9 GB", "98 MB": three digits are all that anybody reads."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            value = size_bytes / scale
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{size_bytes:.0f} bytes"


def duration(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def pace(token_s: float) -> str:
    """ "7.9 s a token", "61 tokens/s": whichever number is above one."""
    return f"{token_s:.3g} s a token" if token_s >= 1 else f"{1 / token_s:.3g} tokens/s" if token_s else "no time at all"
