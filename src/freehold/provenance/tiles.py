"""The static files of a log (c2sp.org/tlog-tiles): where each lies, how entries are packed, and a check of a folder of them.

    checkpoint                        the signed tree head
    tile/<L>/<N>[.p/<W>]              up to 256 hashes of level L
    tile/entries/<N>[.p/<W>]          up to 256 entries, each behind its length in two bytes, big-endian

N is written in elements of three digits, all but the last with an `x`: 1234067 is x001/x234/067.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from freehold.core import merkle
from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.merkle import HASH_BYTES, leaf_hash
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance.checkpoint import Checkpoint
from freehold.provenance.keys import TrustedKeys

CHECKPOINT = "checkpoint"
WIDTH = 256
LEVELS = 8
ENTRIES = -1  # the "level" of entry bundles
_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """`level` is ENTRIES for a bundle of entries; `width` is WIDTH for a full one."""

    level: int
    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        kind = "entries" if self.level == ENTRIES else str(self.level)
        digits = f"{self.n:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *high, low = (digits[i : i + 3] for i in range(0, len(digits), 3))
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{''.join(f'x{part}/' for part in high)}{low}{partial}"


def parse_path(path: str) -> Tile:
    """Raises MalformedArtefact for a path that no tile has."""
    found = _PATH.fullmatch(path)
    tile = None
    if found is not None:
        n = int(found[2].replace("x", "").replace("/", ""))
        tile = Tile(ENTRIES if found[1] == "entries" else int(found[1]), n, int(found[3] or WIDTH))
    if tile is None or tile.path != path:
        raise MalformedArtefact(f"{path[:80]!r} is not the path of a tile")
    return tile


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """Every tile and bundle of a tree of `size` that one of `since` has not, or has with another width."""
    level, count, before = 0, size, since
    while count:
        for n in range(before // WIDTH, -(-count // WIDTH)):
            width = min(WIDTH, count - n * WIDTH)
            if n * WIDTH + width > before:
                yield Tile(level, n, width)
                if level == 0:
                    yield Tile(ENTRIES, n, width)
        level, count, before = level + 1, count // WIDTH, before // WIDTH


def pack(entries: Sequence[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def unpack(bundle: bytes) -> list[bytes]:
    """Raises MalformedArtefact."""
    entries, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        if at + 2 > len(bundle) or end > len(bundle):
            raise MalformedArtefact("a bundle of entries is cut short")
        entries.append(bundle[at + 2 : end])
        at = end
    return entries


def split(tile: bytes) -> list[bytes]:
    """Raises MalformedArtefact for what is not up to 256 hashes."""
    if len(tile) % HASH_BYTES or not 0 < len(tile) <= WIDTH * HASH_BYTES:
        raise MalformedArtefact(f"a tile has 1 to {WIDTH} hashes of {HASH_BYTES} bytes, this one has {len(tile)} bytes")
    return [tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES)]


Read = Callable[[str], bytes]  # a file by its path; raises DeviceError


class TileReader:
    """A tree out of its static files, for roots and proofs. What it gives is as true as the files."""

    def __init__(self, read: Read, size: int) -> None:
        self._read, self._size = read, size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def tile(self, level: int, n: int) -> list[bytes]:
        if (level, n) not in self._tiles:
            width = min(WIDTH, (self._size >> (LEVELS * level)) - n * WIDTH)
            tile = Tile(level, n, width)
            hashes = split(self._read(tile.path))
            if len(hashes) != width:
                raise MalformedArtefact(f"{tile.path} has {len(hashes)} hashes, not {width}")
            self._tiles[level, n] = hashes
        return self._tiles[level, n]

    def perfect(self, level: int, index: int) -> bytes:
        """`merkle.Perfect`."""
        tile_level, within = divmod(level, LEVELS)
        n, first = divmod(index << within, WIDTH)
        return merkle.root_of(self.tile(tile_level, n)[first : first + (1 << within)])


def verify_tiles(read: Read, keys: TrustedKeys, take: Callable[[int, bytes], None] = lambda n, entry: None) -> Checkpoint:
    """Prove a folder of static files against the checkpoint in it: every entry, every tile, the root and the signature.

    `take` is given each entry with its row's number. Raises VerificationError naming the file, MalformedArtefact, DeviceError.
    """
    found = checkpoints.verify(read(CHECKPOINT), keys)
    reader = TileReader(read, found.size)
    for tile in sorted(tiles_of(found.size)):
        if tile.level == ENTRIES:
            entries = unpack(read(tile.path))
            wanted = list(map(leaf_hash, entries))
            for n, entry in enumerate(entries, tile.n * WIDTH + 1):
                take(n, entry)
        elif tile.level == 0:
            continue  # each was compared with its bundle
        else:
            below = [reader.tile(tile.level - 1, tile.n * WIDTH + i) for i in range(tile.width)]
            wanted = [merkle.root_of(hashes) for hashes in below]
        level = max(tile.level, 0)
        if wanted != reader.tile(level, tile.n):
            above = Tile(level, tile.n, tile.width).path
            raise VerificationError(f"{above} is not made of what {'is below it' if tile.level > 0 else tile.path + ' holds'}")
    if merkle.root(found.size, reader.perfect) != found.root:
        raise VerificationError(f"the tiles do not give the root that the checkpoint of {found.size} rows was signed over")
    return found
