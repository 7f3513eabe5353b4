"""Verdicts by digest of their texts: an agent sends its whole history again with every request.

Keeps digests, scores and places, never a text; the oldest go first. Any thread may ask.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

from freehold.core.findings import Channel
from freehold.guard.injection.judge import judge_slices
from freehold.guard.injection.settings import ASKED
from freehold.guard.injection.verdict import InjectionVerdict

LIMIT = 20_000  # of some 200 bytes each, most of them without signals: 4 MB


class Verdicts:
    """One for all exchanges of a node. `key` keeps others from finding out what a digest is of."""

    def __init__(self, key: bytes, limit: int = LIMIT) -> None:
        self._key, self._limit = key[:64], limit
        self._known: OrderedDict[bytes, InjectionVerdict] = OrderedDict()

    def of(self, text: str, source: Channel) -> InjectionVerdict:
        *_, verdict = self.steps(text, source)
        assert verdict is not None
        return verdict

    def steps(self, text: str, source: Channel) -> Iterator[InjectionVerdict | None]:
        """None before each slice of a text that is new, and the verdict at last."""
        kind = b"asked" if source in ASKED else source.value.encode()
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key, person=kind[:16]).digest()
        known = self._known.get(digest)
        if known is None:
            yield None
            for judged in judge_slices(text, source):
                known = judged if known is None else known.joined(judged)
                yield None
            assert known is not None
            self._known[digest] = known
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        else:
            self._known[digest] = self._known.pop(digest, known)  # the newest; another thread may have dropped it
        yield known
