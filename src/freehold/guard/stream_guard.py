"""The guard itself: policy, matcher and dictionaries, compiled once, and a fresh stage for each exchange and direction.

What is in force is one immutable object. `prepare` makes another, which takes a second or two and may run on any thread; `adopt`
puts it in force for the sessions opened from then on. Those under way end on theirs. A policy that is refused changes nothing
but `status`.
"""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from freehold.core.events import Event, Found, PartEnd, PartKind, PromptText, TextDelta, ToolCallStart
from freehold.core.findings import Action, Channel, Context, Direction, Finding, Verdict
from freehold.core.ports import GuardSession, MonotonicClock, UpstreamStatus
from freehold.core.stage import Judge, Stage, steps
from freehold.guard.calls.stage import CallStage
from freehold.guard.calls.surroundings import Surroundings
from freehold.guard.calls.written import Written
from freehold.guard.clean import Clean
from freehold.guard.config import GuardConfig
from freehold.guard.custom import detectors_of, dictionaries_of
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.dictionary import DictionaryStage, TermSet
from freehold.guard.files import UNREAD, FileStage
from freehold.guard.injection.conversation import Conversation
from freehold.guard.injection.settings import InjectionSettings
from freehold.guard.injection.stage import InjectionStage
from freehold.guard.injection.verdicts import Verdicts
from freehold.guard.matcher import Compiler, Matcher, compiled
from freehold.guard.policy import FILE, Policy, Subject
from freehold.guard.policy_file import PolicyFile, PolicySource, parse
from freehold.guard.redactor import Redactor
from freehold.guard.restorer import Restorer
from freehold.guard.ruling import strictest as strictest_action
from freehold.guard.seal import Seal
from freehold.guard.vault import Vault
from freehold.guard.weaknesses.stage import LOOKS, CodeStage, findings_of

_ANYBODY = Context()


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnreadKind:
    """A kind of file that can't be read: implements `policy.Subject`."""

    id: str
    category: str = FILE
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One policy with all it needs, ready to be used."""

    name: str
    policy: Policy = field(repr=False)
    matcher: Matcher = field(repr=False)
    dictionaries: tuple[TermSet, ...] = field(repr=False)
    clean: Clean = field(repr=False, default_factory=Clean)
    injection: InjectionSettings  # with the tools whose results `[calls]` says may be believed

    @property
    def digest(self) -> str:
        return self.policy.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What outlives sessions and policies."""

    digest_key: bytes = field(repr=False)
    mark_key: bytes = field(repr=False)
    vault: Vault = field(repr=False)
    verdicts: Verdicts = field(repr=False)


