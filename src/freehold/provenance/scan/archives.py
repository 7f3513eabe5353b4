"""Zip and tar: every member is looked into, and an archive that two readers would see differently is told.

A zip names its members twice, in the directory at its end and before each member. Loaders differ in which they believe, in
whether a wrong checksum stops them, and in what flags mean; so both are read, by ranges of our own, and members are unpacked
whatever their flags and checksums say. PKWARE APPNOTE 6.3.10; POSIX pax.
"""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.source import Source

MEMBERS_LIMIT = 100_000
PACKED_STREAMS_LIMIT = 10_000
DIRECTORY_LIMIT_BYTES = 64 << 20
PIECE_BYTES = 1 << 18
LZMA_LIMIT_BYTES = 256 << 20  # of memory: a header may ask for 4 GiB
LOCAL, CENTRAL, END, END_64, LOCATOR_64 = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_STORED, _DEFLATE, _BZIP2, _LZMA = 0, 8, 12, 14
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """As the directory or, where that is broken, the member's own header has it. `data_at` is known from the latter."""

    name: str
    flags: int
    method: int
    packed_bytes: int
    size_bytes: int
    header_at: int
    data_at: int = -1
    mode: int = 0


class BrokenArchive(Exception):
    pass


def read_zip(source: Source, context: Context) -> list[Member]:
    """Members with where their bytes lie. What the two records of a member disagree on is a finding."""
    try:
        listed = list(_directory(source, context))
    except (BrokenArchive, struct.error) as exc:
        context.find("unparsed", f"zip: {exc}")
        return list(_in_sequence(source, context))
    members = []
    for entry in listed:
        local = _local(source, entry.header_at)
        if local is None:
            context.find("unparsed", f"zip: no member where the directory puts {shown(entry.name)}", entry.header_at)
            continue
        _compare(entry, local, context)
        members.append(replace(entry, flags=entry.flags | local.flags, method=local.method, data_at=local.data_at))
    _check_gaps(source, members, context)
    return members


def _directory(source: Source, context: Context) -> Iterator[Member]:
    tail_bytes = min(source.size_bytes, (1 << 16) + 22)
    tail = source.read_at(source.size_bytes - tail_bytes, tail_bytes)
    at = tail.rfind(END)
    if at < 0 or at + 22 > len(tail):
        raise BrokenArchive("has no directory")
    end_at = source.size_bytes - tail_bytes + at
    comment_bytes = int.from_bytes(tail[at + 20 : at + 22], "little")
    if end_at + 22 + comment_bytes != source.size_bytes:
        context.find("trailing-data", "bytes follow the end of the zip", end_at + 22)
    entries, size_bytes, start = struct.unpack("<HII", tail[at + 10 : at + 20])
    record_at = 0
    if source.read_at(end_at - 20, 4) == LOCATOR_64:
        record_at = end_at - 20 - 56
        record = source.read_at(record_at, 56)
        said_at = int.from_bytes(source.read_at(end_at - 12, 8), "little")  # some readers look there, some right before
        if record[:4] != END_64 or len(record) < 56 or said_at != record_at:
            raise BrokenArchive("its zip64 directory is not where it should be")
        entries, size_bytes, start = struct.unpack("<QQQ", record[32:56])
    if size_bytes > DIRECTORY_LIMIT_BYTES or entries > MEMBERS_LIMIT:
        raise BrokenArchive(f"a directory of {entries} members in {size_bytes} bytes is over the limit")
    directory_at = (record_at or end_at) - size_bytes
    before = directory_at - start  # bytes that were put in front of the archive: readers allow for them
    if before < 0:
        raise BrokenArchive("its directory does not fit")
    if before:
        context.find("zip-mismatch", f"{before} bytes lie in front of the zip", 0)
    for entry in _entries(source.read_at(directory_at, size_bytes), entries):
        yield replace(entry, header_at=entry.header_at + before)
    if before and source.read_at(start, 4) == CENTRAL:  # readers that do not allow for them find another directory there
        yield from _entries(source.read_at(start, size_bytes), entries)


