"""The tensor types we compute with: one line in `FORMATS` each, and one in `tensor_types.COMPUTED`.

An unpacker reads the blocks of `lanes` rows at once and gives, for each 32 weights, eight vectors whose lane r holds four
neighbouring weights of row r as unsigned bytes, with scales and mins so that weight = scale * unsigned + min.
Block layouts: ggml-common.h; each is drawn where it is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llvmlite import ir

from freehold.engine.kernels.emit import I16, I32, I64, Emitter, Value, vector
from freehold.engine.kernels.matmul import Floats, Panel, Piece, Quantised
from freehold.engine.kernels.records import BLOCK, LINE_BYTES
from freehold.engine.kernels.targets import Target
from freehold.engine.tensor_types import TensorType


@dataclass(frozen=True, slots=True)
class Rows:
    """`lanes` rows of one tensor at one block: reads them side by side."""

    e: Emitter
    target: Target
    addresses: Sequence[Value]

    def sixteen(self, offset: int) -> list[Value]:
        """16 bytes at `offset` of each row as four vectors: vector i, lane r = dword i of row r.

        Four rows share a vector after loading; two rounds of interleaving turn rows into lanes, never leaving 128 bits.
        """
        e, quarters = self.e, len(self.addresses) // 4
        loaded = [e.load(vector(4, I32), address, offset) for address in self.addresses]
        a, b, c, d = (e.concat([loaded[4 * i + j] for i in range(quarters)]) for j in range(4))
        return self._turned(a, b, c, d)

    def thirty_two(self, offset: int) -> list[Value]:
        """32 bytes at `offset` of each row as eight vectors, in the order of their dwords; settled.

        Sixteen rows are loaded in eights, rows r and r + 4 side by side: a fifth fewer instructions than 16 bytes twice.
        """
        if len(self.addresses) != 16:
            return self.sixteen(offset) + self.sixteen(offset + 16)
        e, halves = self.e, []
        for first in (0, 8):
            loaded = [e.load(vector(8, I32), address, offset) for address in self.addresses[first : first + 8]]
            a, b, c, d = (e.concat([loaded[i], loaded[i + 4]]) for i in range(4))
            halves.append(self._turned(a, b, c, d))  # of vector i, each other 128 bits belong to dword i, the rest to 4 + i
        words = []
        for first in (0, 4):
            lanes = [start + lane for start in range(first, 32, 8) for lane in range(4)]
            words += [e.shuffle(low, high, lanes) for low, high in zip(*halves, strict=True)]
        return [self.target.settled(e, word) for word in words]

    def _turned(self, a: Value, b: Value, c: Value, d: Value) -> list[Value]:
        """In each 128 bits: dword i of each of the four."""
        low_ab, high_ab = self._interleave(a, b, (0, None, 1, None)), self._interleave(a, b, (2, None, 3, None))
        low_cd, high_cd = self._interleave(c, d, (0, None, 1, None)), self._interleave(c, d, (2, None, 3, None))
        return [
            self._pairs(low_ab, low_cd, 0),
            self._pairs(low_ab, low_cd, 2),
            self._pairs(high_ab, high_cd, 0),
            self._pairs(high_ab, high_cd, 2),
        ]

    def _interleave(self, a: Value, b: Value, pattern: Sequence[int | None]) -> Value:
        """In each 128 bits: a[p], b[p], a[p'], b[p']."""
        n, first, second = a.type.count, pattern[0] or 0, pattern[2] or 0
        return self.e.shuffle(a, b, [base + lane for base in range(0, n, 4) for lane in (first, n + first, second, n + second)])

    def _pairs(self, a: Value, b: Value, first: int) -> Value:
        """In each 128 bits: a[first], a[first + 1], b[first], b[first + 1]."""
        n = a.type.count
        lanes = (first, first + 1, n + first, n + first + 1)
        return self.e.shuffle(a, b, [base + lane for base in range(0, n, 4) for lane in lanes])

    def dword(self, offset: int) -> Value:
        """The dword at `offset` of each row."""
        e, words = self.e, ir.Constant(self.e.ints, ir.Undefined)
        for lane, address in enumerate(self.addresses):
            words = e.builder.insert_element(words, e.load(I32, address, offset), ir.Constant(I32, lane))
        return words

    def half(self, words: Value, shift: int = 0) -> Value:
        """f32 of the f16 in bits shift .. shift + 16 of each lane."""
        b = self.e.builder
        shifted = b.lshr(words, self.e.const(self.e.ints, shift)) if shift else words
        return self.target.from_half(self.e, b.trunc(shifted, vector(self.e.lanes, I16)))

    def masked(self, words: Value, mask: int, shift: int = 0) -> Value:
        b, e = self.e.builder, self.e
        shifted = b.lshr(words, e.const(e.ints, shift)) if shift else words
        return b.and_(shifted, e.const(e.ints, mask))

    def raised(self, words: Value, by: int) -> Value:
        return self.e.builder.shl(words, self.e.const(self.e.ints, by))

    def nibbles(self, words: Sequence[Value], shift: int) -> list[Value]:
        return [self.masked(word, 0x0F0F0F0F, shift) for word in words]

    def times(self, factor: float, values: Value) -> Value:
        return self.e.builder.fmul(self.e.const(self.e.floats, factor), values)

    def product(self, a: Value, b: Value) -> Value:
        return self.e.builder.fmul(a, b)

    def number(self, words: Value) -> Value:
        return self.e.to_float(words)


Save = Callable[[int, Sequence[Value], Sequence[Value], Sequence[Value]], None]  # (block of 32, groups, scales, mins)


@dataclass(frozen=True, slots=True)
class Format:
    """`unpack` reads one block of the file's own size and saves its blocks of 32."""

    panel: Panel
    unpack: Callable[[Rows, Any], None]


