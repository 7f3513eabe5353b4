"""How a person or a machine is reached: e-mail, telephone, network addresses."""

import ipaddress
import re

from freehold.guard.detectors.detector import NOT_DIGIT, PERSONAL_DATA, Detector
from freehold.guard.detectors.validators import digits

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NOT_DOMAINS = (b".png", b".jpg", b".jpeg", b".gif", b".svg", b".js", b".css", b".py", b".json", b".local", b".ts")


_RESERVED = re.compile(rb"(?i)(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$")  # RFC 2606, RFC 6761


def _email(value: bytes) -> bool:
    """Two dots in a row or at an end are no address; neither is a file name with a density (`icon@2x.png`), nor a clone URL.

    Domains set aside for documentation reach nobody.
    """
    local, _, domain = value.rpartition(b"@")
    return (
        local != b"git"
        and b".." not in value
        and not local.startswith(b".")
        and not local.endswith(b".")
        and not domain.lower().endswith(_NOT_DOMAINS)
        and _RESERVED.search(domain) is None
    )


_DATE = re.compile(rb"(?:19|20)[0-9]{2}[-./][01]?[0-9][-./][0-3]?[0-9]|[0-3]?[0-9][-./][0-3]?[0-9][-./](?:19|20)[0-9]{2}")


def _telephone(value: bytes) -> bool:
    """7 to 15 digits (E.164), not all alike, and not a date."""
    number = digits(value).lstrip(b"+")
    return 7 <= len(number) <= 15 and len(set(number)) > 2 and _DATE.fullmatch(value) is None


def _north_american(value: bytes) -> bool:
    """Area code and exchange begin with 2 to 9 (NANP)."""
    number = digits(value).lstrip(b"+").split(b"x")[0]
    number = number[1:] if len(number) == 11 and number.startswith(b"1") else number
    return len(number) == 10 and number[0] > 49 and number[3] > 49 and len(set(number)) > 2


_DOCUMENTED = (b"192.0.2.", b"198.51.100.", b"203.0.113.")  # RFC 5737


def _ip(value: bytes) -> bool:
    """An address as written, with or without prefix length or zone, that says where some machine is.

    Not one every machine has (unspecified, loopback), not a group, not a netmask, not one set aside for documentation.
    """
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
        ),
    ),
    Detector(
        id="phone-international",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9+])",
        pattern=r"\+[1-9][0-9]{0,2}[ .-]?(?:\(?[0-9]{1,5}\)?[ ./-]{0,2}){2,6}[0-9]{2}",
        confidence=0.8,
        validator=_telephone,
        must_match=("call +49 151 2345 6789 now", "+14155550123", "+44 (0)20 7946 0958"),
        must_not_match=("+1 2", "a+123456"),
    ),
    Detector(
        id="phone-us",
        category=PERSONAL_DATA,
        left=NOT_DIGIT,
        pattern=r"(?:1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?:x[0-9]{1,5})?",
        confidence=0.8,
        validator=_north_american,
        retry=True,
        must_match=("ring (415) 555-0123 or 415-555-0124", "1-800-275-2273", "415.555.0199"),
        must_not_match=("115-555-0123", "version 415.55.0123"),
    ),
    Detector(
        id="phone-context",
        category=PERSONAL_DATA,
        left="",
        before=(
            r"(?i:phone|telephone|mobile|cell|call|tel|fax|whatsapp|contact|reach)[a-z]{0,3}"
            r"(?i: (?:number|no|num|me|us|him|her|at|on|is)){0,4}[^\n0-9A-Za-z+(]{0,6}(?i:at |on |is )?"
        ),
        pattern=r"\(?[0-9]{2,5}\)?[ ./-]?(?:[0-9]{2,5}[ ./-]?){1,4}[0-9]{2}",
        confidence=0.65,
        validator=_telephone,
        must_match=("phone: 020 7946 0958", "call me at 0171 2345678"),
        must_not_match=("phone: none", "call 911 now", "call on 2022-02-25"),
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
