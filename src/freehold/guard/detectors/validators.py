"""What decides after a match: checksums, entropy, and the words people write where a secret would stand.

A validator takes the folded value and answers at once; foreign checks that raise have answered no.
"""

import binascii
import importlib
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

from freehold.guard.detectors.naturalness import NATURAL, RANDOM, naturalness

Validator = Callable[[bytes], bool]

_SEPARATORS = b" -./()"


def digits(value: bytes) -> bytes:
    return value.translate(None, _SEPARATORS)


def all_of(*validators: Validator) -> Validator:
    return lambda value: all(validator(value) for validator in validators)


_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")  # twice a digit, its two digits added up


def luhn(value: bytes) -> bool:
    """ISO/IEC 7812-1, annex B: the weighted digit sum is a multiple of ten."""
    number = digits(value)
    return (sum(number[-1::-2]) + sum(number[-2::-2].translate(_DOUBLED)) - 48 * len(number)) % 10 == 0


def stdnum_valid(name: str) -> Validator:
    """The check of python-stdnum's module `name`."""

    def valid(value: bytes) -> bool:
        module = _stdnum(name)
        try:
            return bool(module.is_valid(value.decode("ascii", "replace")))
        except Exception:  # stdnum.cn.ric raises KeyError for counties its table lacks: a check that raises has answered no
            return False

    return valid


@cache
def _stdnum(name: str) -> Any:
    """Loaded when first needed: few of the hundred are in one deployment."""
    return importlib.import_module(f"stdnum.{name}")


def entropy_bits(value: bytes) -> float:
    """Shannon entropy, bits a character."""
    counts, size = Counter(value), len(value)
    return -sum(n / size * math.log2(n / size) for n in counts.values())


# What stands in documentation and templates instead of a value.
_PLACEHOLDER = re.compile(
    rb"(?i)example|placeholder|your[-_ .]?[a-z]|changeme|change[-_]me|insert|replace|redacted|dummy|fake|sample|foo-?bar|x{4,}"
    rb"|^arn:|^ENC[(\[]|^\{cipher\}|\*{3,}|\.{3}|[#$]\{[^\])}]*(?:[}(\[$]|$)|\$\(|\{\{[^{}]*(?:\}\}|$)|%\([A-Za-z_]|<%|^<|>$|^\$[A-Za-z_]|^%[A-Za-z_]+%$"
    rb"|^(?:my|the|a)?[-_]?(?:super|very|db|user|admin|root|test|new|old|some)?[-_]?(?:secret|password|passwd|passphrase|passw|pass|pwd|token|api|key"
    rb"|secret[-_]?(?:key|pw)|api[-_]?key)$|^changeit$|todo|n/a|undefined|not[-_](?:set|a)|some[-_]|_here"
    rb"|^(?:none|null|nil|true|false|string|user|username|empty|required|bytes|text|hidden|masked|encrypted|unset|blank|test|testing|foo|bar|baz|demo|guest|name"
    rb"|postgres|postgresql|mysql|mongodb?|rabbitmq|minioadmin)$"  # what their images begin with
    rb"|(?:^|[a-z0-9][-_ ])value[-_]?[a-z0-9]?$"
)
_ONE_CHARACTER = re.compile(rb"(.)\1{7}")  # eight of the same


def not_placeholder(value: bytes) -> bool:
    return _PLACEHOLDER.search(value) is None


