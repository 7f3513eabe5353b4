"""Where, in a text full of escapes, something may be once they are resolved.

Decoding looks at each unit with what is before it: fifty times the work of reading plain text, and a text can be made of escapes
alone. So where there are many, all are resolved at once, as often as decoding would do it, and the filter reads what comes of it:
where that flags nothing, decoding would find nothing.
"""

from collections.abc import Iterator

from freehold.guard.decodings import OBSCURE_CONFIDENCE, View, as_written, may_be_encoded, unescaped, unspaced
from freehold.guard.matcher import DECODE, RUN, Flag, Matcher, Wanted

MANY = 8  # escapes of one text; below it costs less to decode


def hidden_stretches(matcher: Matcher, wanted: Wanted, data: bytes, origin: int) -> list[Flag]:
    """What to decode of `data`, which begins at position `origin`: where something may be by what its escapes stand for."""
    return [Flag(origin + low, origin + high, DECODE) for low, high in _stretches(matcher, wanted, data)]


def _stretches(matcher: Matcher, wanted: Wanted, data: bytes) -> Iterator[tuple[int, int]]:
    plain = unescaped(as_written(data))
    if plain is None:
        return
    yield from _flagged(matcher, wanted, plain, is_last=False)
    for view in (unescaped(plain), unspaced(plain)):
        if view is not None:
            yield from _flagged(matcher, wanted, view, is_last=True)


def _flagged(matcher: Matcher, wanted: Wanted, view: View, *, is_last: bool) -> Iterator[tuple[int, int]]:
    """`is_last`: what may be encoded in it is not looked at."""
    reader = matcher.open(wanted)
    reader.feed(view.data)
    reader.close()
    size = len(view.data)
    seen = Flag(0, 0, DECODE)
    for flag in reader.flags:
        if flag.kind >= 0:
            if view.obscure and matcher.detectors[flag.kind].confidence < OBSCURE_CONFIDENCE:
                continue
            kept = matcher.narrowed(flag, view.data, 0, is_whole=True)
            if kept is not None and not (seen.low <= kept.low and kept.high <= seen.high):
                seen = kept
                yield view.place(kept.low)[0], view.place(min(kept.high, size) - 1)[1]
        elif flag.kind == RUN and not is_last and may_be_encoded(view.data, flag.low):
            yield view.place(flag.low)
