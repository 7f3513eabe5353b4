"""What holds an answer to a form: which tokens may come next, asked before each is chosen.

Grammars are compiled and run by llguidance, which is given the vocabulary as the byte strings of our own tokenizer. Decided here:
what a grammar may cost. Compiling is bounded in steps, each mask too, and the states that a lexer makes on the way are bounded in
number; a grammar that wants more ends its own request with an error. Compiled grammars are kept, as clients send the same schema
again and again.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import llguidance
import numpy as np
import numpy.typing as npt

from freehold.core.errors import InternalError, InvalidRequest
from freehold.engine.vocabulary import Tokenizer

Mask = npt.NDArray[np.uint32]  # bit i of word i // 32 is set where token i may come next

_KEPT: Final = 16  # grammars: some tens of KB each, 20 MB at worst
_LIMITS: Final = llguidance.LLParserLimits(
    initial_lexer_fuel=1_000_000,  # 20 ms
    step_lexer_fuel=200_000,  # 15 ms
    step_max_items=50_000,  # 3 ms
    max_lexer_states=10_000,  # 20 MB
    max_grammar_size=500_000,
    verbose_errors=False,  # true would put the client's schema into our words
)
_NOT_ALLOWED: Final = "doesn't satisfy the grammar"  # of a token; whatever else is wrong then is a limit that was reached


class Constraint(Protocol):
    """One answer's. Not thread-safe."""

    def mask(self) -> Mask | None:
        """Tokens that may come next, an end token exactly where the text may end; None allows all.

        Raises InvalidRequest where finding out would cost too much.
        """

    def accept(self, token: int) -> None:
        """`token` was chosen. Raises InvalidRequest where taking it in would cost too much."""

    def forced(self) -> Sequence[int]:
        """Tokens in which all that can come next is usually written: a key that a schema requires. None where there is a choice.

        They are drafts: what is chosen in the end may be cut into other tokens.
        """

    @property
    def is_over(self) -> bool:
        """Nothing but an end can follow."""


class Grammars:
    """Compiles the grammars of one model's answers. Thread-safe; the vocabulary is read in when the first is asked for."""

    def __init__(self, tokenizer: Tokenizer, whole: dict[str, int]) -> None:
        """`whole` are texts that are one token each wherever they stand."""
        self._tokenizer, self._whole = tokenizer, whole
        self._lock = threading.Lock()
        self._compiled: OrderedDict[str, llguidance.LLMatcher] = OrderedDict()
        self._vocabulary: llguidance.LLTokenizer | None = None

    def constraint(self, grammar: str, where: str) -> "GrammarConstraint":
        """A new answer's constraint. Raises InvalidRequest naming `where` for a grammar that cannot be run."""
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = _vocabulary(self._tokenizer, self._whole)
            matcher = self._compiled.get(grammar)
            if matcher is None:
                matcher = self._compiled[grammar] = _compile(self._vocabulary, grammar, where)
            self._compiled.move_to_end(grammar)
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
            return GrammarConstraint(matcher.deep_copy(), where, lambda: self._forget(grammar, matcher))

    def can_follow(self, grammar: str) -> bool:
        """Whether there is a constraint by it, as far as can be told without the vocabulary."""
        is_wrong, _ = llguidance.LLMatcher.validate_grammar_with_warnings(grammar, None, limits=_LIMITS)
        return not is_wrong

    def _forget(self, grammar: str, matcher: llguidance.LLMatcher) -> None:
        """The lexer's states are shared by all copies of a grammar: one that has too many is compiled anew."""
        with self._lock:
            if self._compiled.get(grammar) is matcher:
                del self._compiled[grammar]


