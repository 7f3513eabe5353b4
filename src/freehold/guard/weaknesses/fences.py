"""Finds fenced code in a text that comes in pieces: where it begins, in what language, and when it is complete.

A fence is a run of three or more backticks or tildes with nothing but blanks, quote and list marks before it on its line; that
which ends it is of the same sign, at least as long, and alone on its line (CommonMark §4.5), or at the end
of a piece. Pieces without such a sign may be passed by, for the cost of a few comparisons. No more than `LIMIT_CHARS` of one
piece of code is kept: what is longer is judged at that point.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

LIMIT_CHARS = 128 << 10  # as syntax.LIMIT_BYTES: more is not parsed
PASSED_LIMIT = 256  # pieces that are passed by until they are looked at together
PASSED_CHARS = 256  # of each: of code no more may be passed by than the limit has room for
_OPENER_CHARS = 256  # of the line that begins one; longer is no fence
_OPENS = re.compile(r"^[ \t>*+\-\d.)]*(`{3,}+|~{3,}+)([^`\n]*)\n", re.MULTILINE)
_MAY_OPEN = re.compile(r"(?:^|\n)[ \t>*+\-\d.)]*(?:`{1,}[^`\n]*|~{1,}[^\n]*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A complete piece of code. `start` is where it begins in the whole text, `at` where it ended in the piece that ended it."""

    text: str = field(repr=False)
    info: str
    start: int
    at: int


class Fences:
    """One text. `is_open` while inside a fence, or where one may just begin."""

    __slots__ = ("_chars", "_closes", "_code", "_info", "_line", "_position", "_start", "is_plain", "passed")

    def __init__(self) -> None:
        self.is_plain = True  # pieces without the sign of a fence may be passed by: nothing begins or ends with one
        self.passed: list[str] = []  # the pieces that were, since the last `catch_up`
        self._position = 0  # of the next piece in the text
        self._line = ""  # the line at hand, as far as it came
        self._code: list[str] | None = None
        self._closes: re.Pattern[str] | None = None
        self._chars = self._start = 0
        self._info = ""

    @property
    def is_open(self) -> bool:
        return self._code is not None

    @property
    def may_open(self) -> bool:
        """Whether the line at hand could become the beginning of a fence."""
        return self._code is None and ("`" in self._line or "~" in self._line) and _MAY_OPEN.search(self._line) is not None

    @property
    def open_chars(self) -> int:
        """Of the code that is not complete."""
        return 0 if self._code is None else self._chars + sum(map(len, self.passed))

    def weighs(self, text: str) -> int:
        """How many characters of code `text` completes, at most."""
        chars = self.open_chars + len(text)
        return chars if "`" in text or "~" in text or chars > LIMIT_CHARS else 0

    def feed(self, text: str, chars: int) -> list[Code]:
        """What `text`, which stands for `chars` characters of the whole, completes."""
        if self.passed:
            self.catch_up()
        done: list[Code] = []
        held = len(self._line)
        whole = self._line + text
        at = held  # in `whole`, which is gone through once, however many fences it has
        while at <= len(whole):
            code = self._inside(whole, at, held) if self._code is not None else self._outside(whole, at, held)
            if code is None:
                break
            at, found = code
            if found is not None:
                done.append(found)
        self._position += chars
        if self._code is None:
            self.is_plain = "`" not in self._line and "~" not in self._line
        else:
            self.is_plain = self._chars + PASSED_LIMIT * PASSED_CHARS <= LIMIT_CHARS
        return done

    def catch_up(self) -> None:
        """With the pieces that were passed by: where the next one stands, and how its line began."""
        text = "".join(self.passed)
        self.passed.clear()
        self._position += len(text)
        if self._code is None:
            self._keep_line(text)
        else:
            self._keep_code(text)

    def end(self) -> Code | None:
        """The text is over: what is open is complete."""
        if self.passed:
            self.catch_up()
        return None if self._code is None else self._complete(0)

    def _outside(self, whole: str, at: int, held: int) -> tuple[int, None] | None:
        """To behind the line that begins a fence; None where none begins in what is here. `held`: what was here before."""
        found = _OPENS.search(whole, at - len(self._line))
        if found is None:
            self._keep_line(whole[at:])
            return None
        sign = found[1]
        self._closes = _closer(sign[0], len(sign))
        self._info = found[2].strip()
        self._code, self._chars, self._line = [], 0, ""
        self._start = self._position + found.end() - held
        return found.end(), None

    def _keep_line(self, rest: str) -> None:
        """Of a line only as much as could begin a fence."""
        line = rest.rpartition("\n")[2] if "\n" in rest else self._line + rest
        self._line = line if len(line) <= _OPENER_CHARS else "x"

    def _inside(self, whole: str, at: int, held: int) -> tuple[int, Code | None] | None:
        """To behind the fence that ends the code; None where it goes on."""
        if self._closes is not None and (whole.find("`", at) >= 0 or whole.find("~", at) >= 0):
            found = self._closes.search(whole, at - len(self._line))
            if found is not None:
                self._code = [*(self._code or ()), whole[at : max(at, found.start())]]
                if found.start() < at:  # its line began in an earlier piece
                    joined = "".join(self._code)
                    self._code = [joined[: len(joined) - (at - found.start())]]
                return found.end(), self._complete(found.end() - held)
        self._keep_code(whole[at:])
        if self._chars > LIMIT_CHARS:
            return len(whole) + 1, self._complete(len(whole) - held)
        return None

    def _keep_code(self, rest: str) -> None:
        self._line = rest.rpartition("\n")[2] if "\n" in rest else (self._line + rest)[-_OPENER_CHARS:]
        if self._code is not None:
            self._code.append(rest)
        self._chars += len(rest)

    def _complete(self, at: int) -> Code:
        code = Code(text="".join(self._code or ()), info=self._info, start=self._start, at=at)
        self._code, self._closes, self._line = None, None, ""
        return code


@lru_cache(maxsize=256)
def _closer(sign: str, chars: int) -> re.Pattern[str]:
    return re.compile(rf"^[ \t>]*{re.escape(sign)}{{{chars},}}[ \t]*(?=\n|\Z)", re.MULTILINE)