def _q4_0(rows: Rows, save: Save) -> None:
    """f16 d | 16 bytes: low nibbles are weights 0-15, high nibbles 16-31. weight = d * (nibble - 8)"""
    words, scale = rows.sixteen(2), rows.half(rows.dword(0))
    save(0, rows.nibbles(words, 0) + rows.nibbles(words, 4), [scale], [rows.times(-8.0, scale)])


def _q4_1(rows: Rows, save: Save) -> None:
    """f16 d, f16 m | 16 bytes of nibbles. weight = d * nibble + m"""
    words, head = rows.sixteen(4), rows.dword(0)
    save(0, rows.nibbles(words, 0) + rows.nibbles(words, 4), [rows.half(head)], [rows.half(head, 16)])


def _fifth_bits(rows: Rows, high: Value, group: int) -> Value:
    """Bits 4 * group .. + 4 of `high`, one to bit 4 of each byte."""
    b, e = rows.e.builder, rows.e
    four = rows.masked(high, 0xF, 4 * group)
    spread = b.mul(four, e.const(e.ints, 0x00204081))  # bit i to bit 8 i: copies at 0, 7, 14, 21
    return rows.raised(b.and_(spread, e.const(e.ints, 0x01010101)), 4)


def _q5_groups(rows: Rows, words: Sequence[Value], high: Value) -> list[Value]:
    nibbles = rows.nibbles(words, 0) + rows.nibbles(words, 4)
    return [rows.e.builder.or_(nibble, _fifth_bits(rows, high, g)) for g, nibble in enumerate(nibbles)]


def _q5_0(rows: Rows, save: Save) -> None:
    """f16 d | 4 bytes: bit i is the fifth bit of weight i | 16 bytes of nibbles. weight = d * (q - 16)"""
    words, scale = rows.sixteen(6), rows.half(rows.dword(0))
    save(0, _q5_groups(rows, words, rows.dword(2)), [scale], [rows.times(-16.0, scale)])


def _q5_1(rows: Rows, save: Save) -> None:
    """f16 d, f16 m | 4 bytes of fifth bits | 16 bytes of nibbles. weight = d * q + m"""
    words, (head, high, _, _) = rows.sixteen(8), rows.sixteen(0)
    save(0, _q5_groups(rows, words, high), [rows.half(head)], [rows.half(head, 16)])


def _q8_0(rows: Rows, save: Save) -> None:
    """f16 d | 32 signed bytes. Flipping the top bit makes them unsigned: weight = d * (q - 128)"""
    b, e, scale = rows.e.builder, rows.e, rows.half(rows.dword(0))
    words = rows.thirty_two(2)
    groups = [b.xor(word, e.const(e.ints, 0x80808080)) for word in words]
    save(0, groups, [scale], [rows.times(-128.0, scale)])