def hidden_zip(source: Source, context: Context) -> bool:
    """Whether a file of another kind also reads as a zip from its end, as many readers do; its members are scanned then."""
    tail = source.read_at(max(0, source.size_bytes - (1 << 16) - 22), (1 << 16) + 22)
    if END not in tail:
        return False
    try:
        listed = list(_directory(source, Context(name=context.name, tally=Tally(), look=context.look)))
    except (BrokenArchive, struct.error):
        return False
    if not any(_local(source, entry.header_at) for entry in listed):
        return False
    context.find("zip-mismatch", "reads as a zip from its end as well", None)
    for member in read_zip(source, context):
        look_into(source, member, context)
    return True


def _entries(directory: bytes, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != CENTRAL:
            raise BrokenArchive("an entry of its directory is broken")
        flags, method = struct.unpack_from("<HH", directory, at + 8)
        packed, size, name_bytes, extra_bytes, comment_bytes = struct.unpack_from("<IIHHH", directory, at + 20)
        (mode,) = struct.unpack_from("<I", directory, at + 38)
        (header_at,) = struct.unpack_from("<I", directory, at + 42)
        name = directory[at + 46 : at + 46 + name_bytes]
        extra = directory[at + 46 + name_bytes : at + 46 + name_bytes + extra_bytes]
        size, packed, header_at = _widened(extra, size, packed, header_at)
        yield Member(
            name=_name(name, flags),
            flags=flags,
            method=method,
            packed_bytes=packed,
            size_bytes=size,
            header_at=header_at,
            mode=mode >> 16,
        )
        at += 46 + name_bytes + extra_bytes + comment_bytes


def _widened(extra: bytes, size: int, packed: int, header_at: int) -> tuple[int, int, int]:
    """The zip64 extra field holds, in order, those of the three that do not fit in 32 bits."""
    at = 0
    while at + 4 <= len(extra):
        kind, count = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{min(count, len(extra) - at - 4) // 8}Q", extra, at + 4))
            size = next(wide, size) if size == 0xFFFFFFFF else size
            packed = next(wide, packed) if packed == 0xFFFFFFFF else packed
            header_at = next(wide, header_at) if header_at == 0xFFFFFFFF else header_at
        at += 4 + count
    return size, packed, header_at


def _local(source: Source, at: int) -> Member | None:
    head = source.read_at(at, 30)
    if len(head) < 30 or head[:4] != LOCAL:
        return None
    flags, method = struct.unpack_from("<HH", head, 6)
    packed, size, name_bytes, extra_bytes = struct.unpack_from("<IIHH", head, 18)
    rest = source.read_at(at + 30, name_bytes + extra_bytes)
    size, packed, _ = _widened(rest[name_bytes:], size, packed, 0)
    return Member(
        name=_name(rest[:name_bytes], flags),
        flags=flags,
        method=method,
        packed_bytes=packed,
        size_bytes=size,
        header_at=at,
        data_at=at + 30 + name_bytes + extra_bytes,
    )


def _name(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")


def _compare(entry: Member, local: Member, context: Context) -> None:
    differ = []
    if entry.name != local.name:
        differ.append(f"the name ({shown(local.name)} before it)")
    if entry.method != local.method:
        differ.append("the method")
    if (entry.flags ^ local.flags) & _ENCRYPTED:
        differ.append("whether it is encrypted")
    later = local.flags & 8  # sizes follow the data
    if not later and (entry.packed_bytes, entry.size_bytes) != (local.packed_bytes, local.size_bytes):
        differ.append("the size")
    if differ:
        context.find(
            "zip-mismatch", f"directory and member disagree on {', '.join(differ)} of {shown(entry.name)}", entry.header_at
        )


def _check_gaps(source: Source, members: list[Member], context: Context) -> None:
    """A member between others that the directory does not list is unpacked by readers that go from front to back."""
    end = 0
    for member in sorted(members, key=lambda m: m.header_at):
        if member.header_at < end:
            context.find("zip-mismatch", f"{shown(member.name)} lies on top of another member", member.header_at)
        for at in (end, end + 12, end + 16, end + 24):  # a data descriptor may lie between
            if at < member.header_at and source.read_at(at, 4) == LOCAL:
                context.find("zip-hidden-member", "a member that the directory does not list", at)
                hidden = _local(source, at)
                if hidden is not None:
                    look_into(source, hidden, context)
                break
        end = max(end, member.data_at + member.packed_bytes)


def _in_sequence(source: Source, context: Context) -> Iterator[Member]:
    """Members from the front, for an archive whose directory is gone: what some readers salvage."""
    at, count = 0, 0
    while count < MEMBERS_LIMIT and (member := _local(source, at)) is not None:
        yield member
        count += 1
        at = member.data_at + member.packed_bytes
        if not member.packed_bytes and member.flags & 8:
            return


def look_into(source: Source, member: Member, context: Context, *, quiet: bool = False) -> str:
    """Unpack one member and scan it. Gives the format that was seen."""
    check_path(member.name, context, member.header_at)
    if member.mode & 0o170000 == 0o120000:
        context.find("archive-link", f"{shown(member.name)} is a link", member.header_at)
    if member.name.endswith("/") and not member.packed_bytes:
        return "folder"
    packed = source.part(member.data_at, member.packed_bytes or member.size_bytes)
    if packed.size_bytes < member.packed_bytes:
        context.find("unparsed", f"zip: {shown(member.name)} is cut off", member.header_at)
    if member.flags & _ENCRYPTED:
        # Python's zipfile refuses it, others look past the flag: it is read as if the flag were not there.
        context.find("unparsed", f"zip: {shown(member.name)} says it is encrypted", member.header_at)
    if member.method == _STORED:
        return context.descend(member.name, packed, quiet=quiet)
    make = {_DEFLATE: lambda: zlib.decompressobj(-15), _BZIP2: bz2.BZ2Decompressor}.get(member.method)
    if make is None:
        context.find(
            "unparsed", f"zip: {shown(member.name)} is packed by method {member.method}, which is not opened", member.header_at
        )
        return "unknown"
    with context.unpacked(inflated(packed, make(), context, member.name), packed.size_bytes) as unpacked:
        if not member.flags & 8 and unpacked.size_bytes > member.size_bytes:
            context.find("zip-mismatch", f"{shown(member.name)} unpacks to more than its size", member.header_at)
        return context.descend(member.name, unpacked, quiet=quiet)


def inflated(packed: Source, unpacker: Any, context: Context, name: str) -> Generator[bytes, None, int]:
    """Pieces of what is unpacked, each bounded: a piece in may give many out. Returns where the packed stream ended."""
    at = 0
    rest = b""
    try:
        while not unpacker.eof:
            if not rest and getattr(unpacker, "needs_input", True):
                rest = packed.read_at(at, PIECE_BYTES)
                at += len(rest)
            is_end = not rest and at >= packed.size_bytes
            piece = unpacker.decompress(rest, PIECE_BYTES)
            rest = getattr(unpacker, "unconsumed_tail", b"")
            if piece:
                yield piece
            elif is_end and not unpacker.eof:
                context.find("unparsed", f"{shown(name)} ends inside its packed data")
                return packed.size_bytes
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError):
        context.find("unparsed", f"{shown(name)} is packed in a broken way")
        return packed.size_bytes
    return at - len(unpacker.unused_data)


def streams(packed: Source, magic: bytes, make: Callable[[], Any], context: Context, name: str) -> Iterator[bytes]:
    """Packed streams one after the other, which readers of gzip, bzip2 and xz take for one. What else follows is a finding."""
    at = 0
    for _ in range(PACKED_STREAMS_LIMIT):
        at += yield from inflated(packed.part(at, packed.size_bytes - at), make(), context, name)
        if at >= packed.size_bytes:
            return
        if packed.read_at(at, len(magic)) != magic:
            context.find("trailing-data", f"{packed.size_bytes - at} bytes follow what is packed", at)
            return
    context.find("limit", f"more than {PACKED_STREAMS_LIMIT} packed streams in one file", at)


PACKERS: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lambda: lzma.LZMADecompressor(memlimit=LZMA_LIMIT_BYTES)),
    b"]\x00\x00": ("lzma", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=LZMA_LIMIT_BYTES)),
    b"x\x01": ("zlib", zlib.decompressobj),
    b"x\x5e": ("zlib", zlib.decompressobj),
    b"x\x9c": ("zlib", zlib.decompressobj),
    b"x\xda": ("zlib", zlib.decompressobj),
}


