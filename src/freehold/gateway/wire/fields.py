"""Typed reading of untrusted documents. Each reader names the field at fault in the body's own words; None stands for absent.

Documents are what the JSON parser made: an object is a `dict`, which is told in a tenth of the time that `Mapping` takes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from freehold.core.errors import InvalidRequest

Document = Mapping[str, Any]

TOKENS_LIMIT = 1 << 31
MODEL_LIMIT_CHARS = 256
UNSUPPORTED = "unsupported_parameter"  # the code of what another dialect does not have

_Read = TypeVar("_Read")


def wrong(param: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: expected {expected}", param=param, code="invalid_value")


def missing(param: str, what: str = "missing or empty") -> InvalidRequest:
    return InvalidRequest(f"{param}: {what}", param=param, code="missing_required_parameter")


def unsupported(param: str, what: str) -> InvalidRequest:
    """What the client's dialect can say and no other can."""
    return InvalidRequest(f"{param}: {what}", param=param, code=UNSUPPORTED)


def lacks(dialect: str, what: str) -> InvalidRequest:
    """What the client's dialect said and the provider's can't."""
    return InvalidRequest(f"{what} can't be put into a request to a provider of {dialect}", code=UNSUPPORTED)


def said(strictly: Callable[[], _Read], leniently: Callable[[], _Read]) -> tuple[_Read, str | None]:
    """What a request says to every dialect, and None; or what it says to its own alone, and in words what that leaves unsaid."""
    try:
        return strictly(), None
    except InvalidRequest as exc:
        if exc.code != UNSUPPORTED:
            raise
        return leniently(), exc.message


def model_name(document: Document) -> str:
    name = required_text(document, "model")
    if len(name) > MODEL_LIMIT_CHARS:
        raise wrong("model", f"at most {MODEL_LIMIT_CHARS} characters")
    return name


def text(document: Document, key: str, where: str = "") -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise wrong(where + key, "a string")
    return value


def required_text(document: Document, key: str, where: str = "") -> str:
    value = text(document, key, where)
    if not value:
        raise missing(where + key)
    return value


def boolean(document: Document, key: str, where: str = "") -> bool | None:
    value = document.get(key)
    if value is not None and not isinstance(value, bool):
        raise wrong(where + key, "true or false")
    return value


def number(document: Document, key: str, low: float, high: float, where: str = "") -> float | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise wrong(where + key, f"a number from {low:g} to {high:g}")
    return float(value)


def integer(document: Document, key: str, low: int, high: int) -> int | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise wrong(key, f"a whole number from {low} to {high}")
    return value


def mapping(document: Document, key: str, where: str = "") -> Document | None:
    value = document.get(key)
    if value is not None and not isinstance(value, dict):
        raise wrong(where + key, "an object")
    return value


def sequence(document: Document, key: str, where: str = "") -> Sequence[Any] | None:
    value = document.get(key)
    if value is not None and not isinstance(value, list):
        raise wrong(where + key, "a list")
    return value


def member(value: Any, where: str) -> Document:
    """An item of a list that must be an object."""
    if not isinstance(value, dict):
        raise wrong(where, "an object")
    return value
