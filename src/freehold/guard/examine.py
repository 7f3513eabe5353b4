"""What the guard would say of one thing that a person hands it: a command, a file of code, a tool call, a result, a text.

Decided here: which judges each kind of thing goes through. A command and a tool call are judged by what they would do; code by
its weaknesses, and by what it does only where it is going to be run; what a tool brought back by whom it speaks to; all of them
by what they hold. What each judge says and what policy makes of it is theirs. Nothing is changed or kept.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import NamedTuple, Protocol

import msgspec

from freehold.core.effects import Effect, EffectKind, Reason
from freehold.core.findings import Action, Channel, Direction, Finding, Verdict
from freehold.guard.call_documents import WrittenCall
from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.presets import PresetName
from freehold.guard.calls.stage import findings_of as of_calls
from freehold.guard.calls.surroundings import Surroundings
from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.dialect import shell_dialect
from freehold.guard.languages import language_named
from freehold.guard.policy_file import PolicyFile
from freehold.guard.ruling import strictest
from freehold.guard.syntax import Language
from freehold.guard.weaknesses.fences import Fences
from freehold.guard.weaknesses.find import find
from freehold.guard.weaknesses.guess import guess
from freehold.guard.weaknesses.packages import squatted
from freehold.guard.weaknesses.settings import ruling
from freehold.guard.weaknesses.stage import findings_of as of_code
from freehold.guard.weaknesses.weakness import Weakness


class Kind(StrEnum):
    """What a thing is handed in as."""

    SHELL = "shell"
    CODE = "code"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    TEXT = "text"


class Texts(Protocol):
    """What a text holds: secrets, personal data, instructions. `stream_guard.StreamGuard` is one."""

    def check(self, text: str, channel: Channel = ..., direction: Direction = ..., tool: str = ...) -> Verdict: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """`findings` is all that was found, as a record would have it, and decides; the rest says where it came from."""

    kind: Kind
    findings: tuple[Finding, ...] = ()
    language: str = ""  # of a command or code, as far as it was told or guessed
    effects: tuple[Effect, ...] = field(repr=False, default=())  # what it does, whatever policy says of it
    reasons: tuple[Reason, ...] = ()  # what policy says of its effects: tagged and worse, the gravest first
    weaknesses: tuple[Weakness, ...] = ()
    words: str = ""

    @property
    def action(self) -> Action:
        return strictest([finding.enforced for finding in self.findings])


class Examiner:
    """One policy, asked about one thing at a time. `preset` goes before what the policy says; `folder` is the working folder."""

    def __init__(
        self,
        policy: PolicyFile,
        texts: Texts,
        *,
        direction: Direction = Direction.REQUEST,
        preset: PresetName | None = None,
        folder: str = "",
    ) -> None:
        self._policy, self._texts, self._direction, self._folder = policy, texts, direction, folder
        self._calls = CallJudge(policy.calls if preset is None else msgspec.structs.replace(policy.calls, preset=preset))

    def shell(self, text: str, languages: Sequence[Language] = ()) -> Examination:
        """A command line or script. Where its shell is not told and can't be told, it is all that it may be."""
        dialects = languages or shell_dialect(text)
        effects = self._effects(text, dialects)
        judged = self._calls.look_effects(effects)
        weaknesses = self._weak(text, Language.SHELL, is_run=True)
        return Examination(
            kind=Kind.SHELL,
            findings=(
                *of_calls(judged, chars=len(text)),
                *of_code(weaknesses, self._policy.code, Channel.TEXT, 0),
                *self._held(text, Channel.TEXT),
            ),
            language=" or ".join(dialects),
            effects=effects,
            reasons=judged.judgement.reasons,
            weaknesses=tuple(weaknesses),
            words=judged.judgement.words,
        )

    def code(self, text: str, language: Language | None = None, name: str = "", *, is_run: bool = False) -> Examination:
        """Code, or a text with fenced pieces of it. What it would do is told, and judged where it is going to be run.

        A shell's script does nothing but run others: what it surely does counts in any case. So it does of a text in no language
        that can be told, as it may be a command.
        """
        pieces = _fenced(text) if language is None and not name else []
        pieces = pieces or [_Piece(text, language or guess(text, name), name, 0)]
        effects: dict[Effect, None] = {}
        counted: dict[Effect, None] = {}
        weaknesses: list[Weakness] = []
        findings: list[Finding] = []
        for piece in pieces:
            done = self._done(piece)
            effects |= done
            counted |= done if is_run else _sure(done) if piece.is_command else {}
            found = self._weak(piece.text, piece.language, piece.name)
            weaknesses += found
            findings += of_code(found, self._policy.code, Channel.TEXT, 0, piece.start)
        judged = self._calls.look_effects(counted)
        return Examination(
            kind=Kind.CODE,
            findings=(*of_calls(judged, chars=len(text)), *findings, *self._held(text, Channel.TEXT)),
            language=" and ".join(dict.fromkeys(piece.language for piece in pieces if piece.language is not None)),
            effects=tuple(effects),
            reasons=judged.judgement.reasons,
            weaknesses=tuple(weaknesses),
            words=judged.judgement.words,
        )

    def _done(self, piece: "_Piece") -> dict[Effect, None]:
        languages = shell_dialect(piece.text) if piece.language is None else (piece.language,)
        return dict.fromkeys(self._effects(piece.text, languages))

    def _effects(self, text: str, languages: Sequence[Language]) -> tuple[Effect, ...]:
        """What any of them would do, each once."""
        first, *others = [analyse(text, language, folder=self._folder) for language in languages]
        return tuple(dict.fromkeys(chain(first, *others))) if others else first

    def tool_calls(self, calls: Iterable[WrittenCall]) -> Examination:
        """The calls that one answer makes, together: what they would do, and weaknesses of the code they write."""
        findings: list[Finding] = []
        reasons: list[Reason] = []
        weaknesses: list[Weakness] = []
        words: list[str] = []
        for tool, arguments in calls:
            judged = self._calls.look(tool, arguments, surroundings=Surroundings(self._folder))
            findings += of_calls(judged, chars=len(arguments))
            reasons += judged.judgement.reasons
            words += [judged.judgement.words] if judged.judgement.words else []
            found = [
                w
                for program in judged.written
                for w in self._weak(program.text, program.language, program.name, is_run=program.is_run)
            ]
            weaknesses += found
            findings += of_code(found, self._policy.code, Channel.TOOL_ARGUMENTS, 0)
            findings += self._held(arguments, Channel.TOOL_ARGUMENTS, tool)
        return Examination(
            kind=Kind.TOOL_CALL,
            findings=tuple(findings),
            effects=tuple(dict.fromkeys(reason.effect for reason in reasons)),
            reasons=tuple(reasons),
            weaknesses=tuple(weaknesses),
            words="\n".join(words),
        )

    def tool_result(self, text: str, tool: str = "") -> Examination:
        return Examination(kind=Kind.TOOL_RESULT, findings=self._held(text, Channel.TOOL_RESULT, tool))

    def text(self, text: str, channel: Channel = Channel.USER) -> Examination:
        return Examination(kind=Kind.TEXT, findings=self._held(text, channel))

    def _weak(self, text: str, language: Language | None, name: str = "", *, is_run: bool = False) -> list[Weakness]:
        """Those that policy cares about; of what is only run, the names of packages it installs."""
        look = squatted if is_run else find
        return [found for found in look(text, language, name) if ruling(found, self._policy.code) is not None]

    def _held(self, text: str, channel: Channel, tool: str = "") -> tuple[Finding, ...]:
        return self._texts.check(text, channel, self._direction, tool).findings


_WORD = re.compile(r"[{.\s]*([^\s:,{}]*)")  # of a fence's line, the language: "```python title=…", "``` {.js}"
_SHELLS = (Language.SHELL, Language.POWERSHELL, Language.BATCH, None)  # None: may be one
_NOT_SURE = (EffectKind.UNKNOWN, EffectKind.RUN)


class _Piece(NamedTuple):
    """Of code. `start` is where it begins in the whole text."""

    text: str
    language: Language | None
    name: str
    start: int

    @property
    def is_command(self) -> bool:
        return self.language in _SHELLS


def _sure(effects: Iterable[Effect]) -> dict[Effect, None]:
    return {effect: None for effect in effects if effect.kind not in _NOT_SURE}


def _fenced(text: str) -> list[_Piece]:
    """The pieces of code in an answer to a person; none where it has no fences."""
    if "```" not in text and "~~~" not in text:
        return []
    fences = Fences()
    found = fences.feed(text, len(text))
    last = fences.end()
    codes = [*found, *([last] if last is not None else [])]
    return [_Piece(code.text, language_named(_word(code.info)) or guess(code.text), "", code.start) for code in codes]


def _word(info: str) -> str:
    found = _WORD.match(info)
    return found[1] if found is not None else ""
