"""How a person or a machine is reached: e-mail and network addresses."""

import ipaddress
import re

from freehold.guard.detectors.detector import PERSONAL_DATA, Detector

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NOT_DOMAINS = (b".png", b".jpg", b".jpeg", b".gif", b".svg", b".js", b".css", b".py", b".json", b".local", b".ts")


_RESERVED = re.compile(
    rb"(?i)(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$|^(?:your-?|my)?(?:domain|company)\.[a-z]{2,3}$"
)  # RFC 2606, RFC 6761; then what else stands for a host
_NOBODY = re.compile(rb"(?i)(?:no|do[._-]?not)[._-]?reply|mailer-daemon|git")
_ROLES = re.compile(  # whom documentation writes to
    rb"(?i)(?:your|my|some|an?)?[._-]?(?:your|my|first|last|full|user|e?mail|name|address|test|tester|demo|example|sample|foo|bar|baz|me|you|bob|alice|carol"
    rb"|eve|joe|john|jane|doe|smith|admin|info|contact|support|sales|help|hello|noreply|no-reply|someone|nobody|abuse|root|postmaster"
    rb"|webmaster|security|team|office|account|customer|client|recipient|sender|service|dev|billing|person|employee|manager|x+)[0-9]{0,3}"
)


def _writes_of_nobody(local: bytes) -> bool:
    """Whether every word of `local` is one that documentation uses."""
    return all(_ROLES.fullmatch(word) for word in re.split(rb"[._+-]", local) if len(word) > 1)


def _email(value: bytes) -> bool:
    """Two dots in a row or at an end are no address; neither is a file name with a density (`icon@2x.png`), nor a clone URL.

    Domains set aside for documentation reach nobody, but people put in place of their host still go by their name.
    """
    local, _, domain = value.rpartition(b"@")
    return (
        _NOBODY.fullmatch(local) is None
        and b".." not in value
        and not local.startswith(b".")
        and not local.endswith(b".")
        and not domain.lower().endswith(_NOT_DOMAINS)
        and (_RESERVED.search(domain) is None or not _writes_of_nobody(local))
    )


_DOCUMENTED = (b"192.0.2.", b"198.51.100.", b"203.0.113.")  # RFC 5737
_PART = rb"(0|[1-9][0-9]{0,2})"
_QUAD = re.compile(rb"\.".join([_PART] * 4))


def _is_somewhere(first: int, value: bytes) -> bool:
    """Of an IPv4 address that begins with `first`: not loopback, not a group, not a netmask, not unspecified."""
    return first != 127 and not 224 <= first <= 239 and first != 255 and value != b"0.0.0.0"


def _ip(value: bytes) -> bool:
    """An address as written, with or without prefix length or zone, that says where some machine is.

    Not one every machine has (unspecified, loopback), not a group, not a netmask, not one set aside for documentation.
    """
    if (plain := _QUAD.fullmatch(value)) is not None:  # 10 times as fast, and the same: logs are full of them
        first = int(plain[1])
        is_address = max(first, int(plain[2]), int(plain[3]), int(plain[4])) < 256
        return is_address and _is_somewhere(first, value) and not value.startswith(_DOCUMENTED)
    text = value.decode("ascii", "replace").split("%")[0]
    try:
        address = ipaddress.ip_interface(text).ip
    except ValueError:
        return False
    is_nowhere = address.is_unspecified or address.is_loopback or address.is_multicast or text.startswith("255.")
    return not is_nowhere and not value.startswith(_DOCUMENTED)


def _ipv6(value: bytes) -> bool:
    """Two colons or more, and enough of it that `a::b` in a program is left alone."""
    return _ip(value) and (value.count(b":") >= 3 or len(value) >= 9 or b"/" in value or b"%" in value)


CONTACT = (
    Detector(
        id="email",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9._%+-])",
        pattern=rf"[A-Za-z0-9._%+'-]{{1,64}}@(?:{_LABEL}\.){{1,6}}[A-Za-z]{{2,24}}",
        hint=r"[A-Za-z0-9._%+'-]@[A-Za-z0-9]",
        confidence=0.95,
        validator=_email,
        must_match=("write to ada.lovelace@analytical-engine.org today", "<bob+tag@mail.example.co.uk>"),
        must_not_match=(
            "icon@2x.png",
            "user@localhost",
            "a..b@example.com",
            "git@github.com:a/b",
            "bob@example.com",
            "bob@shop.test",
            "name@domain.tld",
            "noreply@analytical-engine.org",
        ),
    ),
    Detector(
        id="email-spelled",  # the name has been sent by then; without the host it says little
        category=PERSONAL_DATA,
        left="",
        before=r"[A-Za-z0-9][A-Za-z0-9._%+-]{1,63} ?[\[({<]{1,2} ?(?i:at|arroba|@|chez|bei) ?[\])}>]{1,2} ?",
        pattern=r"[A-Za-z][A-Za-z0-9.-]{1,62}",
        confidence=0.7,
        must_match=("ada.lovelace [at] analytical-engine dot org", "ada(at)engines.org", "ada <at> engines [dot] org"),
        must_not_match=("look at this (at once)", "list[at] = 5"),
    ),
    Detector(
        id="ip-address",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9.:_-])",
        pattern=r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:/[0-9]{1,2})?",
        after=r"(?:[^A-Za-z0-9.]|\.[^0-9]|\.$|$)",
        confidence=0.8,
        validator=_ip,
        must_match=("from 192.168.10.4 to 10.0.0.0/8", "8.8.8.8."),
        must_not_match=("version 1.2.3.4.5", "256.1.1.1", "0.0.0.0/0", "127.0.0.1:80", "255.255.255.0", "192.0.2.7"),
    ),
    Detector(
        id="ipv6-address",
        category=PERSONAL_DATA,
        head=r"[0-9a-fA-F]{0,4}:[0-9a-fA-F]{0,4}:",
        left=r"(?:^|[^A-Za-z0-9.:_])",
        pattern=r"(?:[0-9a-fA-F]{1,4})?(?::{1,2}[0-9a-fA-F]{0,4}){1,7}(?::?[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?:%[A-Za-z0-9]{1,16})?(?:/[0-9]{1,3})?",
        after=r"(?:[^A-Za-z0-9:]|$)",
        confidence=0.8,
        validator=_ipv6,
        must_match=("host 2001:db8:85a3::8a2e:370:7334 up", "fe80::1ff:fe23:4567:890a%eth0", "::ffff:192.0.2.128"),
        must_not_match=("std::vector", "12:34:56", "a::b", "::"),
    ),
    Detector(
        id="mac-address",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9:.-])",
        pattern=r"(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})",
        after=r"(?:[^A-Za-z0-9:.-]|\.[^A-Za-z0-9]|\.$|$)",
        confidence=0.85,
        validator=lambda value: len(set(value.lower().translate(None, b":.-"))) > 1,
        must_match=("ether 00:1B:44:11:3a:b7", "00-1B-44-11-3A-B7", "001b.4411.3ab7"),
        must_not_match=("00:00:00:00:00:00", "00:1B:44:11:3A"),
    ),
)