def varied(value: bytes) -> bool:
    """A token that could have come out of a generator: not a few characters over and over, no row, not an example's filler."""
    return (
        len(set(value)) >= min(6, len(value) // 3)
        and _ONE_CHARACTER.search(value) is None
        and not_filler(value)
        and not is_row(value)
        and not _repeats(value)
    )


_AGAIN = re.compile(rb"(?s)(.{1,4}?)\1{3,}|([^ ]{5,20}?)\2{2,}")


def _repeats(value: bytes) -> bool:
    """Whether most of it is one piece again and again: `123123123123`, or a tester's `abcd1234` three times and more."""
    piece = _AGAIN.search(value.lower())
    return piece is not None and len(piece[0]) * 2 > len(value)


# After each the next in the alphabet or of the digits; both begin anew after their last, and the one may follow the other.
_NEXT = frozenset(zip(b"0123456789abcdefghijklmnopqrstuvwxyz09", b"1234567890bcdefghijklmnopqrstuvwxyzaaa", strict=True))


ROW_CHARS = 10  # `1234567890`; by chance a token of 40 hexadecimal digits has such a row once in a thousand million


def is_row(value: bytes) -> bool:
    """Whether the alphabet or the digits in their order are half of it or a whole row: what a person types for the look of it."""
    low = value.lower()
    longest = row = 1
    for pair in pairwise(low):
        row = row + 1 if pair in _NEXT else 1
        longest = max(longest, row)
    return longest >= ROW_CHARS or longest * 2 >= len(value) or _is_braid(low)


BRAID_CHARS = 20  # of 16 hexadecimal digits by chance one in fifty thousand is such a braid
_NOT_ALNUM = bytes(set(range(256)) - set(b"0123456789abcdefghijklmnopqrstuvwxyz"))


def _is_braid(low: bytes) -> bool:
    """Whether letters and digits take turns and each goes up or down by one, as in `a1b2c3d4-e5f6`: so do manuals' ids."""
    plain = low.translate(None, _NOT_ALNUM)
    if len(plain) < BRAID_CHARS:
        return False
    turns = sum(
        abs(third - first) == 1 and (first < 58) == (third < 58) != (second < 58)
        for first, second, third in zip(plain, plain[1:], plain[2:], strict=False)
    )
    return turns * 2 >= len(plain) - 2


# In a token of an issuer's own mark, length and alphabet: AAAA and abcd are what a lazy person tries; a row of x or of one digit,
# or a word for it, stands for what is left out.
_LEFT_OUT = re.compile(
    rb"(?i)x{6,}|#{4,}|\*{3,}|\.{3,}|([0-9])\1{6}|([0-9]{2,4})\2{3}|examplekey|your[-_]|placeholder|redacted|_here$"
)


def marked(value: bytes) -> bool:
    """Where the shape alone says whose token it is: whatever it is made of, unless it says that it stands for another."""
    return _LEFT_OUT.search(value) is None


def many_kinds(value: bytes) -> bool:
    """For tokens that begin with a long run of one character."""
    return len(set(value)) >= 12 and not_filler(value)


_FILLER = re.compile(
    rb"(?i)x{6,}|#{4,}|example$|examplekey|your[-_]|placeholder|redacted|dummy|_here$|(?-i:[a-z]Here|[A-Z]HERE)$|\*{3,}|\.{3,}|\.\.$"
    rb"|([0-9]{3,8}[-_.])\1{2}"  # `1234-1234-1234-`
)


def not_filler(value: bytes) -> bool:
    return _FILLER.search(value) is None


_WORDS = re.compile(rb"[A-Za-z]+[0-9]{0,2}(?:[-_./:](?:[A-Za-z]+[0-9]{0,2}|[0-9]{1,4}))*[-_.:/]?")
LETTERS_BY_CHANCE = 16  # fewer make a word by chance, or an abbreviation
_TIME_UUID = re.compile(
    rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)  # RFC 9562: a clock, no chance
_VERSION = re.compile(rb"(?i)(?:v|rc)?[0-9]+(?:\.[0-9]+){1,3}(?:[-_.][a-z0-9_.-]*)?")
_CODE = re.compile(
    rb"\w\.[A-Za-z_]\w*\.|^\w+\.[A-Za-z_]+$|->|::|^/|^\.|^@|^#|^--|^https?:|^arn:|^vault:|://|\\[A-Za-z]{3}|[A-Za-z]\[|\w\($|[a-z]/[a-z]+/"
    rb"|^[a-z]{2,}[0-9]?(?:_[a-z]{2,}[0-9]?)*=[^=]|:[0-9]{12}:"  # a named argument; an account in a resource's name
)


def random_token(least_bits: float = 3.0) -> Validator:
    """A value nobody typed by hand: letters and digits mixed, varied, and not a version, path, expression or word."""

    def valid(value: bytes) -> bool:
        if not not_placeholder(value) or _VERSION.fullmatch(value) or _TIME_UUID.fullmatch(value):
            return False
        if _CODE.search(value) or not not_filler(value) or is_row(value) or _repeats(value) or entropy_bits(value) < least_bits:
            return False
        return _is_by_chance(value) and not _says_words(value)

    return valid


_BASE64_OF_WORDS = re.compile(rb"[A-Za-z]+(?:[ _.-][A-Za-z]+)+[.!?\n]{0,2}")


def _says_words(value: bytes) -> bool:
    """Whether it is base64 of words: no generator made that."""
    if len(value) % 4:
        return False
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except binascii.Error:
        return False
    return _BASE64_OF_WORDS.fullmatch(decoded) is not None


def _is_by_chance(value: bytes) -> bool:
    """Whether letters and digits are mixed as no person would; letters alone must be many, and make no words."""
    digit_count = sum(48 <= b <= 57 for b in value)
    letter_count = sum(65 <= b & 0xDF <= 90 for b in value)
    if not letter_count:
        return False
    if not digit_count:
        return letter_count >= LETTERS_BY_CHANCE and naturalness(value) < RANDOM
    if _WORDS.fullmatch(value):
        return letter_count >= LETTERS_BY_CHANCE and naturalness(value) < RANDOM
    return letter_count < LETTERS_BY_CHANCE or digit_count * 6 > letter_count or naturalness(value) < NATURAL


_JOINT = re.compile(rb"[A-Za-z][0-9]*[._=-][A-Za-z_]|[a-z][0-9]*[A-Z][a-z]")
_IN_NO_NAME = re.compile(rb"[^\w.=-]")
_CONSTANT = re.compile(rb"_?(?:[A-Z0-9]{1,12}_){1,8}[A-Z0-9]{1,12}")
_WORD = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")


def is_identifier(value: bytes) -> bool:
    """Whether it is a name out of a program: words joined by signs or capitals, and short numbers, as in `Ed25519PublicKey`.

    Two thirds of its letters are in words of three and more, two fifths in longer ones: of 16 random letters and digits three in
    a thousand look like that.
    """
    if _CONSTANT.fullmatch(value):
        return True
    if _JOINT.search(value) is None or _IN_NO_NAME.search(value) is not None:
        return False
    words = [len(word) for word in _WORD.findall(value)]
    letter_count = sum(words)
    in_words, in_long = (sum(size for size in words if size >= least) for least in (3, 4))
    is_of_words = in_words * 3 >= letter_count * 2 and in_long * 5 >= letter_count * 2
    return is_of_words and naturalness(value) >= NATURAL


def not_identifier(value: bytes) -> bool:
    return not is_identifier(value)


_CALL = re.compile(
    rb"[A-Za-z_$][\w$]*(?:\.(?=[^0-9])|->|::|\(|\[)|^[A-Z][A-Z0-9]*_[A-Z0-9_]+$|^[\$%@&#/\\:.!?+*=~^-]|^[A-Za-z]+:$|[\\/]\w+[\\/]"
)
_LABELS = re.compile(
    rb"(?i)^(?:input|text|field|label|pass(?:word|wd|phrase)?s?|pwd|(?:confirm|enter|new|old|current|forgot|reset|hash)[a-z_]*"
    rb"|type|str|int|char|bool(?:ean)?|optional|varchar\w*|self|this|that|the|and|for|(?:get|set|is|has)[a-z_]*|invalid|incorrect"
    rb"|wrong|must|should|length|min|max|strong|weak|\w*password\w*|\w*pwd|\w*secret|\w*token|required|default|missing|show|hide|return|await|new|const"
    rb"|let|var|function|print|system|admin)[.:!?;]?$"
)


_NAME_OF_ID = re.compile(  # `PUBLIC_KEY=`, `key_id:`, `credentialsId = `, and not `valid:`
    rb"(?i:(?:pub(?:lic)?|publishable|anon|site|primary|foreign|partition|sort|range|cache|hash|dedup(?:lication)?|idempotency|websocket"
    rb"|encrypted|sealed)[-_. ]?key)|(?:[-_. ]|^)(?i:(?:next|previous|page|sync|continuation|cancellation)[-_. ]?token)"
    rb"|(?<=[a-z])(?:Next|Page|Sync|Continuation|Cancellation)Token"
    rb"|(?:^|[-_.])(?i:public[-_.](?:[a-z0-9]{1,12}[-_.]){0,3}(?:key|token))"
    rb"|(?<!(?i:secret|porter))(?:[-_. ](?i:id)|(?<=[a-z])I[dD])s?[\"'`\])]{0,2}[ \t]*[:=,>]"
)


_PROPERTY = tuple(b"path file name type count len length size version format prefix param algorithm expiry ttl".split())
_ASSIGNED = rb"[\"'`\])]{0,2}[ \t]*[:=,>]"


def _named(*properties: bytes) -> re.Pattern[bytes]:
    """A name that ends in one of `properties`, a word of its own: `token_count = `, `secretName: `."""
    words = b"|".join(properties), b"|".join(word.capitalize() for word in properties)
    return re.compile(rb"(?:[-_.](?i:%b)|(?<=[a-z])(?:%b))s?%b" % (*words, _ASSIGNED))


_NAME_OF_PROPERTY = _named(*_PROPERTY, *b"hash digest fingerprint checksum md5 sha1 sha256".split())
_NAME_OF_MANY = re.compile(rb"(?i)(?:tokeni[sz]er|tokens)" + _ASSIGNED)
_NAME_OF_NONE = re.compile(rb"(?i)fake|dummy|bogus|invalid|non_?matching|placeholder|(?:^|[-_.])not_?(?:a|valid|real)(?:[-_.]|$)")


def names_secret(before: bytes) -> bool:
    """What a value is called: the id of a secret is none, but for `secret_id` and `reporter_id`; nor is a `dummy_token`."""
    return not any(name.search(before) for name in (_NAME_OF_ID, _NAME_OF_PROPERTY, _NAME_OF_MANY, _NAME_OF_NONE))


_NAME_OF_PASSING = re.compile(
    rb"(?i)passport|passage|passenger|compass|bypass|passive|passing|pass(?:ed|es)(?![a-z])|pass[-_]?through|trespass|minipass|askpass"
    rb"|passlib|crypted[-_. ]?pass|(?-i:[Pp]Ass)"  # an IPAssociation
)
_ABOUT_PASSWORDS = (
    b"label rule regex pattern policy field url link time date hint message error title placeholder encoder hasher strength meter"
    b" mismatch requirement"
)
_NAME_ABOUT_PASSWORDS = _named(*_PROPERTY, *_ABOUT_PASSWORDS.split())


def names_password(before: bytes) -> bool:
    """Not every name with `pass` in it, nor what is told about passwords: `passwordLabel`."""
    return _NAME_OF_PASSING.search(before) is None and _NAME_ABOUT_PASSWORDS.search(before) is None


def typed_password(value: bytes) -> bool:
    """Something a person could have typed as a password, and not code, a label or a template."""
    return not_placeholder(value) and _CALL.search(value) is None and _LABELS.match(value) is None and len(set(value)) >= 3


_PATH = re.compile(rb"/?[\w.@-]+/[\w.@-]+[/#]|/[\w.@-]+/[\w.@-]+$|arn:|https?:|\+ ?[A-Za-z]+ [A-Za-z]")
_TEMPLATE = re.compile(
    rb"^(?:(?:required|nullable|sometimes|string)[|:]|\$[A-Za-z_{(]|<|%[A-Za-z(]|\{[\w{ .%]|[#.][A-Za-z][\w-]*$|#\{|\.)"
)
_ASKS = re.compile(rb"[A-Za-z ]+[!?]+$|.*(?::|\.{3})$")  # "Enter it again!", and not "Hunter2!"
_SENTENCE = re.compile(rb"(?i)(?:.* )?pass(?:word|phrase|code)s? .*|[a-z',-]+(?: [a-z',-]+){2,}\.")
_VERSIONS = re.compile(rb"[\^~<>=v]{0,3}[0-9]+(?:\.[0-9x*]+)+")  # `^7.1.1`


def _labels(value: bytes) -> bool:
    """A label or a field's name: `newPassword`, and not "thisismypassword"."""
    if len(value) >= 12 and value.islower() and value.isalpha():
        return False
    return _LABELS.match(value) is not None


def quoted_password(value: bytes) -> bool:
    """As `typed_password`; between quotes brackets and words may stand, but a sentence is a label and a variable a template."""
    return (
        not_placeholder(value)
        and not _labels(value)
        and value.count(b" ") <= 5
        and not value.startswith(b" ")
        and _PATH.match(value) is None
        and len(set(value)) >= 3
        and _TEMPLATE.match(value) is None
        and _ASKS.fullmatch(value) is None
        and _SENTENCE.fullmatch(value) is None
        and _VERSIONS.fullmatch(value) is None
    )


_NAMES_ANOTHER = re.compile(
    rb"(?i)secret|key|token|cred|pass|name|auth|config|\.(?:json|ya?ml|txt|env|pem)$|^[A-Za-z]+$|^[0-9.]+$|[ /]"
)


def quoted_secret(value: bytes) -> bool:
    """What may stand between quotes after `secret`: no single word, no path, and not the name of another secret."""
    return quoted_password(value) and len(value) >= 8 and _NAMES_ANOTHER.search(value) is None and varied(value)


def typed_or_generated(value: bytes) -> bool:
    """For places where words stand as often: what a generator made, or a person with a digit in it."""
    if random_token()(value):
        return True
    return typed_password(value) and b"-" not in value and any(48 <= byte <= 57 for byte in value) and not value.isdigit()


_WORDS_AND_NUMBER = re.compile(rb"[A-Za-z][a-z]+[._-][A-Za-z][a-z]+[0-9]{2,6}[!?#*$%]?")  # typed, and no attribute
_MEASURE = re.compile(rb"[0-9]{1,3}[-_]?[A-Za-z]+")  # "8-stellig", "12chars": what is said about a password


def complex_password(value: bytes) -> bool:
    """A typed password with something in it that words do not have: for places where words stand, too."""
    is_said = value.isalpha() or _WORDS.fullmatch(value) is not None or _MEASURE.fullmatch(value) is not None
    return not is_said and (typed_password(value) or (_WORDS_AND_NUMBER.fullmatch(value) is not None and not_placeholder(value)))


_JOINED = re.compile(rb"(?:[A-Z][a-z]+_)+(?:[A-Z][a-z]+)?[0-9]{1,6}[!?#*$%]?")  # `Panda_88`: no name out of a program


def said_password(value: bytes) -> bool:
    """For places where somebody says what a password is: one that no generator made, too."""
    return (complex_password(value) and random_token(2.0)(value)) or (
        _JOINED.fullmatch(value) is not None and typed_password(value)
    )


def base64_of_text(value: bytes) -> bool:
    """Base64 whose bytes are printable text: as Kubernetes keeps what people typed."""
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except binascii.Error:
        return False
    return len(decoded) >= 4 and all(9 <= byte <= 126 for byte in decoded) and not_placeholder(decoded)


def base64_of_pair(value: bytes) -> bool:
    """Base64 of `user:password`, as HTTP's basic authentication and Docker write it."""
    return base64_of_text(value) and binascii.a2b_base64(value).count(b":") >= 1


def not_pair_of_placeholders(value: bytes) -> bool:
    """Not base64 of `user:password` where a placeholder stands for the password."""
    return not base64_of_pair(value) or not_placeholder(binascii.a2b_base64(value).rpartition(b":")[2])


def json_web_token(value: bytes) -> bool:
    """RFC 7515: its first part is base64url of a JSON object that names an algorithm."""
    header = value.split(b".", 1)[0]
    try:
        decoded = binascii.a2b_base64(header.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(header) % 4))
    except binascii.Error:
        return False
    return decoded.startswith(b"{") and decoded.rstrip().endswith(b"}") and (b'"alg"' in decoded or b'"enc"' in decoded)


def last_part(length: int, *, least_kinds: int = 2) -> Validator:
    """For tokens that begin with numbers of some account: their last `length` characters, varied, are what chance has made.

    Of digits, capitals and small letters at least `least_kinds` stand in them.
    """

    def valid(value: bytes) -> bool:
        part = value[-length:]
        kinds = sum(any(low <= byte <= high for byte in part) for low, high in ((48, 57), (65, 90), (97, 122)))
        return kinds >= least_kinds and len(set(part)) >= min(6, length // 2) and not_filler(value)

    return valid
