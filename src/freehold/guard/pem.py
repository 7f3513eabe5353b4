"""How far the body of a PEM block goes: lines of base64 while they last, with the END line where there is one."""

import re

# What parts two lines, in a file or in source code (`\n" +`). It shares no character with base64 but the one `+` between two
# parts: so there is one way to read a text, and `re` takes linear time.
_GAP = rb"[\t-\r \"',#>*|\\]{1,40}"
_BETWEEN = _GAP + rb"(?:\+" + _GAP + rb")?"
_END = rb"(?:-----END [A-Z0-9 ]{1,40}-----|(?=Private-MAC))"  # PuTTY: what comes after the last line
_LOOK_AHEAD_CHARS = 160
_ENDING = re.compile(rb"[A-Za-z0-9+/=]{0,63}(?:" + _GAP + rb"[A-Za-z0-9+/=]{1,63}){0,6}(?:" + _GAP + rb")?" + _END)
_LINE = re.compile(rb"[A-Za-z0-9+/]{20}|[A-Za-z0-9+/]{0,19}={0,2}" + _BETWEEN + rb"(?=[A-Za-z0-9+/]{20})")
_LAST = re.compile(rb"[A-Za-z0-9+/]{0,19}={0,2}")


def body_end(data: bytes, at: int, end: int, final: bool) -> tuple[int, bool]:
    """(how far the PEM body from `at` is known to go, whether it ends there). Each step looks at as many characters."""
    while end - at >= _LOOK_AHEAD_CHARS or final:
        window = data[at : at + _LOOK_AHEAD_CHARS]
        if (ending := _ENDING.match(window)) is not None:
            return at + ending.end(), True
        if (line := _LINE.match(window)) is None:
            last = _LAST.match(window)
            return at + (last.end() if last else 0), True
        at += line.end()
    return at, False
