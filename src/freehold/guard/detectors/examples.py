"""Makes examples of tokens, so that none stands in the source for a scanner to find."""

import base64
import hashlib
import re
import string

BASE62 = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
BASE32 = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"


def b64url(text: str) -> str:
    """Base64 for addresses, without padding: what a JSON web token is made of."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def sample(length: int, alphabet: str = BASE62) -> str:
    """`length` characters that look random and are always the same. They begin and end with a letter or digit."""
    stream = hashlib.shake_256(f"{alphabet}/{length}".encode()).digest(2 * length)
    chars = [alphabet[(stream[2 * i] << 8 | stream[2 * i + 1]) % len(alphabet)] for i in range(length)]
    chars[0] = chars[0] if chars[0].isalnum() else alphabet[0]
    chars[-1] = chars[-1] if chars[-1].isalnum() else alphabet[0]
    return "".join(chars)


_TOKEN = re.compile(
    r"\[(?P<set>(?:\\.|[^\]\\])+)\]|\((?:\?i?:)?|(?P<bar>\|)|(?P<end>\))|\\(?P<escaped>.)|(?P<plain>.)", re.DOTALL
)
_REPEAT = re.compile(r"\{(\d+)(?:,\d*)?\}|(\?)")
_ANCHORS = "b"


def shaped(pattern: str) -> str:
    """An example of what `pattern` matches: the first of alternatives, the least of repetitions, what may be missing left out.

    Reads the plain patterns of the tables: characters, sets, groups, alternatives, and how often they come.
    """
    text, at = _shaped(pattern, 0)
    if at != len(pattern):
        raise ValueError(f"pattern {pattern!r} has an unopened group at {at}")
    return text


def _shaped(pattern: str, at: int) -> tuple[str, int]:
    """(example, where the group that began before `at` ends)."""
    out = ""
    first: str | None = None
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        assert found is not None  # its last alternative takes any character
        if found["end"]:
            break
        at = found.end()
        if found["bar"]:
            first, out = out if first is None else first, ""
            continue
        if found[0].startswith("("):
            piece, at = _shaped(pattern, at)
            at += 1
        elif found["set"]:
            piece = found["set"]
        else:
            piece = found["plain"] or ("" if found["escaped"] in _ANCHORS else found["escaped"])
        times = 1
        if repeat := _REPEAT.match(pattern, at):
            at, times = repeat.end(), 0 if repeat[2] else int(repeat[1])
        out += sample(times, _alphabet(piece)) if found["set"] and times else piece * times if not found["set"] else ""
    return (out if first is None else first), at


def _alphabet(inside: str) -> str:
    """The characters of a set, `A-Z0-9` written out."""
    chars = re.sub(r"\\(.)", r"\1", re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), inside))
    return "".join(dict.fromkeys(chars))