def _k_scales(rows: Rows, odd: float = 1.0) -> list[tuple[Value, Value]]:
    """(scale, min) of the eight blocks of a Q4_K or Q5_K super-block, from its first 16 bytes. Each other scale is times `odd`.

    f16 d, f16 dmin | 12 bytes. Of byte j < 4: six bits of scale j; of byte 4 + j: six bits of min j; byte 8 + j: low four
    bits of scale 4 + j and of min 4 + j, whose upper two are the top bits of bytes j and 4 + j.
    """
    head, scales, mins, mixed = rows.sixteen(0)
    b, d, dmin = rows.e.builder, rows.half(head), rows.times(-1.0, rows.half(head, 16))
    pairs = [(rows.masked(scales, 63, 8 * j), rows.masked(mins, 63, 8 * j)) for j in range(4)]
    for j in range(4):
        scale = b.or_(rows.masked(mixed, 15, 8 * j), rows.raised(rows.masked(scales, 3, 8 * j + 6), 4))
        low = b.or_(rows.masked(mixed, 15, 8 * j + 4), rows.raised(rows.masked(mins, 3, 8 * j + 6), 4))
        pairs.append((scale, low))
    ds = (d, d if odd == 1.0 else rows.times(odd, d))
    return [
        (rows.product(ds[j % 2], rows.number(scale)), rows.product(dmin, rows.number(low)))
        for j, (scale, low) in enumerate(pairs)
    ]


def _q4_k(rows: Rows, save: Save) -> None:
    """d, dmin, scales (16 bytes) | 4 x 32 bytes: low nibbles are block 2 i, high nibbles block 2 i + 1

    Where bytes of any size are multiplied as fast, high nibbles stay where they are, 16 times as large, and meet a sixteenth of
    their scale. Both are exact: no result changes.
    """
    stay = rows.target.any_bytes
    factors = _k_scales(rows, odd=1 / 16 if stay else 1.0)
    for i in range(4):
        words = rows.thirty_two(16 + 32 * i)
        high = [rows.masked(word, 0xF0F0F0F0) for word in words] if stay else rows.nibbles(words, 4)
        for j, groups in ((2 * i, rows.nibbles(words, 0)), (2 * i + 1, high)):
            save(j, groups, [factors[j][0]], [factors[j][1]])


def _q5_k(rows: Rows, save: Save) -> None:
    """As Q4_K, with 32 bytes between scales and nibbles: bit j of byte i is the fifth bit of weight i of block j"""
    factors, high = _k_scales(rows), rows.thirty_two(16)
    for i in range(4):
        words = rows.thirty_two(48 + 32 * i)
        for j, shift in ((2 * i, 0), (2 * i + 1, 4)):
            groups = [
                rows.e.builder.or_(nibble, rows.raised(rows.masked(bits, 0x01010101, j), 4))
                for nibble, bits in zip(rows.nibbles(words, shift), high, strict=True)
            ]
            save(j, groups, [factors[j][0]], [factors[j][1]])