def leaves_folder(name: str) -> bool:
    """Whether a file of this name would lie outside, on any system."""
    path = name.replace("\\", "/")
    return path.startswith("/") or ".." in PurePosixPath(path).parts or path[1:2] == ":" or "\0" in name


def check_path(name: str, context: Context, at: int) -> None:
    if leaves_folder(name):
        context.find("archive-path", f"a member is called {shown(name)}", at)


def is_tar(head: bytes) -> bool:
    """By its checksum, which old tars without a magic have as well."""
    return len(head) >= 512 and any(head[:100]) and _tar_sum(head[:512])


def _tar_sum(block: bytes) -> bool:
    try:
        said = int(block[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    body = block[:148] + b" " * 8 + block[156:]
    return said in (sum(body), sum(b - 256 if b > 127 else b for b in body))


def scan_tar(source: Source, context: Context) -> None:
    at, count, long_name = 0, 0, ""
    while at + 512 <= source.size_bytes:
        block = source.read_at(at, 512)
        if not any(block):
            return
        size_bytes = _tar_number(block[124:136])
        if not _tar_sum(block) or size_bytes is None or count >= MEMBERS_LIMIT:
            context.find("unparsed", "tar: a member's header is broken", at)
            return
        kind, name = block[156:157], _tar_name(block)
        data = source.part(at + 512, size_bytes)
        if data.size_bytes < size_bytes:
            context.find("unparsed", "tar: a member is cut off", at)
        if kind in (b"L", b"x", b"g", b"K"):
            text = data.read_at(0, min(size_bytes, 1 << 20))
            if kind == b"x" and b"size=" in text:
                context.find("unparsed", "tar: a member's size is in its pax header, which readers take in different ways", at)
                return
            long_name = text.rstrip(b"\0").decode("utf-8", "replace") if kind == b"L" else _pax_path(text) or long_name
        else:
            name, long_name = long_name or name, ""
            check_path(name, context, at)
            if kind in (b"0", b"\0", b"7"):
                context.descend(name, data)
            elif kind != b"5":
                _check_link(name, block, context, at)
        if kind in b"123456" and size_bytes:  # readers differ in whether data follows these
            context.find("unparsed", f"tar: {shown(name)} has no contents, and says it has", at)
            return
        count += 1
        at += 512 + -(-size_bytes // 512) * 512


def _check_link(name: str, block: bytes, context: Context, at: int) -> None:
    """A member that is no file and no folder."""
    link = block[157:257].rstrip(b"\0").decode("utf-8", "replace")
    context.find("archive-link", f"{shown(name)} is a link or a device{f' ({shown(link)})' if link else ''}", at)
    if link.startswith("/") or ".." in PurePosixPath(link).parts:
        context.find("archive-path", f"{shown(name)} leads to {shown(link)}", at)
    if block[156:157] not in b"12346":
        context.find("unparsed", f"tar: {shown(name)} is of a kind that is not opened", at)


def _tar_number(field: bytes) -> int | None:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None


def _tar_name(block: bytes) -> str:
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:262] == b"ustar" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _pax_path(text: bytes) -> str:
    for line in text.split(b"\n"):
        _, _, pair = line.partition(b" ")
        if pair.startswith((b"path=", b"linkpath=")):
            return pair.partition(b"=")[2].decode("utf-8", "replace")
    return ""
