"""An operator's own detectors and dictionaries, made of what the policy file says and checked before they are used.

A detector's pattern must be one the guard can keep its promise for: that where a stream is cut never matters. So a value is one
run (no blank, quote, bracket, comma, semicolon or bar in it; that is what a dictionary is for), what stands before it is bounded,
and every repetition but the last has an end. Examples are played through the guard's own machinery, cut at every character.
"""

import importlib
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any

import re2

from freehold.core.errors import ConfigError
from freehold.core.findings import Action, Mode
from freehold.guard.boundary import DELIMITER
from freehold.guard.channel import CONTEXT_CHARS, KEPT_CHARS, TextChannel
from freehold.guard.detectors.detector import Detector, always
from freehold.guard.detectors.validators import Validator, luhn, not_placeholder, random_token, varied
from freehold.guard.dictionary import TermSet, read, term_set
from freehold.guard.matcher import OVERLAP_CHARS, Matcher
from freehold.guard.patterns import close
from freehold.guard.pieces import as_pieces
from freehold.guard.policy_file import CustomDetector, Dictionary, PolicyFile, PolicySource
from freehold.guard.ruling import Ruling

VALIDATORS: dict[str, Validator] = {
    "luhn": luhn,  # cards and many other numbers
    "random": random_token(),  # looks like a generator made it
    "varied": varied,  # is not one character over and over
    "not-placeholder": not_placeholder,  # is not "example" or "changeme"
}
TERMS_LIMIT = 200_000
TERM_LIMIT_CHARS = 256

_parser: Any = importlib.import_module("re._parser")  # the one way to ask a pattern how long its matches are
_DELIMITERS = frozenset(byte for byte in range(128) if DELIMITER.match(bytes([byte])))
_CATEGORIES = {  # what an escape stands for, of ASCII
    "CATEGORY_DIGIT": frozenset(string.digits.encode()),
    "CATEGORY_SPACE": frozenset(b" \t\n\r\f\v"),
    "CATEGORY_WORD": frozenset((string.ascii_letters + string.digits + "_").encode()),
}
_ASCII = frozenset(range(128))
_LAST_REPEAT = re.compile(r"(?:(?<!\\)\+|\{\d+,\})(?P<end>\)*)$")
_ENDLESS = re.compile(r"(?<!\\)(?:\\\\)*(?P<plus>\+)$")


def detectors_of(source: PolicySource, file: PolicyFile, taken: frozenset[str]) -> tuple[Detector, ...]:
    """Raises ConfigError that names the line. `taken` are the ids of the guard's own."""
    return tuple(_detector(source, number, written, taken) for number, written in enumerate(file.detectors))


def dictionaries_of(source: PolicySource, file: PolicyFile, taken: frozenset[str]) -> tuple[TermSet, ...]:
    return tuple(_dictionary(source, number, written, taken) for number, written in enumerate(file.dictionaries))


def _detector(source: PolicySource, number: int, written: CustomDetector, taken: frozenset[str]) -> Detector:
    try:
        _refuse_taken(written.id, taken)
        pattern, ignore_case = written.pattern, written.ignore_case
        if pattern.startswith("(?i)"):
            pattern, ignore_case = pattern.removeprefix("(?i)"), True
        _check_pattern(pattern, written.before)
        pattern = _ENDLESS.sub(lambda found: found[0][:-1] + "{1,}", pattern)
        detector = Detector(
            id=written.id,
            pattern=_any_case(pattern) if ignore_case else pattern,
            before=_any_case(written.before) if ignore_case and written.before else written.before,
            category=written.category,
            confidence=written.confidence,
            validator=_validator(written.validator),
            must_match=written.must_match,
            must_not_match=written.must_not_match,
        )
        _check_compiled(detector)
        _check_examples(detector)
    except ConfigError as exc:
        raise source.refusal(f"detector {written.id!r}: {exc.message}", "detectors", number) from exc
    return detector


def _dictionary(source: PolicySource, number: int, written: Dictionary, taken: frozenset[str]) -> TermSet:
    try:
        _refuse_taken(written.id, taken)
        terms = list(_terms(source, written))
        _check_terms(terms, written.ignore_case)
    except ConfigError as exc:
        raise source.refusal(f"dictionary {written.id!r}: {exc.message}", "dictionaries", number) from exc
    return term_set(
        written.id,
        terms,
        category=written.category,
        confidence=written.confidence,
        ignore_case=written.ignore_case,
        whole_words=written.whole_words,
    )


def _refuse_taken(name: str, taken: frozenset[str]) -> None:
    if name in taken:
        raise ConfigError("a detector of this name exists; choose another id")


def _terms(source: PolicySource, written: Dictionary) -> Iterator[str]:
    yield from written.terms
    if written.file is not None:
        if written.file not in source.term_files:
            raise ConfigError(f"the file {written.file!r} was not read; put it beside the policy, one term a line")
        lines = (line.strip() for line in source.term_files[written.file].splitlines())
        yield from (line for line in lines if line and not line.startswith("#"))


