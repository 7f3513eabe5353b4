"""What an answer took, told to its client who asks: headers of a whole answer, a comment line of a stream.

A stream's headers have long been sent when its joules are known. A comment of server-sent events goes before what ends it;
readers of event streams skip it (WHATWG HTML 9.2.6), so that no client is troubled by it. What is unknown is left out.
"""

from collections.abc import Iterator
from typing import Final, Literal

from freehold.core.ledger import LedgerEntry
from freehold.gateway.reply import Header

ASK: Final = b"x-freehold-energy"
Tell = Literal["on_request", "always", "never"]


def tells_energy(setting: Tell, asked: bytes | None) -> bool:
    """Whether this client is told. Whoever sends the header with another word than 0, no or false asks."""
    if setting != "on_request":
        return setting == "always"
    return asked is not None and asked.strip().lower() not in (b"", b"0", b"no", b"false")


def energy_headers(entry: LedgerEntry) -> list[Header]:
    return [(f"x-freehold-{name}".encode(), value.encode()) for name, value in _facts(entry)]


def energy_comment(entry: LedgerEntry) -> bytes:
    """One line: ": freehold energy-joules=1.234 energy-grade=modelled …"."""
    return f": freehold {' '.join(f'{name}={value}' for name, value in _facts(entry))}\n\n".encode()


def _facts(entry: LedgerEntry) -> Iterator[tuple[str, str]]:
    energy, footprint = entry.energy, entry.footprint
    numbers = {
        "energy-joules": energy.energy_j,
        "energy-joules-low": energy.low_j,
        "energy-joules-high": energy.high_j,
        "carbon-grams": footprint.carbon.g if footprint.carbon is not None else None,
        "carbon-embodied-grams": footprint.embodied_g,
        "water-litres": footprint.water_l,
    }
    yield from ((name, f"{value:.6g}") for name, value in numbers.items() if value is not None)
    yield "energy-grade", str(energy.grade)
    yield "energy-source", energy.source
    if footprint.carbon is not None:
        yield "carbon-factor", f"{footprint.carbon.zone};{footprint.carbon.year};{footprint.carbon.method}"