class GrammarConstraint:
    """A `Constraint` by a compiled grammar."""

    def __init__(self, matcher: llguidance.LLMatcher, where: str, forget: Callable[[], None] = lambda: None) -> None:
        """`forget` is called when the grammar turns out to cost too much."""
        self._matcher, self._where, self._forget = matcher, where, forget

    def mask(self) -> Mask | None:
        allowed = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)
        if self._matcher.is_error():
            raise self._too_long()
        return allowed

    def accept(self, token: int) -> None:
        if self._matcher.consume_token(token):
            return
        if _NOT_ALLOWED in self._matcher.get_error():
            raise InternalError(f"token {token} was chosen where {self._where} does not allow it")
        raise self._too_long()

    def _too_long(self) -> InvalidRequest:
        self._forget()
        return _refused(self._where, "takes too long to follow", self._matcher.get_error())

    def forced(self) -> Sequence[int]:
        found: list[int] = self._matcher.compute_ff_tokens()
        return found

    @property
    def is_over(self) -> bool:
        return self._matcher.is_stopped() and not self._matcher.is_error()


class _Encoder:
    """The tokenizer as the library wants it."""

    def __init__(self, tokenizer: Tokenizer, whole: dict[str, int]) -> None:
        self.eos_token_id = min(tokenizer.end_ids)
        self.bos_token_id = None
        # 0xFF is in no UTF-8, and what the library marks special tokens with: a token that has it is never allowed.
        spelled = (tokenizer.token_bytes(token) for token in range(tokenizer.vocabulary))
        self.tokens = [b"" if 0xFF in text else text for text in spelled]
        self.special_token_ids = [token for token, text in enumerate(self.tokens) if not text]
        for token in self.special_token_ids:
            self.tokens[token] = tokenizer.text_of(token).encode()
        self._encode: Callable[[str], list[int]] = tokenizer.encode
        self._whole = whole
        self._parts = re.compile("(" + "|".join(map(re.escape, sorted(whole, key=len, reverse=True))) + ")" if whole else r"(?!)")

    def __call__(self, text: str | bytes) -> list[int]:
        """The tokens in which a model would write `text`."""
        if isinstance(text, bytes):
            raise TypeError("text, not bytes: by this the library finds out what it may send")
        tokens: list[int] = []
        for part in self._parts.split(text):
            tokens += [self._whole[part]] if part in self._whole else self._encode(part) if part else []
        return tokens


def _vocabulary(tokenizer: Tokenizer, whole: dict[str, int]) -> llguidance.LLTokenizer:
    wrapped = llguidance.TokenizerWrapper(_Encoder(tokenizer, whole))
    # Without slices: 20 MB for 150,000 tokens where it would be 54, and a mask takes 0.08 ms where it would take 0.03.
    return llguidance.LLTokenizer(wrapped, n_vocab=tokenizer.vocabulary, eos_token=sorted(tokenizer.end_ids), slices=[])


def _compile(vocabulary: llguidance.LLTokenizer, grammar: str, where: str) -> llguidance.LLMatcher:
    matcher = llguidance.LLMatcher(vocabulary, grammar, log_level=0, limits=_LIMITS)
    if matcher.is_error():
        raise _refused(where, "can't be followed", matcher.get_error())
    probe = matcher.deep_copy()
    probe.compute_bitmask()
    if "NoExtension" in probe.get_error():  # a schema that refers to itself and nothing else
        raise InvalidRequest(f"{where}: no answer can ever fit it", param=where)
    if probe.is_error():
        raise _refused(where, "takes too long to follow", probe.get_error())
    return matcher


def _refused(where: str, what: str, why: str) -> InvalidRequest:
    """The library's first line names keywords and limits, its last what is wrong with a pattern: the client's own words."""
    lines = why.strip().splitlines() or ["no reason given"]
    # An option of the library's that no request can set is no advice.
    first = re.sub(r" Enable 'coerce_one_of'.*", " where more than one branch can hold: say anyOf", lines[0])
    if len(lines) > 1 and lines[-1].startswith("error: "):
        first += lines[-1].removeprefix("error")
    return InvalidRequest(f"{where}: it {what}: {first:.300}", param=where, code="unsupported_schema")