def _check_terms(terms: Sequence[str], ignore_case: bool) -> None:
    if not terms:
        raise ConfigError("has no terms: give terms, or a file of them, one a line")
    if len(terms) > TERMS_LIMIT:
        raise ConfigError(f"has {len(terms)} terms, the most are {TERMS_LIMIT}; split it")
    for place, term in enumerate(terms, 1):
        size = len(read(term, ignore_case).text.strip())
        if not 2 <= size <= TERM_LIMIT_CHARS:
            raise ConfigError(f"term {place} has {size} characters; 2 to {TERM_LIMIT_CHARS} can be looked for")


def _validator(name: str | None) -> Validator:
    if name is None:
        return always
    if name not in VALIDATORS:
        raise ConfigError(f"there is no validator {name!r}; {close(name, VALIDATORS)}")
    return VALIDATORS[name]


def _any_case(pattern: str) -> str:
    return f"(?i:{pattern})"


def _check_pattern(pattern: str, before: str) -> None:
    for part, name in ((pattern, "pattern"), (before, "before")):
        if not part.isascii():
            raise ConfigError(
                f"{name} has characters beyond ASCII; text is compared without accents, so write it without, or use a dictionary"
            )
    parsed, ahead = _parsed(pattern, "pattern"), _parsed(before, "before")
    least, _ = parsed.getwidth()
    if least == 0:
        raise ConfigError("pattern matches the empty text; make it match one character or more")
    if least >= KEPT_CHARS:
        raise ConfigError(f"pattern needs {least} characters at least; the guard looks at {KEPT_CHARS} at once")
    if ahead.getwidth()[1] >= CONTEXT_CHARS:
        raise ConfigError(
            f"before may be longer than the {CONTEXT_CHARS} characters that are kept; bound its repetitions: {{0,20}}"
        )
    inside = sorted(_DELIMITERS & _chars(parsed))
    if inside:
        said = " ".join(repr(chr(byte)) for byte in inside[:4])
        raise ConfigError(
            f"pattern lets {said} into a value, which ends a run: what comes after it could not be held back in a stream; "
            "take it out of the sets (`.` and [^...] hold it, too), put what stands before a value in before, or use a dictionary"
        )
    _, most = _parsed(_LAST_REPEAT.sub(r"\g<end>", pattern), "pattern").getwidth()
    if most >= OVERLAP_CHARS // 2:
        raise ConfigError("pattern has a repetition without end before its last; bound it, as in {1,64}")


def _parsed(pattern: str, name: str) -> Any:
    try:
        parsed = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ConfigError(f"{name} is not a pattern: {exc}") from exc
    if parsed.state.groups > 1:
        raise ConfigError(f"{name} has groups of its own: write them as (?:...)")
    return parsed


def _chars(parsed: Any) -> frozenset[int]:
    """The ASCII characters that a match may hold."""
    found: frozenset[int] = frozenset()
    for operator, argument in parsed:
        found |= _chars_of(str(operator), argument)
    return found


def _chars_of(operator: str, argument: Any) -> frozenset[int]:
    match operator:
        case "LITERAL":
            return frozenset((argument,))
        case "NOT_LITERAL":
            return _ASCII - {argument}
        case "ANY":
            return _ASCII
        case "RANGE":
            return frozenset(range(argument[0], min(argument[1], 127) + 1))
        case "CATEGORY":
            name = str(argument)
            return _CATEGORIES[name] if name in _CATEGORIES else _ASCII - _CATEGORIES[name.replace("_NOT_", "_")]
        case "IN":
            held = frozenset(byte for item, value in argument if str(item) != "NEGATE" for byte in _chars_of(str(item), value))
            return _ASCII - held if str(argument[0][0]) == "NEGATE" else held
        case "BRANCH":
            return frozenset(byte for branch in argument[1] for byte in _chars(branch))
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _chars(argument[2])
        case "SUBPATTERN":
            return _chars(argument[3])
        case "AT":
            return frozenset()
        case _:
            raise ConfigError(f"pattern has {operator.lower().replace('_', ' ')}, which RE2 has not")


def _check_compiled(detector: Detector) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(detector.exact, options)
    except re2.error as exc:
        reason = exc.args[0].decode() if isinstance(exc.args[0], bytes) else exc.args[0]
        raise ConfigError(f"pattern does not compile: {reason}") from exc


def _check_examples(detector: Detector) -> None:
    matcher = Matcher([detector], "re2")
    ruling = Ruling(
        rule=detector.id, category=detector.category, confidence=detector.confidence, action=Action.MASK, mode=Mode.ENFORCE
    )
    for number, example in enumerate(detector.must_match, 1):
        whole = _played(matcher, ruling, [example])
        if ruling.mask not in whole:
            raise ConfigError(f"must_match example {number} is not matched")
        if _played(matcher, ruling, list(example)) != whole:
            raise ConfigError(f"must_match example {number} comes out otherwise where it is cut: the guard can't hold it back")
    for number, example in enumerate(detector.must_not_match, 1):
        if ruling.mask in _played(matcher, ruling, [example]):
            raise ConfigError(f"must_not_match example {number} is matched")


def _played(matcher: Matcher, ruling: Ruling, pieces: Sequence[str]) -> str:
    channel = TextChannel(matcher, [ruling])
    out = [piece.text for text in pieces for piece in as_pieces(channel.feed(text))]
    out += [piece.text for piece in channel.flush()]
    channel.close()
    return "".join(out)
