"""Whether an exchange that is run again is run as it was, and whether what came of it is the same. Pure.

Our kernels give the same bits whatever else is computed beside them, on however many threads, from memory or from disk. They do
not across kernel sets, and other libraries, another build or another holding of keys and values may give others: each is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from freehold.core.errors import VerificationError
from freehold.core.events import ServedBy
from freehold.core.receipts import Claims, tokens_digest

# What a replay has to have alike, and how people call it.
_SERVED: Final = {
    "model_id": "model",
    "template_digest": "chat template",
    "build": "build",
    "kernels": "kernels",
    "kv_type": "keys and values",
    "libraries": "libraries",
    "context_tokens": "context",
    "seed": "seed",
    "watermark": "watermark",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not as it was: the receipt's word for it, and today's."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.then} then, {self.now} now"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDifference:
    """The first token that is another. None is that there is none: one of the answers ends before it."""

    choice: int
    place: int  # from 0
    then: int | None
    now: int | None


def differences(then: ServedBy, now: ServedBy) -> list[Difference]:
    """What computed, then and now. The build names its kernels and more, which are told apart: of it only the release counts."""
    found = []
    for name, words in _SERVED.items():
        before, after = _of(then, name), _of(now, name)
        if before != after:
            found.append(Difference(what=words, then=_said(before), now=_said(after)))
    return found


def sampling_differences(then: Mapping[str, object], now: Mapping[str, object]) -> list[Difference]:
    """The parameters that the receipt was signed over, and those that the kept request asks for."""
    names = sorted({*then, *now})
    return [
        Difference(what=name, then=_said(then.get(name)), now=_said(now.get(name)))
        for name in names
        if then.get(name) != now.get(name)
    ]


def check_tokens(claims: Claims, tokens: Sequence[Sequence[int]]) -> None:
    """Raises VerificationError where these are not the tokens that the receipt was signed over."""
    if not same_tokens(claims, tokens):
        raise VerificationError("the kept tokens are not those that the receipt was signed over")


def same_tokens(claims: Claims, now: Sequence[Sequence[int]]) -> bool | None:
    """Whether these are the tokens that the receipt was signed over; None where it names none."""
    return None if claims.tokens_digest is None else tokens_digest(claims.salt, now) == claims.tokens_digest


def first_difference(then: Sequence[Sequence[int]], now: Sequence[Sequence[int]]) -> FirstDifference | None:
    for choice, (before, after) in enumerate(zip_longest(then, now, fillvalue=())):
        for place, (one, other) in enumerate(zip_longest(before, after)):
            if one != other:
                return FirstDifference(choice=choice, place=place, then=one, now=other)
    return None


def _of(served: ServedBy, name: str) -> object:
    value = getattr(served, name)
    return " ".join(value.split()[:2]) if name == "build" and isinstance(value, str) and served.kernels else value


def _said(value: object) -> str:
    return "none" if value is None else str(value)
