"""Tool calls in a model's own words: which form its chat template teaches, and reading calls of that form out of a stream.

Decided here: a call is given out whole, and only once it is one (its JSON parses, it has a name and an object of arguments);
until then its text is held back. What turns out to be no call stays text. The forms, as their makers document them:

    hermes     <tool_call>{"name": ..., "arguments": {...}}</tool_call>             Hermes, Qwen 2.5 and 3, SmolLM3
    mistral    [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]                 Mistral to 2024
    tekken     [TOOL_CALLS]name[ARGS]{...}                                          Mistral since
    marked     <|tool_call|>[{"name": ..., "arguments": {...}}, ...]<|/tool_call|>  Phi-4
    granite    the same without the end                                             Granite 3
    llama      {"name": ..., "parameters": {...}}, perhaps after <|python_tag|>     Llama 3

Small models and those made for code forget the markers: where an answer begins with a JSON object, in a fence or not, that has
the name of a tool that was offered, its arguments and nothing else, it is a call as well.

Pure: text in, text and calls out.
"""

import json
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from freehold.engine.stops import Piece

_ID_CHARS: Final = string.ascii_letters + string.digits
_MISTRAL_ID_CHARS: Final = 9  # its templates refuse ids of any other length
_ARGUMENTS: Final = ("arguments", "parameters")
_FENCES: Final = ("```json", "```tool_call", "```", "<tools>")
_FENCE_ENDS: Final = {"`": "```", "<": "</tools>"}
_FENCE: Final = re.compile(rf"(?:(?:{'|'.join(_FENCES)})\s*)?\{{")
_FENCE_BEGUN: Final = re.compile(
    "|".join(
        [
            *(re.escape(fence[:size]) + "$" for fence in _FENCES for size in range(1, len(fence))),
            *(rf"{fence}\s*$" for fence in _FENCES),
        ]
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFormat:
    """`begin` stands before a call or a list of calls, `end` after it; empty where there is none.

    `key` names the arguments. In a form that `is_bare`, models are taught to write the JSON alone. With `named` the call is its
    name, that marker, and its arguments.
    """

    name: str
    begin: str
    end: str = ""
    key: str = "arguments"
    is_list: bool = False
    is_bare: bool = False
    named: str = ""
    break_inside: str = ""  # what the template writes between the markers and the JSON
    between: str = ""  # and between calls
    short_ids: bool = False

    @property
    def markers(self) -> tuple[str, ...]:
        return tuple(marker for marker in (self.begin, self.end, self.named) if marker)


FORMATS: Final = {
    form.name: form
    for form in (
        CallFormat(name="hermes", begin="<tool_call>", end="</tool_call>", break_inside="\n", between="\n"),
        CallFormat(name="mistral", begin="[TOOL_CALLS]", is_list=True, short_ids=True),
        CallFormat(name="tekken", begin="[TOOL_CALLS]", named="[ARGS]", short_ids=True),
        CallFormat(name="marked", begin="<|tool_call|>", end="<|/tool_call|>", is_list=True),
        CallFormat(name="granite", begin="<|tool_call|>", is_list=True),
        CallFormat(name="llama", begin="<|python_tag|>", key="parameters", is_bare=True),
    )
}


def call_format(template: str) -> CallFormat | None:
    """The form that a chat template teaches, by the words it uses for it; None for one that is not known."""
    if "[TOOL_CALLS]" in template:
        return FORMATS["tekken" if "[ARGS]" in template else "mistral"]
    if "<tool_call>" in template:
        # Qwen3-Coder and GLM write arguments as tags of their own inside the same marker.
        return None if "<function=" in template or "<arg_key>" in template else FORMATS["hermes"]
    if "<|tool_call|>" in template:
        return FORMATS["marked" if "<|/tool_call|>" in template else "granite"]
    if '"parameters": dictionary' in template:
        return FORMATS["llama"]
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`arguments` is JSON text of an object."""

    call_id: str
    name: str
    arguments: str = field(repr=False)


Read: TypeAlias = Piece | Call


class CallReader:
    """Of one answer. `names` are the tools that were offered: a call without its markers must be of one of them.

    Calls that the model gives no ids get them from `answer`, which nobody guesses and a replay gives again.
    """

    def __init__(self, form: CallFormat, names: Sequence[str], answer: str = "") -> None:
        self._form, self._names = form, frozenset(names)
        self._answer, self._made_ids = answer or secrets.token_hex(16), 0
        self._may_be_bare = not form.named
        self._held: list[Piece] = []  # from where a call may have begun, or a marker of one
        self._open: _Body | None = None
        self._opened_chars = 0
        self._is_marked = False
        self._has_said = self._has_called = False

    def receive(self, piece: Piece) -> list[Read]:
        self._held.append(piece)
        if self._open is not None:
            self._open.add(piece.text)
        return self._read(is_last=False)

    def close(self) -> list[Read]:
        """The answer is over: what is held is a call after all, or text."""
        return self._read(is_last=True)

    def _read(self, *, is_last: bool) -> list[Read]:
        found: list[Read] = []
        while True:
            if self._open is None and not self._begin(found):
                break
            assert self._open is not None
            end = self._open.end(is_last=is_last)
            if end is None:
                return found
            calls = self._calls(self._open.parsed) if end >= 0 else []
            if calls:
                found += calls
                self._has_called, self._has_said = True, False
                self._held = _after(self._held, self._opened_chars + end)
            else:  # no call: its marker is text like any other
                found += self._say(max(1, self._opened_chars))
            self._open, self._is_marked = None, False
        if is_last and self._held:
            chars = sum(len(piece.text) for piece in self._held)
            if self._has_called and not self._text().strip():
                self._held = []  # a line break after a call is nobody's text
            else:
                found += self._say(chars)
        return found

    def _begin(self, found: list[Read]) -> bool:
        """Give out what is surely text; True where a call begins."""
        text = self._text()
        start = len(text) - len(text.lstrip(" \n\r\t;," if self._has_called else None))
        if self._may_be_bare and not self._has_said and (fence := _FENCE.match(text, start)):
            self._opens(fence.end() - 1, _FENCE_ENDS.get(text[start], ""))
            return True
        at = text.find(self._form.begin)
        if at >= 0:
            if self._has_said or text[:at].strip():
                found += self._say(at)
                at = 0
            self._is_marked = True
            self._opens(at + len(self._form.begin), self._form.end, self._form.named)
            return True
        if self._may_be_bare and not self._has_said and _FENCE_BEGUN.match(text, start):
            return False
        sure = len(text) - _unsure(text, self._form.begin)
        if not self._has_said and not text[:sure].strip(" \n\r\t;," if self._has_called else None):
            return False  # white space before a call is none of the answer's text: wait for what follows
        found += self._say(self._whole(sure))
        return False

    def _opens(self, at: int, end: str, named: str = "") -> None:
        """A body begins at `at`; white space and the marker or fence before it are part of the call, if it is one."""
        self._opened_chars = at
        self._open = _Body(end, named)
        self._open.add(self._text()[at:])

    def _say(self, chars: int) -> list[Read]:
        """The first `chars` of what is held, as text."""
        pieces, self._held = _before(self._held, chars), _after(self._held, chars)
        said = [piece for piece in pieces if piece.text or piece.logprobs]
        self._has_said = self._has_said or any(piece.text.strip() for piece in said)
        return list(said)

    def _whole(self, chars: int) -> int:
        """Up to the end of the last piece that lies in the first `chars`: a token goes out in one piece."""
        end = 0
        for piece in self._held:
            if end + len(piece.text) > chars:
                break
            end += len(piece.text)
        return end

    def _text(self) -> str:
        return "".join(piece.text for piece in self._held)

    def _calls(self, parsed: Any) -> list[Call]:
        """The calls that a value stands for; none where any part of it is no call."""
        items = parsed if isinstance(parsed, list) else [parsed]
        calls = [self._call(item) for item in items]
        return [call for call in calls if call is not None] if None not in calls else []

    def _call(self, item: Any) -> Call | None:
        if not isinstance(item, dict) or not isinstance(name := item.get("name"), str) or not name:
            return None
        if not self._is_marked and (name not in self._names or not item.keys() <= {"name", "type", "id", *_ARGUMENTS}):
            return None
        arguments: Any = next((item[key] for key in (self._form.key, *_ARGUMENTS) if key in item), {})
        if isinstance(arguments, str):  # some models write them as JSON in a string
            arguments = _loads(arguments)
        if not isinstance(arguments, dict):
            return None
        given = item.get("id")
        call_id = given if isinstance(given, str) and given else self._new_id()
        return Call(call_id=call_id, name=name, arguments=json.dumps(arguments, ensure_ascii=False))

    def _new_id(self) -> str:
        self._made_ids += 1
        digest = blake2b(f"{self._answer} {self._made_ids}".encode(), digest_size=24).digest()
        drawn = "".join(_ID_CHARS[byte % len(_ID_CHARS)] for byte in digest)
        return drawn[:_MISTRAL_ID_CHARS] if self._form.short_ids else f"call_{drawn}"


class _Body:
    """What follows a marker: one JSON value, or a name and one, and the end marker. Each character is looked at once."""

    def __init__(self, marker_after: str, marker_inside: str) -> None:
        self._end, self._named = marker_after, marker_inside
        self._text = ""
        self._at = 0  # looked at up to here
        self._depth = 0
        self._in_string = self._is_escaped = False
        self._start: int | None = None  # of the JSON
        self._stop: int | None = None  # its end
        self._name: str | None = None
        self.parsed: Any = None

    def add(self, text: str) -> None:
        self._text += text

    def end(self, *, is_last: bool) -> int | None:
        """Where it ends, in its own characters; None until that is known, -1 where it is none."""
        if self._named and self._name is None:
            at = self._text.find(self._named)
            if at < 0:
                return -1 if is_last else None
            self._name = self._text[:at].strip()
            self._at = at + len(self._named)
        if self._stop is None:
            self._stop = self._scan()
            if self._stop is None:
                return -1 if is_last else None
            if self._start is None:
                return -1
            value = _loads(self._text[self._start : self._stop])
            self.parsed = value if self._name is None else {"name": self._name, "arguments": value}
        if not self._end:
            return self._stop
        rest = self._text[self._stop :]
        tail = rest.lstrip()
        if tail.startswith(self._end):
            return len(self._text) - len(tail) + len(self._end)
        may_come = self._end.startswith(tail)
        return None if may_come and not is_last else self._stop  # a model that forgets the end has called all the same

    def _scan(self) -> int | None:
        """On through the JSON to its end; None while it goes on, -1 where there is none."""
        for at in range(self._at, len(self._text)):
            char = self._text[at]
            if self._start is None:
                if char.isspace():
                    continue
                if char not in "{[":
                    return -1
                self._start = at
            if self._in_string:
                if self._is_escaped:
                    self._is_escaped = False
                elif char == "\\":
                    self._is_escaped = True
                elif char == '"':
                    self._in_string = False
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return at + 1
        self._at = len(self._text)
        return None


def _loads(text: str) -> Any:
    """The value; None for what is no JSON, NaN and infinities included."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def _unsure(text: str, marker: str) -> int:
    """Length of the longest end of `text` that begins `marker`."""
    return next((size for size in range(min(len(marker) - 1, len(text)), 0, -1) if text.endswith(marker[:size])), 0)


def _before(pieces: Sequence[Piece], chars: int) -> list[Piece]:
    """The first `chars` characters. Of a piece that is cut, the log-probabilities go with its first part."""
    taken: list[Piece] = []
    for piece in pieces:
        if chars < len(piece.text):
            if chars > 0:
                logprobs = piece.logprobs
                if len(logprobs) == 1:
                    part = piece.text[:chars]
                    logprobs = (replace(logprobs[0], token=part, token_bytes=part.encode()),)
                taken.append(Piece(text=piece.text[:chars], logprobs=logprobs))
            break
        taken.append(piece)
        chars -= len(piece.text)
    return taken


def _after(pieces: Sequence[Piece], chars: int) -> list[Piece]:
    """What `_before` leaves."""
    for number, piece in enumerate(pieces):
        if chars < len(piece.text):
            return [Piece(text=piece.text[chars:], logprobs=() if chars else piece.logprobs), *pieces[number + 1 :]]
        chars -= len(piece.text)
    return []
