"""Gemini's answers as providers send them, a stream's payloads or one body, to events.

A stream's payloads have no part numbers. Text goes on where text was before, whatever stood between, as clients join it; for one
of another dialect a sentence that ended before a call stays before it. A thought is over when something else begins; a call comes
whole. There is no last word: an answer has ended when every candidate has its `finishReason`, or when the prompt was blocked. A
call that came to nothing is an error to clients of other dialects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ServedBy,
    TokenLogprob,
    ToolCallStart,
)
from freehold.core.exchange import Exchange, Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.decoder import NAME_LIMIT_CHARS, Decoder, Run, ends_a_sentence, http_status, parsed, rejected
from freehold.gateway.wire.gemini_payload import Call, Candidate, Document, Part, arguments_text, parse, read_logprobs, read_usage
from freehold.gateway.wire.gemini_verbatim import EXTRA_PARTS, GeminiNotes, as_rewritten, extra_texts
from freehold.gateway.wire.gemini_words import DIALECT
from freehold.gateway.wire.prompt import sealed

_CUT_OFF_WORDS = (
    "SAFETY RECITATION LANGUAGE OTHER BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT"
    " IMAGE_RECITATION IMAGE_OTHER NO_IMAGE ESCALATION PUP_LIMITED_DISABLED MODEL_ARMOR"
)
_CUT_OFF = tuple(_CUT_OFF_WORDS.split())
_FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
    **dict.fromkeys(_CUT_OFF, FinishReason.CONTENT_FILTER),
}
_UNFINISHED = "FINISH_REASON_UNSPECIFIED"
_CAME_TO_NOTHING = {
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
}


@dataclass(slots=True)
class _Progress:
    """How far one candidate has come. Part numbers are given out in the order that parts begin."""

    text: int | None = None
    said: str = ""  # the last piece of text
    thought: int | None = None
    next_part: int = 0
    has_called: bool = False
    extras: dict[Path, int] = field(default_factory=dict)  # open texts of fields we do not know -> part
    next_extra: int = EXTRA_PARTS
    finish_reason: str | None = None

    def new_part(self) -> int:
        self.next_part += 1
        return self.next_part - 1


class GeminiDecoder(Decoder):
    """Payloads of a stream, or a whole body: they look alike."""

    __slots__ = ("_candidates", "_has_started", "_is_blocked", "_notes", "_response_id", "_usage", "_usage_data")

    def __init__(self, *, provider: str, verbatim: Exchange | None = None) -> None:
        super().__init__(provider)
        self._notes = GeminiNotes() if verbatim is not None else None
        self._candidates: dict[int, _Progress] = {}
        self._has_started = self._is_blocked = False
        self._response_id = ""
        self._usage: dict[str, Any] | None = None  # counts are running totals: the last payload's are the answer's
        self._usage_data: bytes | None = None  # a later payload that has them, not read yet

    def _read_all(self, payloads: Iterable[SseEvent], run: Run) -> None:
        if self._notes is None:
            for data, _ in payloads:
                self._read(parse(data), run)
        else:
            self._read_noted(self._notes, list(payloads), run)

    def _ends(self) -> list[Event]:
        if self._usage_data is not None:
            self._usage = parse(self._usage_data).usage_metadata or self._usage
        ends = [self._end(number, progress) for number, progress in sorted(self._candidates.items())]
        if self._is_blocked and not ends:
            ends = [MessageEnd(finish_reason=FinishReason.CONTENT_FILTER)]
        if not ends:
            raise self._ended_early()
        return [*([read_usage(self._usage)] if self._usage else []), *ends]

    def _end(self, number: int, progress: _Progress) -> MessageEnd:
        word = progress.finish_reason
        if word is None:
            raise self._ended_early()
        if word in _CAME_TO_NOTHING and self._notes is None:
            raise UpstreamBroken(
                f"upstream {self._provider}'s model wrote a call or an answer that it could not finish; try again"
            )
        # An unknown word is an ordinary end: all text has come, and the word itself no guard has read.
        reason = _FINISH_REASONS.get(word, FinishReason.STOP)
        if reason is FinishReason.STOP and progress.has_called:
            reason = FinishReason.TOOL_CALLS
        return MessageEnd(finish_reason=reason, choice=number)

    def _read_noted(self, notes: GeminiNotes, payloads: Sequence[SseEvent], run: Run) -> None:
        """Payloads that go on as they came."""
        at = 0
        while at < len(payloads):
            if (found := notes.row(payloads, at)) is not None:
                payload, text = found
                slot = payload.slots[0]
                run.noted.append(payload)
                run.say((slot.kind, slot.choice, slot.part), text)
                at += 1 + len(payload.row)
                self._usage_data = payloads[at - 1][0]
            else:
                self._note(notes, *payloads[at], run)
                at += 1

    def _note(self, notes: GeminiNotes, data: bytes, name: bytes, run: Run) -> None:
        document = parse(data)
        said = Run()  # joined to the others once the payload has passed: of one that is refused nothing is said
        slots = said.slots = []
        try:
            self._read(document, said)
            whole = parsed(data)
            has_extras = self._read_extras(whole, document, said)
            has_ended = self._is_blocked or all(progress.finish_reason for progress in self._candidates.values())
            has_ended = has_ended and self._has_answer
            run.noted += notes.note(data, name, whole, slots, has_ended=has_ended, has_extras=has_extras)
        except (TypeError, RecursionError) as exc:  # orjson writes no more than 254 levels
            raise UpstreamBroken("the upstream sent a payload that nests too deep") from exc
        run.join(said.events())

    @property
    def _has_answer(self) -> bool:
        return bool(self._candidates) or self._is_blocked

    def _read(self, document: Document, run: Run) -> None:
        if document.error:
            raise rejected(document.error, http_status(document.error))
        if not self._has_started:
            self._has_started = True
            self._response_id = (document.response_id or "")[:NAME_LIMIT_CHARS]
            model = (document.model_version or "")[:NAME_LIMIT_CHARS]
            run.add(MessageStart(served=ServedBy(provider=self._provider, model=model)))
        for position, candidate in enumerate(document.candidates or ()):
            self._read_candidate(position, candidate, run)
        if document.prompt_feedback is not None and document.prompt_feedback.block_reason:
            self._is_blocked = True
        if document.usage_metadata:
            self._usage, self._usage_data = document.usage_metadata, None

    def _read_candidate(self, position: int, candidate: Candidate, run: Run) -> None:
        number = position if candidate.index is None else candidate.index
        progress = self._candidates.get(number)
        if progress is None:
            progress = self._candidates[number] = _Progress()
        parts = (candidate.content.parts if candidate.content else None) or ()
        logprobs = read_logprobs(candidate.logprobs_result, parts)
        for index, part in enumerate(parts):
            path = ("candidates", position, "content", "parts", index)
            if part.text is not None and part.thought:
                self._read_thought(part, progress, number, path, run)
            elif part.text is not None:
                self._read_text(part.text, progress, number, path, run, logprobs)
                logprobs = ()
            if part.function_call is not None:
                self._read_call(part, part.function_call, progress, number, path, run)
        if candidate.finish_reason is not None and candidate.finish_reason != _UNFINISHED:
            progress.finish_reason = candidate.finish_reason
            _end_thought(progress, number, run)

    def _read_thought(self, part: Part, progress: _Progress, number: int, path: Path, run: Run) -> None:
        text = part.text or ""
        if text:
            if progress.thought is None:
                progress.thought = progress.new_part()
            run.say((PartKind.REASONING, number, progress.thought), text, (*path, "text"))
        if part.thought_signature:
            _end_thought(progress, number, run, sealed(DIALECT, part.thought_signature))

    def _read_text(
        self, text: str, progress: _Progress, number: int, path: Path, run: Run, logprobs: tuple[TokenLogprob, ...]
    ) -> None:
        if not text:
            return
        _end_thought(progress, number, run)
        if progress.text is None:
            progress.text = progress.new_part()
        progress.said = text
        run.say((PartKind.TEXT, number, progress.text), text, (*path, "text"), logprobs)

    def _read_call(self, whole: Part, call: Call, progress: _Progress, number: int, path: Path, run: Run) -> None:
        if call.partial_args or call.will_continue:
            raise UpstreamBroken("the upstream sent a call in pieces, which it was not asked for")
        _end_thought(progress, number, run)
        if self._notes is None and progress.text is not None and ends_a_sentence(progress.said):
            run.add(PartEnd(kind=PartKind.TEXT, choice=number, part=progress.text))
            progress.text = None
        progress.has_called = True
        part = progress.new_part()
        arguments = arguments_text(call)
        if self._notes is not None and arguments:
            arguments = as_rewritten(arguments)
        call_id = call.id or self._call_id(number, part, call.name or "", arguments)
        start = ToolCallStart(call_id=call_id, name=call.name or "", choice=number, part=part)
        run.begin_call(start, (*path, "functionCall"))
        if self._notes is None or arguments:
            run.say((PartKind.TOOL_CALL, number, part), arguments or "{}", (*path, "functionCall", "args"))
        signature = sealed(DIALECT, whole.thought_signature) if whole.thought_signature else None
        run.add(PartEnd(kind=PartKind.TOOL_CALL, choice=number, part=part, signature=signature))

    def _call_id(self, number: int, part: int, name: str, arguments: str) -> str:
        """The same call has the same id, however often it is read; another of the conversation's has another."""
        told = "\0".join((self._response_id, str(number), str(part), name, arguments))
        return "call_" + sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def _read_extras(self, whole: Any, document: Document, run: Run) -> bool:
        """Strings of parts that we do not know. They may be pieces of a longer text: they are scanned as one, and each alone."""
        known = {slot.path for slot in run.slots or ()}
        is_open = False
        for position, candidate in enumerate(document.candidates or ()):
            number = position if candidate.index is None else candidate.index
            progress = self._candidates[number]
            came: dict[Path, int] = {}
            for path, text in extra_texts(whole, position):
                if path in known:
                    continue
                key: Path = tuple(step for step in path[5:] if isinstance(step, str))
                part = came.get(key, progress.extras.get(key))
                if part is None:
                    part = progress.next_extra
                    progress.next_extra += 1
                came[key] = part
                run.say((PartKind.REASONING, number, part), text, path)
            for key, part in progress.extras.items():
                if key not in came:
                    run.add(PartEnd(kind=PartKind.REASONING, choice=number, part=part))
            progress.extras = came
            is_open = is_open or bool(came)
        return is_open


def decode_answer(body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
    """A whole body to events."""
    return GeminiDecoder(provider=provider, verbatim=verbatim).whole(body)


def _end_thought(progress: _Progress, number: int, run: Run, signature: str | None = None) -> None:
    if progress.thought is not None:
        run.add(PartEnd(kind=PartKind.REASONING, choice=number, part=progress.thought, signature=signature))
        progress.thought = None