def _q6_k(rows: Rows, save: Save) -> None:
    """128 bytes of low nibbles | 64 bytes of upper bit pairs | 16 int8 scales | f16 d. weight = d * scale * (q - 32)

    In each half of 128 weights, block j (0-3) has its low bits in nibble j // 2 of bytes 32 * (j % 2) .. + 32, and its upper
    two in bits 2 j of the half's 32 bytes of pairs. A scale serves 16 weights.
    """
    b, e = rows.e.builder, rows.e
    scale_words = rows.sixteen(192)
    d = rows.half(rows.dword(206), 16)  # the last two bytes of the block

    def scale(index: int) -> Value:
        word, place = scale_words[index // 4], index % 4
        signed = b.ashr(rows.raised(word, 24 - 8 * place), e.const(e.ints, 24))
        return rows.product(d, rows.number(signed))

    for half in range(2):
        pairs, low = rows.thirty_two(128 + 32 * half), []
        for j in range(4):
            low += [rows.thirty_two(64 * half + 32 * j)] if j < 2 else []
            groups = [
                b.or_(nibble, rows.raised(rows.masked(pair, 0x03030303, 2 * j), 4))
                for nibble, pair in zip(rows.nibbles(low[j % 2], 4 * (j // 2)), pairs, strict=True)
            ]
            scales = [scale(8 * half + 2 * j + g) for g in range(2)]
            save(4 * half + j, groups, scales, [rows.times(-32.0, value) for value in scales])


def _pairs_of(rows: Rows, words: Sequence[Value], j: int) -> list[Value]:
    """Two bits a weight of block j (0-3) of a half of 128: bits 2 j of the half's 32 bytes."""
    return [rows.masked(word, 0x03030303, 2 * j) for word in words]


def _q2_k(rows: Rows, save: Save) -> None:
    """16 bytes: scale (low nibble) and min of 16 weights each | 64 bytes of bit pairs | f16 d, f16 dmin

    Pairs lie as the upper ones of Q6_K. weight = d * scale * q - dmin * min
    """
    factors, head = rows.sixteen(0), rows.dword(80)
    d, dmin = rows.half(head), rows.times(-1.0, rows.half(head, 16))

    def factor(of: Value, index: int, shift: int) -> Value:
        return rows.product(of, rows.number(rows.masked(factors[index // 4], 15, 8 * (index % 4) + shift)))

    for half in range(2):
        words = rows.thirty_two(16 + 32 * half)
        for j in range(4):
            places = [8 * half + 2 * j + g for g in range(2)]
            scales, mins = [factor(d, i, 0) for i in places], [factor(dmin, i, 4) for i in places]
            save(4 * half + j, _pairs_of(rows, words, j), scales, mins)


def _q3_k(rows: Rows, save: Save) -> None:
    """32 bytes: bit j of byte i is the third bit of weight i of block j | 64 bytes of bit pairs | 12 bytes of scales | f16 d

    Pairs lie as the upper ones of Q6_K. Scale i (0-15, six bits) serves 16 weights: its low four are nibble i // 8 of byte
    i % 8, its upper two bits 2 * (i // 4) of byte 8 + i % 4. weight = d * (scale - 32) * (q - 4)
    """
    b, e, third = rows.e.builder, rows.e, rows.thirty_two(0)
    words = rows.sixteen(94)  # the last 16 bytes of the block: two of bit pairs, the scales, d
    d = rows.half(words[3], 16)

    def bits(byte: int, mask: int, shift: int) -> Value:
        return rows.masked(words[(byte + 2) // 4], mask, 8 * ((byte + 2) % 4) + shift)

    def scale(i: int) -> Value:
        whole = b.or_(bits(i % 8, 15, 4 * (i // 8)), rows.raised(bits(8 + i % 4, 3, 2 * (i // 4)), 4))
        return rows.product(d, rows.number(b.sub(whole, e.const(e.ints, 32))))

    for half in range(2):
        low = rows.thirty_two(32 + 32 * half)
        for j in range(4):
            block = 4 * half + j
            high = [rows.masked(word, 0x01010101, block) for word in third]
            pairs = _pairs_of(rows, low, j)
            groups = [b.or_(pair, rows.raised(bit, 2)) for pair, bit in zip(pairs, high, strict=True)]
            scales = [scale(2 * block + g) for g in range(2)]
            save(block, groups, scales, [rows.times(-4.0, value) for value in scales])


# What a nibble of IQ4_NL and IQ4_XS stands for (ggml-common.h, kvalues_iq4nl), plus 128 to be unsigned.
_IQ4_VALUES: Final = (1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241)


def _iq4_groups(rows: Rows, offset: int) -> list[Value]:
    """16 bytes: low nibbles are weights 0-15, high nibbles 16-31."""
    words = rows.sixteen(offset)
    return [rows.target.look_up(rows.e, _IQ4_VALUES, word) for word in rows.nibbles(words, 0) + rows.nibbles(words, 4)]


def _iq4_nl(rows: Rows, save: Save) -> None:
    """f16 d | 16 bytes of nibbles. weight = d * (value of the nibble - 128)"""
    scale = rows.half(rows.dword(0))
    save(0, _iq4_groups(rows, 2), [scale], [rows.times(-128.0, scale)])


def _iq4_xs(rows: Rows, save: Save) -> None:
    """f16 d | 2 bytes: bit pair j is the upper two bits of scale j | 4 bytes: nibble j its low four | 8 x 16 bytes of nibbles

    weight = d * (scale - 32) * (value of the nibble - 128)
    """
    b, e = rows.e.builder, rows.e
    head, low, _, _ = rows.sixteen(0)
    d = rows.half(head)
    for j in range(8):
        whole = b.or_(rows.masked(low, 15, 4 * j), rows.raised(rows.masked(head, 3, 16 + 2 * j), 4))
        scale = rows.product(d, rows.number(b.sub(whole, e.const(e.ints, 32))))
        save(j, _iq4_groups(rows, 8 + 16 * j), [scale], [rows.times(-128.0, scale)])


def _f32(rows: Rows, save: Callable[[int, Value], None]) -> None:
    for i in range(8):
        for j, word in enumerate(rows.sixteen(16 * i)):
            save(4 * i + j, rows.e.bits(word, rows.e.floats))


def _f16(rows: Rows, save: Callable[[int, Value], None]) -> None:
    for i in range(4):
        for j, word in enumerate(rows.sixteen(16 * i)):
            save(8 * i + 2 * j, rows.half(word))
            save(8 * i + 2 * j + 1, rows.half(word, 16))


def _bf16(rows: Rows, save: Callable[[int, Value], None]) -> None:
    b, e = rows.e.builder, rows.e
    for i in range(4):
        for j, word in enumerate(rows.sixteen(16 * i)):
            save(8 * i + 2 * j, e.bits(rows.raised(word, 16), e.floats))
            save(8 * i + 2 * j + 1, e.bits(b.and_(word, e.const(e.ints, 0xFFFF0000)), e.floats))


FORMATS: Final[Mapping[TensorType, Format]] = {
    TensorType.F32: Format(Floats(), _f32),
    TensorType.F16: Format(Floats(), _f16),
    TensorType.BF16: Format(Floats(), _bf16),
    TensorType.Q4_0: Format(Quantised(1, 4), _q4_0),
    TensorType.Q4_1: Format(Quantised(1, 4), _q4_1),
    TensorType.Q5_0: Format(Quantised(1, 5), _q5_0),
    TensorType.Q5_1: Format(Quantised(1, 5), _q5_1),
    TensorType.Q8_0: Format(Quantised(1, 8), _q8_0),
    TensorType.Q2_K: Format(Quantised(2, 2), _q2_k),
    TensorType.Q3_K: Format(Quantised(2, 3), _q3_k),
    TensorType.Q4_K: Format(Quantised(1, 4), _q4_k),
    TensorType.Q5_K: Format(Quantised(1, 5), _q5_k),
    TensorType.Q6_K: Format(Quantised(2, 6), _q6_k),
    TensorType.IQ4_NL: Format(Quantised(1, 8), _iq4_nl),
    TensorType.IQ4_XS: Format(Quantised(1, 8), _iq4_xs),
}


# How far fetching is ahead of the same place in the panel before. The last of the rows would have a sixteenth of a panel, which
# is less than memory takes to answer where rows are short: rows of 1,536 in Q4_K read at 19 GB/s so, and at 23 with this lead.
_LEAD_BYTES: Final = 16 << 10


def unit_blocks(type_: TensorType) -> int:
    """Blocks of 32 weights in one block of the file."""
    return max(1, type_.block_elements // BLOCK)


def unit_bytes(type_: TensorType) -> int:
    return type_.row_bytes(unit_blocks(type_) * BLOCK)


def emit_pack(module: Any, name: str, type_: TensorType, target: Target) -> None:
    """(row addresses, first block, blocks, panel, what to prefetch): unpack a panel.

    The next panel is fetched linearly, at the rate this one is read: rows lie behind each other.
    """
    format_ = FORMATS[type_]
    e = Emitter(module, name, 5, target.lanes)
    rows, first, blocks, panel, ahead = e.arguments
    unit = unit_blocks(type_)
    first_unit = e.div(first, unit)
    panel_bytes = format_.panel.block_bytes(e.lanes)

    def body(i: Value) -> None:
        at = e.mul(e.add(first_unit, i), unit_bytes(type_))
        addresses = [e.add(e.load(I64, rows, 8 * r, align=8), at) for r in range(e.lanes)]
        out = e.add(panel, e.mul(i, unit * panel_bytes))

        def save(j: int, *parts: Any) -> None:
            format_.panel.save(e, out, j, parts)
            fetch(j + 1)

        fetch = _fetch(e, type_, e.add(ahead, e.mul(at, e.lanes)))
        format_.unpack(Rows(e, target, addresses), save)

    e.each(e.div(blocks, unit), body)
    e.returns()


def emit_single(module: Any, name: str, type_: TensorType, target: Target) -> None:
    """(first row's address, bytes of a row, blocks, columns record, totals): a whole panel times one column.

    What `emit_pack` and the dots do, and in the same order, without the way through memory: weights go from the file's blocks
    into registers and meet the column there. totals are overwritten.
    """
    panel = FORMATS[type_].panel
    e = Emitter(module, name, 5, target.lanes)
    base, row_bytes, blocks, record, totals = e.arguments
    place = panel.columns(e, record)

    def block(first: Value, unpack: Unpack, carried: list[Value]) -> list[Value]:
        (total,) = carried

        def meet(pieces: Sequence[Piece]) -> None:
            nonlocal total
            total = target.settled(e, panel.meet(e, target, pieces, place(0, first), total))

        unpack(meet)
        return [total]

    (total,) = _each_block(e, type_, target, (base, row_bytes, blocks), block, [e.const(e.floats, 0.0)])
    e.store(total, totals)
    e.returns()


def emit_few(module: Any, name: str, type_: TensorType, target: Target) -> None:
    """(first row's address, bytes of a row, blocks, columns record, columns, totals): a whole panel times some columns.

    As `emit_single`: weights are unpacked once, and meet one column after another. The sums wait in the first cache.
    """
    panel, width = FORMATS[type_].panel, 4 * target.lanes
    e = Emitter(module, name, 6, target.lanes)
    base, row_bytes, blocks, record, columns, totals = e.arguments
    place = panel.columns(e, record)
    e.each(columns, lambda c: e.store(e.const(e.floats, 0.0), totals, e.mul(c, width)))

    def block(first: Value, unpack: Unpack, carried: list[Value]) -> list[Value]:
        def meet(pieces: Sequence[Piece]) -> None:
            def column(c: Value) -> None:
                at = e.mul(c, width)
                e.store(panel.meet(e, target, pieces, place(c, first), e.load(e.floats, totals, at)), totals, at)

            e.each(columns, column)

        unpack(meet)
        return carried

    _each_block(e, type_, target, (base, row_bytes, blocks), block, [])
    e.returns()


Unpack = Callable[[Callable[[Sequence[Piece]], None]], None]  # gives its argument the pieces of a block, some at a time


def _each_block(
    e: Emitter,
    type_: TensorType,
    target: Target,
    rows: tuple[Value, Value, Value],
    block: Callable[[Value, Unpack, list[Value]], list[Value]],
    carried: list[Value],
) -> list[Value]:
    """carried = block(its first block of 32, what unpacks it, carried) for each of the file's blocks in a panel.

    `rows`: the first one's address, their bytes, their blocks of 32.
    """
    format_, unit, (base, row_bytes, blocks) = FORMATS[type_], unit_blocks(type_), rows
    anchors = [e.add(base, e.mul(row_bytes, r)) for r in range(0, e.lanes, 4)]
    steps = [e.mul(row_bytes, r) for r in range(4)]
    ahead = e.add(base, e.mul(row_bytes, e.lanes))

    def body(i: Value, carried: list[Value]) -> list[Value]:
        at = e.mul(i, unit_bytes(type_))
        here = [e.add(anchor, at) for anchor in anchors]
        read = Rows(e, target, [e.add(anchor, step) for anchor in here for step in steps])
        fetch = _fetch(e, type_, e.add(ahead, e.mul(at, e.lanes)))

        def unpack(meet: Callable[[Sequence[Piece]], None]) -> None:
            pieces: list[Piece] = []

            def save(j: int, *parts: Any) -> None:
                pieces.append((j, parts))
                if len(pieces) == format_.panel.together(e.lanes):
                    meet(pieces)
                    pieces.clear()
                fetch(j + 1)

            format_.unpack(read, save)

        return block(e.mul(i, unit), unpack, carried)

    return e.loop(e.div(blocks, unit), body, carried)


def _fetch(e: Emitter, type_: TensorType, start: Value) -> Callable[[int], None]:
    """Prefetches the next panel's part that lies where one block of the file lies in each row here: a burst now, and what the
    result is told of, after how many blocks of 32, brings the others. The fewer in one go, the more evenly they come between
    arithmetic: on Zen 4, whose second cache keeps 48 misses in flight, the 53 lines of a Q6_K panel's block read at 12 GB/s in
    one go, 16 in two, 22 in four and 24 in eight.

    A burst is a loop: one instruction that walks along memory is what the core's own prefetcher follows; a row of them, each
    with its own address and stride, reads a fifth slower.
    """
    unit, lines = unit_blocks(type_), -(-e.lanes * unit_bytes(type_) // LINE_BYTES)
    start, bursts = e.add(start, _LEAD_BYTES), {i: (lines * i // unit, lines * (i + 1) // unit) for i in range(unit)}

    def fetch(done: int) -> None:
        if done in bursts:
            low, high = bursts.pop(done)
            e.each(high - low, lambda i: e.prefetch(start, e.mul(e.add(i, low), LINE_BYTES)))

    fetch(0)
    return fetch
