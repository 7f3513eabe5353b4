"""What decides after a match: checksums, entropy, and the words people write where a secret would stand.

A validator takes the folded value and answers at once; foreign checks that raise have answered no.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

Validator = Callable[[bytes], bool]

_SEPARATORS = b" -./()"


def digits(value: bytes) -> bytes:
    return value.translate(None, _SEPARATORS)


def all_of(*validators: Validator) -> Validator:
    return lambda value: all(validator(value) for validator in validators)


def luhn(value: bytes) -> bool:
    """ISO/IEC 7812-1, annex B: the weighted digit sum is a multiple of ten."""
    total = 0
    for place, byte in enumerate(reversed(digits(value))):
        digit = (byte - 48) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def stdnum_valid(module: Any) -> Validator:
    """The check of one of python-stdnum's modules."""

    def valid(value: bytes) -> bool:
        return bool(module.is_valid(value.decode("ascii", "replace")))

    return valid


def entropy_bits(value: bytes) -> float:
    """Shannon entropy, bits a character."""
    counts, size = Counter(value), len(value)
    return -sum(n / size * math.log2(n / size) for n in counts.values())


# What stands in documentation and templates instead of a value.
_PLACEHOLDER = re.compile(
    rb"(?i)example|placeholder|your[-_ .]?[a-z]|changeme|change[-_]me|insert|replace|redacted|dummy|fake|sample|foo-?bar|x{4,}"
    rb"|\*{3,}|\.{3}|[#$]\{|\$\(|\{\{|%\(|<%|^<|>$|^\$[A-Za-z_]|^%[A-Za-z_]+%$"
    rb"|my[-_]?(?:secret|password|token|api|key)|secret[-_]?key|todo|n/a|undefined|not[-_](?:set|a)|some[-_]|_here|^(?:none|null|nil|true|false|string|password|passwd"
    rb"|secret|token|user|username|value|empty|required)$"
)
_ONE_CHARACTER = re.compile(rb"(.)\1{7}")  # eight of the same


def not_placeholder(value: bytes) -> bool:
    return _PLACEHOLDER.search(value) is None


def varied(value: bytes) -> bool:
    """A token that could have come out of a generator: not one character over and over, not an example's filler."""
    return len(set(value)) >= min(6, len(value) // 3) and _ONE_CHARACTER.search(value) is None and not_filler(value)


def is_row(value: bytes) -> bool:
    """Whether half of it or more is the alphabet or the digits in their order: what a person types for the look of it."""
    run = longest = 1
    for before, byte in pairwise(value):
        run = run + 1 if byte == before + 1 else 1
        longest = max(longest, run)
    return longest * 2 >= len(value)


def many_kinds(value: bytes) -> bool:
    """For tokens that begin with a long run of one character."""
    return len(set(value)) >= 12 and not_filler(value)


_FILLER = re.compile(
    rb"(?i)x{6,}|#{4,}|example$|examplekey|your[-_]|placeholder|redacted|dummy|_here$|(?-i:[a-z]Here|[A-Z]HERE)$|\*{3,}|\.{3,}|\.\.$"
)


def not_filler(value: bytes) -> bool:
    return _FILLER.search(value) is None


_WORDS = re.compile(rb"[A-Za-z]+[0-9]{0,2}(?:[-_./:](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*[-_.:/]?")
_TIME_UUID = re.compile(
    rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)  # RFC 9562: a clock, no chance
_VERSION = re.compile(rb"(?i)(?:v|rc)?[0-9]+(?:\.[0-9]+){1,3}(?:[-_.][a-z0-9_.-]*)?")
_CODE = re.compile(
    rb"\w\.[A-Za-z_]\w*\.|^\w+\.[A-Za-z_]+$|->|::|^/|^\.|^@|^#|^--|^https?:|://|\\[A-Za-z]{3}|[A-Za-z]\[|\w\($|[a-z]/[a-z]+/"
)


def random_token(least_bits: float = 3.0) -> Validator:
    """A value nobody typed by hand: letters and digits mixed, varied, and not a version, path, expression or word."""

    def valid(value: bytes) -> bool:
        if not not_placeholder(value) or any(shape.fullmatch(value) for shape in (_WORDS, _VERSION, _TIME_UUID)):
            return False
        if _CODE.search(value) or not not_filler(value) or is_row(value):
            return False
        has_digit = any(48 <= b <= 57 for b in value)
        has_letter = any(65 <= b & 0xDF <= 90 for b in value)
        return has_digit and has_letter and entropy_bits(value) >= least_bits

    return valid


_CALL = re.compile(
    rb"[A-Za-z_$][\w$]*(?:\.|->|::|\(|\[)|^[A-Z][A-Z0-9]*_[A-Z0-9_]+$|^[\$%@&#/\\:.!?+*=~^-]|^[A-Za-z]+:$|[\\/]\w+[\\/]"
)
_LABELS = re.compile(
    rb"(?i)^(?:input|text|field|label|pass(?:word|wd|phrase)?s?|pwd|confirm\w*|enter\w*|new\w*|old\w*|current\w*|forgot\w*|reset\w*"
    rb"|hash\w*|type|str|int|char|bool(?:ean)?|optional|varchar\w*|self|this|that|the|and|for|get\w*|set\w*|is\w*|has\w*|invalid|incorrect"
    rb"|wrong|must|should|length|min|max|strong|weak|\w*password\w*|\w*pwd|\w*secret|\w*token|required|default|missing|show|hide|return|await|new|const"
    rb"|let|var|function|print|system|admin)[.:!?;]?$"
)


_NAME_OF_ID = re.compile(  # `key_id:`, `credentialsId = `, and not `valid:`
    rb"(?<!(?i:secret|porter))(?:[-_. ](?i:id)|(?<=[a-z])I[dD])s?[\"'`\])]{0,2}[ \t]*[:=,>]"
)


def names_secret(before: bytes) -> bool:
    """What a value is called: the id of a secret is none, but for `secret_id` and `reporter_id`."""
    return _NAME_OF_ID.search(before) is None


def typed_password(value: bytes) -> bool:
    """Something a person could have typed as a password, and not code, a label or a template."""
    return not_placeholder(value) and _CALL.search(value) is None and _LABELS.match(value) is None and len(set(value)) >= 3


_PATH = re.compile(rb"/?[\w.@-]+/[\w.@-]+[/#]|/[\w.@-]+/[\w.@-]+$|arn:|https?:|\+ ?[A-Za-z]+ [A-Za-z]")


def quoted_password(value: bytes) -> bool:
    """As `typed_password`; between quotes brackets and words may stand, but a sentence is a label and a variable a template."""
    return (
        not_placeholder(value)
        and _LABELS.match(value) is None
        and value.count(b" ") <= 5
        and not value.startswith(b" ")
        and _PATH.match(value) is None
        and len(set(value)) >= 3
        and not value.startswith((b"$", b"<", b"%", b"{", b"#", b"."))
        and not value.endswith((b":", b"?", b"...", b"!"))
    )


def last_part(length: int, *, least_kinds: int = 2) -> Validator:
    """For tokens that begin with numbers of some account: their last `length` characters, varied, are what chance has made.

    Of digits, capitals and small letters at least `least_kinds` stand in them.
    """

    def valid(value: bytes) -> bool:
        part = value[-length:]
        kinds = sum(any(low <= byte <= high for byte in part) for low, high in ((48, 57), (65, 90), (97, 122)))
        return kinds >= least_kinds and len(set(part)) >= min(6, length // 2) and not_filler(value)

    return valid