class StreamGuard:
    """Implements `core.ports.Guard`. `database` is what `database()` gave earlier: compiling anew takes seconds.

    `key` is the node's own secret, for digests of values and tokens; without one they are good for this process alone. One thread
    at a time may use the guard and its stages; judges, and steps that are said to be long, others may take meanwhile.
    """

    def __init__(
        self,
        config: GuardConfig,
        database: bytes | None = None,
        detectors: Sequence[Detector] = DETECTORS,
        *,
        policy: PolicySource | None = None,
        key: bytes | None = None,
        monotonic_s: MonotonicClock = time.monotonic,
        compiler: Compiler = compiled,
    ) -> None:
        self._config, self._detectors, self._compiler = config, tuple(detectors), compiler
        key = key or secrets.token_bytes(32)
        self._kept = Kept(
            digest_key=hashlib.sha256(b"freehold value digest\0" + key).digest(),
            mark_key=hashlib.sha256(b"freehold mark\0" + key).digest(),
            vault=Vault(hashlib.sha256(b"freehold token\0" + key).digest(), monotonic_s),
            verdicts=Verdicts(hashlib.sha256(b"freehold verdict\0" + key).digest()),
        )
        self._refusal: str | None = None
        self._in_force = self._made(policy, database)

    @property
    def policy_digest(self) -> str:
        return self._in_force.digest

    @property
    def policy(self) -> Policy:
        return self._in_force.policy

    @property
    def engine(self) -> str:
        return self._in_force.matcher.engine

    def database(self) -> bytes:
        """To be kept and handed in at the next start; empty where nothing was compiled for this one."""
        return self._in_force.matcher.database()

    def prepare(self, policy: PolicySource | None) -> InForce:
        """What would be in force with `policy`; None is without a file. Raises ConfigError; changes nothing."""
        return self._made(policy, None)

    def adopt(self, prepared: InForce) -> None:
        self._in_force = prepared
        self._refusal = None

    def refuse(self, reason: str) -> None:
        """The policy that lies in the file's place can't be used: the one in force stays."""
        self._refusal = reason

    def status(self) -> UpstreamStatus:
        if self._refusal is not None:
            return UpstreamStatus(ready=False, detail=f"{self._refusal}; the policy before it stays in force")
        return UpstreamStatus(ready=True, detail=f"{self._in_force.name} in force")

    def open(self, context: Context) -> GuardSession:
        return self._session(context)

    def stage(self, direction: Direction) -> Stage:
        return self._session(_ANYBODY).stage(direction)

    def check(
        self, text: str, channel: Channel = Channel.USER, direction: Direction = Direction.REQUEST, tool: str = ""
    ) -> Verdict:
        """What the guard would do with `text`. Changes nothing."""
        findings = tuple(event.finding for event in self._checked(text, channel, direction, tool) if isinstance(event, Found))
        return Verdict(action=strictest(findings), policy_digest=self.policy_digest, findings=findings)

    def found(
        self, texts: Iterable[PromptText], context: Context, direction: Direction, prepared: InForce | None = None
    ) -> list[Finding]:
        """What would be found in the strings of a request or an answer, up to where it would be blocked. Changes nothing.

        The arguments of an answer's calls are judged, too.
        """
        session = Session(prepared or self._in_force, context, self._kept)
        stage, judge = session.stage(direction), session.judge()
        events: list[Event] = []
        for text in texts:
            events += stage.receive(text)
            if direction is Direction.RESPONSE and text.channel is Channel.TOOL_ARGUMENTS:
                events += judge.receive(ToolCallStart(call_id="", name=text.tool, part=text.leaf, arguments=text.text))
                events += judge.receive(PartEnd(kind=PartKind.TOOL_CALL, part=text.leaf))
        return [event.finding for event in (*events, *stage.close()) if isinstance(event, Found)]

    def redact(self, text: str, direction: Direction = Direction.REQUEST) -> str:
        """`text` as it would be sent on."""
        return "".join(e.text for e in self._checked(text, Channel.USER, direction) if isinstance(e, PromptText))

    def _checked(self, text: str, channel: Channel, direction: Direction, tool: str = "") -> list[Event]:
        stage = self._session(_ANYBODY).stage(direction)
        return [*stage.receive(PromptText(leaf=0, channel=channel, text=text, tool=tool)), *stage.close()]

    def _session(self, context: Context) -> "Session":
        return Session(self._in_force, context, self._kept)

    def _made(self, source: PolicySource | None, database: bytes | None) -> InForce:
        file = parse(source) if source is not None else PolicyFile()
        taken = frozenset(d.id for d in self._detectors) | set(UNREAD)
        custom = detectors_of(source, file, taken) if source is not None else ()
        names = taken | {d.id for d in custom}
        dictionaries = dictionaries_of(source, file, names) if source is not None else ()
        matcher = self._matcher_for((*self._detectors, *custom), database)
        subjects: tuple[Subject, ...] = (*matcher.detectors, *dictionaries, *(_UnreadKind(id=name) for name in UNREAD))
        patterns = "\0".join([matcher.digest, *(terms.digest for terms in dictionaries)])
        policy = Policy(self._config, file, subjects, patterns)
        if source is not None:
            policy.check(source)
        return InForce(
            name=source.name if source is not None else "the default policy",
            policy=policy,
            matcher=matcher,
            dictionaries=dictionaries,
            injection=_with_trusted(file),
        )

    def _matcher_for(self, detectors: tuple[Detector, ...], database: bytes | None) -> Matcher:
        """The one in use where it finds the same: compiling takes a second."""
        before: InForce | None = getattr(self, "_in_force", None)
        if before is not None and before.matcher.detectors == detectors:
            return before.matcher
        return Matcher(detectors, self._config.engine, database, self._compiler)


