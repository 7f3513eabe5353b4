"""What a request over HTTP does, whoever makes it: a tool, a program, a browser.

Getting downloads; everything else sends, as does a query that carries more than a question. The address of a machine that gives
out credentials (a cloud's metadata service) is a place of credentials, in every way of writing it. Nothing is asked of a
resolver: a name that leads to such an address is not known here.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import place_of
from freehold.guard.effects.scene import unknown

# Where clouds and orchestrators give credentials to who asks from inside. AWS: 169.254.169.254, fd00:ec2::254 and, for
# containers, 169.254.170.2 and .23; Google Cloud, Azure, Oracle, DigitalOcean, OpenStack: 169.254.169.254; Alibaba:
# 100.100.100.200; Oracle's older: 192.0.0.192. From the vendors' pages on instance metadata.
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(one)
    for one in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "100.100.100.200",
        "192.0.0.192",
    )
)
METADATA_NAMES = (
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
)
METADATA_PATHS = ("/latest/meta-data", "/computemetadata/", "/metadata/identity", "/metadata/instance", "/opc/v1", "/opc/v2")
GETTING = frozenset(("", "GET", "HEAD", "OPTIONS"))
LONG_QUERY_CHARS = 512  # people's questions and search forms are shorter; a key or a file is not
LONG_RUN_CHARS = 120  # of letters and digits without a break; a signed URL's parts have up to some 100
LONG_LABEL_CHARS = 40  # of a host's name: content networks use up to some 32
LIMIT_URL_CHARS = 64 << 10

_URL = re.compile(
    r"\s*(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://)?(?:[^/?#@\s]*@)?(\[[^\]]*\]|[^/?#:\s]*)(?::(\d+))?([^?#]*)\??([^#]*)"
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+")
_UNBROKEN = re.compile(rf"[A-Za-z0-9+/_=%-]{{{LONG_RUN_CHARS},}}")


class Address(NamedTuple):
    """A URL's parts, lower case where case does not count."""

    scheme: str
    host: str
    path: str
    query: str


def address_of(url: str) -> Address:
    """Of any text; parts that it lacks are empty."""
    found = _URL.match(url[:LIMIT_URL_CHARS].replace("\\", "/"))
    if found is None:
        return Address("", "", "", "")
    scheme, host, _, path, query = found.groups()
    return Address((scheme or "").lower(), host.strip("[]").rstrip(".").lower(), path, query)


def ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address in any notation a client may take: 0xA9FEA9FE, 2852039166, 0251.0376.0251.0376, 169.254.43518."""
    try:
        plain = ipaddress.ip_address(host)
    except ValueError:
        return _by_parts(host)
    if isinstance(plain, ipaddress.IPv6Address):
        return plain.ipv4_mapped or plain.sixtofour or plain
    return plain


def _by_parts(host: str) -> ipaddress.IPv4Address | None:
    """As inet_aton reads it: the last part fills what is left, 0x is hexadecimal, a leading 0 octal."""
    parts = host.split(".")
    if not 1 <= len(parts) <= 4 or not all(len(part) < 20 and _NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        numbers = [int(part, 16 if part[:2].lower() == "0x" else 8 if part[0] == "0" and len(part) > 1 else 10) for part in parts]
    except ValueError:
        return None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 1 << 8 * (4 - len(first)):
        return None
    return ipaddress.IPv4Address(sum(number << 8 * (3 - at) for at, number in enumerate(first)) + last)


def is_metadata(address: Address) -> bool:
    """Whether it gives out a machine's credentials."""
    path = address.path.lower()
    by_name = address.host in METADATA_NAMES or ip_of(address.host) in METADATA_ADDRESSES
    return by_name or any(one in path for one in METADATA_PATHS)


def whose(address: Address) -> str:
    """ "another machine", or what is known to be nearer."""
    ip = ip_of(address.host)
    if (
        address.host == "localhost"
        or address.host.endswith(".localhost")
        or (ip is not None and (ip.is_loopback or ip.is_unspecified))
    ):
        return "this machine"
    if (ip is not None and ip.is_private) or address.host.endswith((".internal", ".local", ".lan", ".svc", ".cluster.local")):
        return "a machine of the private network"
    return "another machine"


def carries_data(address: Address) -> bool:
    """Whether the URL itself takes more along than a question: a long query, an unbroken run, a host's name made of data."""
    if len(address.query) > LONG_QUERY_CHARS or _UNBROKEN.search(address.query) or _UNBROKEN.search(address.path):
        return True
    return any(len(label) >= LONG_LABEL_CHARS for label in address.host.split("."))


def effects_of_request(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: str = "", *, folder: str = "", by: str = "the request"
) -> list[Effect]:
    """`by` names what makes it, in our own words. `method` may be in any case, and empty for getting."""
    address = address_of(url)
    method = method.strip().upper()
    overriding = {name.lower(): value for name, value in (headers or {}).items()}.get("x-http-method-override", "")
    if address.scheme == "file":
        path = address.path or address.host
        return [
            Effect(kind=EffectKind.READ, place=place_of(path, folder), target=path, because=f"{by} reads a file of this machine")
        ]
    if address.scheme in ("data", "about", "blob"):
        return []
    if not address.host:
        return [unknown(f"{by} goes to an address that is not known")]
    effects: list[Effect] = []
    target = address.host
    if is_metadata(address):
        because = f"{by} asks a metadata service, which gives out the machine's credentials"
        effects.append(Effect(kind=EffectKind.READ, place=Place.CREDENTIAL, target=target, because=because))
    other = whose(address)
    is_getting = method in GETTING and overriding.upper() in GETTING
    if not is_getting or body or carries_data(address) or address.scheme in ("gopher", "dict", "ws", "wss"):
        effects.append(Effect(kind=EffectKind.SEND, place=Place.HOST, target=target, because=f"{by} sends to {other}"))
    else:
        effects.append(
            Effect(kind=EffectKind.DOWNLOAD, place=Place.HOST, target=target, because=f"{by} gets something from {other}")
        )
    if "DELETE" in (method, overriding.upper()):
        effects.append(
            Effect(kind=EffectKind.DELETE, place=Place.HOST, target=target, because=f"{by} deletes something on {other}")
        )
    return effects
