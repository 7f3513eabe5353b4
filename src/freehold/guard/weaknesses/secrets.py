"""Passwords, keys and tokens that stand in code: a constant that is given to something with the name of one.

The name and the value must both look so: `password = "changeme-please"` and `"secret": os.environ["S"]` and `token_url = "https://…"`
are told apart. Keys that have a form of their own are found by the detectors of credentials, wherever they stand.
"""

import re
from functools import lru_cache

_NAME = re.compile(
    r"(?i)(?:^|[_\-.\s])"
    r"(?:pw|pass(?:word|wd|phrase|wort)?|pwd|secret(?:s|[_-]?key(?:[_-]?base)?)?|token|api[_-]?key|apikey|auth[_-]?key|access[_-]?key|private[_-]?key|"
    r"client[_-]?secret|encryption[_-]?key|credentials?|jwt[_-]?secret|signing[_-]?key|passcode|cred|secret[_-]?access[_-]?key|bearer)$"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JOINED = re.compile(
    r"(?i)(?:password|passwd|passphrase|secretkey|apikey|authtoken|accesstoken|clientsecret|privatekey|accesskey|passwort)\d?$"
)
_PLACEHOLDER = re.compile(
    r"(?i)^(?:x+|\*+|\.+|-+|<.*>|\$\{.*\}|\{.*\}|%\w+%|\[.*\]|none|null|undefined|true|false|test|dummy|todo.*|placeholder.*|"
    r"#[0-9a-f]{3,8}|your[_\- ].*|my[_\- ]?(?:pass|secret|token|key|api).*|test[_\- ].*|change.?me.*|(?:example|fake|sample).*|"
    r"(?:insert|enter|replace)[_\- ].*|"
    r"(?:the|new|old|current|confirm|user)?[_\- ]?"
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_\- ]?key|key|credentials?|login)s?[:*]?|"
    r"env[:(].*|process\.env.*|os\.environ.*|.*\bhere\b.*|.*your.*(?:key|token|secret|password).*|.*_here)$"
)
_PASSWORD = re.compile(r"(?i)(?:^|[;\s])(?:password|pwd)\s?=\s?([^;\s]+)")
_SERVER = re.compile(r"(?i)(?:^|[;\s])(?:server|host|data source|user id|uid|user|username|database|dbname|initial catalog)\s?=")
_WORDS = re.compile(r"\s\S+\s")  # a sentence is a label or a message
_ADDRESS = re.compile(r"^(?:[a-z]+:/?/|/|\./|[\w.-]+\.(?:com|org|net|io|json|pem|key|txt|ya?ml|html|php|py|js)\b)", re.IGNORECASE)
_NAMES_ONE = re.compile(r"^[a-z]+(?:[._-][a-z]+)*$|^[A-Z]+(?:_[A-Z]+)+$")
SHORTEST = 4
LIMIT_CHARS = 512  # longer is a text or a file


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    return _NAME.search(_HUMP.sub("_", name)) is not None or _JOINED.search(name) is not None


def looks_secret(value: str) -> bool:
    """Whether a constant looks like a secret itself, and not like the name of one, a place, a label, or what stands for one."""
    said = value.strip()
    if not SHORTEST <= len(said) <= LIMIT_CHARS or _PLACEHOLDER.match(said) or _ADDRESS.match(said) or _WORDS.search(said):
        return False
    if _NAMES_ONE.match(said) and len(said) > 12 and ("_" in said or "-" in said or "." in said):
        return False
    return len(set(said)) > 2


def has_password(value: str) -> bool:
    """Whether a constant is what a database is opened with, password and all."""
    found = _PASSWORD.search(value)
    return found is not None and _SERVER.search(value) is not None and looks_secret(found[1])


def is_likely(value: str) -> bool:
    """Whether it has what random or chosen secrets have: signs of two kinds, or length."""
    kinds = sum((any(c.islower() for c in value), any(c.isupper() for c in value), any(c.isdigit() for c in value)))
    return (kinds >= 2 and len(value) >= 6) or len(value) >= 16 or any(not c.isalnum() and not c.isspace() for c in value)


def is_its_name(value: str, name: str) -> bool:
    """Whether a constant is but what it is called: `SECRET_KEY = "secret-key"`, or a word of a grammar: `token == "async"`."""
    is_word = value.isalpha() and value.islower() and name.lower().endswith("token")
    return is_word or re.sub(r"[\W_]", "", value).lower() == re.sub(r"[\W_]", "", name).lower()