class Session:
    """Implements `core.ports.GuardSession`."""

    def __init__(self, in_force: InForce, context: Context, kept: "Kept") -> None:
        self._in_force, self._context = in_force, context
        self._tokens = kept.vault.of(context.key_id, in_force.policy.file.tokens)
        self._seal = Seal(kept.digest_key, self._tokens)
        self._verdicts, self._mark_key = kept.verdicts, kept.mark_key
        self._conversation = Conversation(in_force.injection.trusted_tools)
        self._surroundings = Surroundings()

    @property
    def policy_digest(self) -> str:
        return self._in_force.digest

    def stage(self, direction: Direction) -> Stage:
        in_force = self._in_force
        table = in_force.policy.table(self._context, direction)
        detectors, dictionaries = len(in_force.matcher.detectors), in_force.dictionaries
        whose = self._context.key_id
        known = in_force.clean if whose and direction is Direction.REQUEST else None  # a provider seldom says a thing again
        inner: Stage = Redactor(in_force.matcher, table, direction, in_force.digest, self._seal, known, whose)
        if dictionaries:
            inner = Chain(inner, DictionaryStage(dictionaries, detectors, table, direction, in_force.digest, self._seal))
        if direction is Direction.REQUEST:  # before what hides: data-flow asks what the user named
            inner = Chain(self._injections(), inner)
        whole = FileStage(inner, UNREAD, detectors + len(dictionaries), table, direction, in_force.digest, self._seal)
        return whole if direction is Direction.RESPONSE else _Overhearing(whole, self._surroundings)

    def _injections(self) -> InjectionStage:
        in_force = self._in_force
        return InjectionStage(in_force.injection, self._conversation, self._verdicts, in_force.digest, self._mark_key)

    def judge(self, *, history_is_known: bool = True) -> Judge:
        self._conversation.history_unknown = not history_is_known
        calls = CallStage(
            self._in_force.policy.calls, self._context, self._conversation, self._surroundings, inspect=self._weaknesses
        )
        return _Judges(CodeStage(self._in_force.policy.file.code, self._in_force.digest), calls)

    def _weaknesses(self, written: Written, part: int) -> list[Finding]:
        """What is found in a program that a call writes, or in a command that it runs."""
        settings = self._in_force.policy.file.code
        if not settings.enabled:
            return []
        look = LOOKS["packages" if written.is_run else "all"]  # what is run is its effects' business, but for names of packages
        return findings_of(look(written.text, written.language, written.name), settings, Channel.TOOL_ARGUMENTS, part)

    def restorer(self, *, in_json: bool = False) -> Stage | None:
        trusted = self._in_force.policy.file.tokens.trusted_tools
        return Restorer(self._tokens, trusted, in_json=in_json) if len(self._tokens) else None


class _Overhearing:
    """A `Stage` about the guard's, which notes where the request's tools run and what they are."""

    def __init__(self, inner: Stage, surroundings: Surroundings) -> None:
        self._inner, self._surroundings = inner, surroundings

    def receive(self, event: Event) -> list[Event]:
        if isinstance(event, PromptText):
            self._surroundings.observe(event)
        return self._inner.receive(event)

    def steps(self, event: Event) -> Iterator[list[Event] | None]:
        if isinstance(event, PromptText):
            self._surroundings.observe(event)
        yield from steps(self._inner, event)

    def close(self) -> list[Event]:
        return self._inner.close()


def _with_trusted(file: PolicyFile) -> InjectionSettings:
    """What `[injection]` says, with what `[calls]` says of tools."""
    trusted = tuple(tool.name for tool in file.calls.tools if tool.results == "trusted")
    return msgspec.structs.replace(file.injection, trusted_tools=(*file.injection.trusted_tools, *trusted))


class Chain:
    """Two stages as one."""

    def __init__(self, first: Stage, second: Stage) -> None:
        self._first, self._second = first, second

    def receive(self, event: Event) -> list[Event]:
        return [out for between in self._first.receive(event) for out in self._second.receive(between)]

    def steps(self, event: Event) -> Iterator[list[Event] | None]:
        try:
            for taken in steps(self._first, event):
                yield None if taken is None else []
                for between in taken or ():
                    yield from steps(self._second, between)
        except BaseException:  # left half-way: nothing may go on after a text that nobody looked at
            with contextlib.suppress(Exception):
                self.close()
            raise

    def close(self) -> list[Event]:
        return [*(out for between in self._first.close() for out in self._second.receive(between)), *self._second.close()]


class _Judges(Chain):
    """The judges of an answer's code and of its calls: text that the first lets go on is none of the second's business."""

    def __init__(self, code: CodeStage, calls: CallStage) -> None:
        super().__init__(code, calls)
        self._code, self._calls, self._on_code = code, calls, code.receive

    def receive(self, event: Event) -> list[Event]:
        taken = self._on_code(event)
        if type(event) is TextDelta and len(taken) == 1 and taken[0] is event:
            return taken
        return [out for between in taken for out in self._second.receive(between)]

    def weighs(self, event: Event | None) -> int:
        return self._code.weighs(event) + self._calls.weighs(event)


def strictest(findings: Sequence[Finding]) -> Action:
    """What is done with a text that has `findings`: rules in shadow change nothing."""
    return strictest_action([finding.enforced for finding in findings])
