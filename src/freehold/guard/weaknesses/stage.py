"""The stage that looks at generated code in an answer: each fenced piece once, when it is complete.

What is found is recorded with the delta that completes the piece; text waits for nothing, unless settings can block: then a
fenced piece is held until it is judged. With `annotate` a note is written behind a piece that has a weakness. Other channels,
tool calls among them, go straight on: code that a tool writes is judged with its call.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

from freehold.core.events import Blocked, Event, Found, MessageEnd, PartEnd, PartKind, TextDelta
from freehold.core.findings import Action, Channel, Direction, Finding, Verdict
from freehold.core.late import Late
from freehold.guard.languages import language_named
from freehold.guard.syntax import Language
from freehold.guard.weaknesses.fences import PASSED_CHARS, PASSED_LIMIT, Code, Fences
from freehold.guard.weaknesses.settings import CodeSettings, ruling
from freehold.guard.weaknesses.weakness import SQUAT, Weakness

CATEGORY = "weakness"
# For all weaknesses, or for names of packages alone. What looks takes 3 MiB, and 40 ms of the first answer with code in it.
LOOKS: Mapping[Literal["all", "packages"], Callable[[str, Language | None, str], tuple[Weakness, ...]]] = Late(
    __package__, {"all": "find:find", "packages": "packages:squatted"}
)
LIMIT_TEXTS = 1024  # of one answer that are watched; as many as the redactor lets be open
_NOTED = 3  # weaknesses named in one note


def findings_of(
    weaknesses: Iterable[Weakness], settings: CodeSettings, channel: Channel, part: int, at: int = 0
) -> list[Finding]:
    """One for each that settings care about. `at` is where the code begins in the channel's text."""
    found: list[Finding] = []
    for weakness in weaknesses:
        decided = ruling(weakness, settings)
        if decided is None:
            continue
        action, mode = decided
        found.append(
            Finding(
                rule=weakness.rule,
                category=CATEGORY,
                direction=Direction.RESPONSE,
                channel=channel,
                part=part,
                start=at + weakness.start,
                end=at + weakness.end,
                confidence=weakness.confidence,
                action=action,
                mode=mode,
            )
        )
    return found


class CodeStage:
    """A `Stage` for one answer."""

    def __init__(self, settings: CodeSettings, policy_digest: str) -> None:
        self._settings, self._policy_digest = settings, policy_digest
        self._holds = settings.may_block
        self._texts: dict[tuple[int, int], _Text] = {}
        self._has_blocked = False
        self._choice = self._part = -1  # of the text that came last, where its pieces may be passed by
        self._passed: list[str] = []  # of its pieces, those that were passed by

    def receive(self, event: Event) -> list[Event]:
        if type(event) is TextDelta and event.part == self._part and event.choice == self._choice:
            piece, passed = event.text, self._passed
            if (
                "`" not in piece
                and "~" not in piece
                and len(piece) <= PASSED_CHARS
                and event.source_chars is None
                and len(passed) < PASSED_LIMIT
            ):
                passed.append(piece)  # most of most answers: every step here counts
                return [event]
        return self._receive(event)

    def _receive(self, event: Event) -> list[Event]:
        if self._has_blocked:
            return []
        if isinstance(event, TextDelta):
            return self._delta(event) if self._settings.enabled else [event]
        if isinstance(event, PartEnd | MessageEnd | Blocked):
            return [*self._ended(event), *([] if self._has_blocked else [event])]
        return [event]

    def weighs(self, event: Event | None) -> int:
        """Implements `core.stage.Judge`."""
        if isinstance(event, TextDelta):
            text = self._texts.get((event.choice, event.part))
            return len(event.text) if text is None else text.fences.weighs(event.text)
        if event is None or isinstance(event, PartEnd | MessageEnd | Blocked):
            return sum(text.fences.open_chars for text in self._texts.values())
        return 0

    def close(self) -> list[Event]:
        return [] if self._has_blocked else self._ended(None)

    def _delta(self, event: TextDelta) -> list[Event]:
        out = self._watched(event)
        text = self._texts.get((event.choice, event.part))
        is_plain = text is not None and text.fences.is_plain and not text.held and not (self._holds and text.fences.is_open)
        self._choice, self._part = (event.choice, event.part) if is_plain else (-1, -1)
        if text is not None:
            self._passed = text.fences.passed
        return out

    def _watched(self, event: TextDelta) -> list[Event]:
        key = event.choice, event.part
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= LIMIT_TEXTS:
                return [event]
            text = self._texts[key] = _Text(event.part)
        fences = text.fences
        done = fences.feed(event.text, len(event.text) if event.source_chars is None else event.source_chars)
        if not done and not text.held and not (self._holds and (fences.is_open or fences.may_open)):
            return [event]
        text.held.append(event)
        if self._holds and not done and (fences.is_open or fences.may_open):
            return []
        return self._judged(text, done)

    def _judged(self, text: "_Text", done: list[Code]) -> list[Event]:
        """What is recorded of the pieces that are complete, and what of the text may go on."""
        found: list[Event] = []
        notes: list[tuple[int, str]] = []
        for code in done:
            weaknesses = _weaknesses_in(code)
            findings = findings_of(weaknesses, self._settings, Channel.TEXT, text.part, code.start)
            found += [Found(finding=finding) for finding in findings]
            stopping = tuple(finding for finding in findings if finding.enforced is Action.BLOCK)
            if stopping:
                self._has_blocked = True
                self._texts.clear()
                verdict = Verdict(action=Action.BLOCK, policy_digest=self._policy_digest, findings=stopping)
                return [*found, Blocked(verdict=verdict)]
            if self._settings.annotate and findings:
                notes.append((code.at, note([weakness for weakness in weaknesses if ruling(weakness, self._settings)])))
        if self._holds and text.fences.is_open:  # another piece has begun
            return found
        held, text.held = text.held, []
        return [*found, *held[:-1], *([_annotated(held[-1], notes)] if held else [])]

    def _ended(self, event: PartEnd | MessageEnd | Blocked | None) -> list[Event]:
        out: list[Event] = []
        for key in list(self._texts):
            if isinstance(event, PartEnd) and (event.kind is not PartKind.TEXT or key != (event.choice, event.part)):
                continue
            if isinstance(event, MessageEnd) and key[0] != event.choice:
                continue
            text = self._texts.pop(key)
            self._choice = self._part = -1
            code = text.fences.end()
            out += self._judged(text, [code] if code is not None else [])
            if self._has_blocked:
                break
        return out


class _Text:
    """One text of the answer, and what of it waits."""

    __slots__ = ("fences", "held", "part")

    def __init__(self, part: int) -> None:
        self.fences = Fences()
        self.held: list[TextDelta] = []
        self.part = part


def note(weaknesses: list[Weakness]) -> str:
    """A line of Markdown, to stand behind a piece of code. In our own words alone."""
    named: dict[str, Weakness] = {}
    for weakness in sorted(weaknesses, key=lambda weakness: -weakness.severity.rank):
        named.setdefault(weakness.rule, weakness)
    said = [
        f"line {weakness.line}: {weakness.words} {weakness.fix} ({weakness.rule}, CWE-{weakness.cwe})"
        for weakness in list(named.values())[:_NOTED]
    ]
    left = len(named) - len(said)
    more = [f"and {left} more"] if left > 0 else []
    return "\n\n> Check before use: " + "; ".join([*said, *more]) + "\n"


def _annotated(event: TextDelta, notes: list[tuple[int, str]]) -> TextDelta:
    """With notes behind the places where pieces of code end. Log-probabilities are left out, as they are of other tokens."""
    if not notes:
        return event
    text = event.text
    for at, said in reversed(notes):
        text = text[:at] + said + text[at:]
    chars = len(event.text) if event.source_chars is None else event.source_chars
    return replace(event, text=text, logprobs=(), source_chars=chars)


def _weaknesses_in(code: Code) -> tuple[Weakness, ...]:
    """The language is guessed where the fence says nothing. Where it says one that nobody knows, only names of packages count."""
    word, name = _language(code.info), _named(code.info)
    found = LOOKS["all"](code.text, language_named(word), name)
    if word and not name and language_named(word) is None:
        return tuple(weakness for weakness in found if weakness.rule == SQUAT)
    return found


def _language(info: str) -> str:
    """The word that says it: "```python title=…", "``` {.js}"."""
    word = info.split(maxsplit=1)[0] if info else ""
    return word.strip("{}").removeprefix(".").split(":")[0].split(",")[0]


def _named(info: str) -> str:
    """A file's name, where the fence says one: "```python:app.py", "```js title="a.js""."""
    rest = info.partition(":")[2] or info.partition("title=")[2] or info.partition("filename=")[2]
    name = rest.strip("\"' {}")
    return name.split()[0].strip("\"'") if name.split() else ""
