"""Where a path or a host lies: in the working folder, among the system's files, among somebody's keys.

Decided here, from the text of a path alone: nothing is looked up on a disk. A part of a path that is not known (a variable, a
command's output) is a `HOLE`; what is known around it decides. A path with wildcards counts as the gravest place that they can
reach among those named here. `file_effects` adds what follows from the place: a profile that is written runs again by itself, a
log that is deleted hides traces. The facts and their sources are in `data/places.toml`. Windows paths and registry keys are
left to `windows_places`.
"""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, ip_address
from typing import Any

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.windows_places import windows_place_of

HOLE = "\ue000"  # private use: stands in a text for what is not known of it
LAST_MARK = "\ue005"  # a shell's walk has other such signs, up to this one, for where a text came from
A_TEMP_FOLDER = "/tmp"  # noqa: S108 - a name: nothing is written there
LIMIT_CHARS = 1_024  # PATH_MAX of macOS: what is longer is no path that anybody wrote, and its beginning decides

_WILD = re.compile(r"[*?\[]")
_WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\|HK(?:LM|CU|CR|U|CC|EY_)|Registry::|%\w+%|\$env:|\\[A-Za-z]", re.IGNORECASE)
_HOME_NAME = re.compile(r"^\$(?:HOME\b|\{HOME\})")
_TEMP_NAME = re.compile(r"^\$(?:TMPDIR\b|\{TMPDIR\}|TMP\b|TEMP\b)")


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads((files("freehold.guard.effects") / "data" / "places.toml").read_text(encoding="utf-8"))


def _any_of(key: str, before: str, after: str = "") -> re.Pattern[str]:
    fact = _facts()[key]
    return re.compile(f"{before}(?:{fact if isinstance(fact, str) else '|'.join(fact)}){after}")


def _group(key: str) -> re.Pattern[str]:
    group = _facts()[key]
    ends = f"|(?:^|/)(?:{'|'.join(group['ends'])})" if "ends" in group else ""
    return re.compile(f"^(?:/private)?/(?:{'|'.join(group['from_root'])}){ends}")


# Part of the code as much as a table in it would be: read once, when this is imported.
_SECRET_FILE = _any_of("secret_files", "(?:^|/)", "/?$")
_KEY_FILE = re.compile(_facts()["key_files"])
_PUBLIC_KEY_FILE = re.compile(_facts()["public_key_files"], re.IGNORECASE)
_SECRET_SYSTEM = _any_of("secret_system", "^(?:/private)?/", "(?:/|$)")
_DEVICE = _any_of("devices", "^/dev/")
_NO_DEVICE = _any_of("no_devices", "^/dev/")
_DEVICE_MEMORY = _any_of("device_memory", "^/")
_TEMP = _any_of("temp", "^(?:/private)?/", "(?:/|$)")
_SYSTEM = _any_of("system", "^/", "(?:/|$)")
_HOMES = re.compile(_facts()["homes"])
_ROOTS = frozenset(_facts()["roots"].split())
_TREE = frozenset(_facts()["whole_trees"].split())
_METADATA = frozenset(_facts()["metadata_hosts"].split())
_PERSIST = _group("persist")
_DEFENCE = _group("defence")
_TRACES = _group("traces")
_RIGHTS = _group("rights")
_RECON = _group("recon")
_A_HOME = "/home/" + "user"
# What wildcards are tried against: one of each kind above.
_NOTABLE = (
    "/etc/shadow", "/etc/passwd", "/etc/sudoers", "/root/.ssh/id_rsa", "~/.ssh/id_rsa", "~/.ssh/authorized_keys", "~/.netrc",
    "~/.aws/credentials", "~/.git-credentials", "~/.bash_history", "~/.kube/config", "~/.docker/config.json", ".aws/credentials",
    "~/.config/gcloud/credentials.db", ".env", ".ssh/id_rsa", "/dev/sda", "/dev/nvme0n1", f"{_A_HOME}/.ssh/id_rsa",
    f"{_A_HOME}/.bash_history",
)  # fmt: skip


def place_of(path: str, folder: str = "") -> Place:
    """`folder` is the working folder if it is known, absolute and plain, or empty."""
    return _place(path[:LIMIT_CHARS], folder)


@lru_cache(maxsize=4096)
def _place(path: str, folder: str) -> Place:
    if "\\" in path or ":" in path or "%" in path or "$" in path:
        if _WINDOWS.match(path):
            place = windows_place_of(path)
            if place is not None:
                return place
        path = _HOME_NAME.sub("~", path)
        path = _TEMP_NAME.sub(A_TEMP_FOLDER, path)
        if path.lower().startswith("file:"):
            path = "/" + path[5:].lstrip("/")
    if not path or path == "-":
        return Place.NOTHING
    plain = normal(path)
    if HOLE <= plain[0] <= LAST_MARK:
        return Place.CREDENTIAL if _is_secret(plain) else Place.ELSEWHERE  # nothing is known of where it begins
    if plain.startswith("../") or plain == "..":
        plain = _above(plain, folder)
    elif folder and plain[0] not in "/~" and folder[0] == "/":
        plain = normal(f"{folder}/{plain}")
    place = _gravest(plain, folder)
    if _WILD.search(plain) and place is not Place.WHOLE_TREE:
        for one in _NOTABLE:
            if (
                one.count("/") == plain.count("/")
                and fnmatchcase(one, plain)
                and not plain.endswith("*")
                and _shows_dots(plain, one)
            ):
                place = max(place, _gravest(one, folder), key=_RANK.__getitem__)
    return place


def _shows_dots(pattern: str, path: str) -> bool:
    """POSIX 2.13.3: a dot at the beginning of a name is matched by a dot alone."""
    return all(name[:1] != "." or one[:1] == "." for one, name in zip(pattern.split("/"), path.split("/"), strict=True))


_RANK = {place: rank for rank, place in enumerate(Place)}


def graver(one: Place, other: Place) -> Place:
    """The later of the two in `Place`: where several hold, it counts."""
    return one if _RANK[one] >= _RANK[other] else other


def _gravest(path: str, folder: str) -> Place:
    if path in _TREE:
        return Place.WHOLE_TREE
    if path.startswith(("/dev/", "/proc/", "/sys/")):
        if _NO_DEVICE.match(path):
            return Place.NOTHING
        if path.startswith(("/dev/tcp/", "/dev/udp/")):
            return Place.HOST
        if _DEVICE_MEMORY.match(path) or _DEVICE.match(path):
            return Place.DEVICE
    if _is_secret(path):
        return Place.CREDENTIAL
    if _TEMP.match(path):
        return Place.TEMP
    if folder and folder != "/" and (path == folder or path.startswith(folder.rstrip("/") + "/")):
        return Place.WORKSPACE
    if path.startswith("~"):
        return Place.HOME if path == "~" or path[1] == "/" else Place.OTHER_USER
    home = _HOMES.match(path)
    if home:
        return _of_whom(home.group(1), folder)
    if path.startswith("/root"):
        return Place.OTHER_USER
    if _SYSTEM.match(path):
        return Place.SYSTEM
    return Place.ELSEWHERE if path.startswith(("/", "../")) or path == ".." else Place.WORKSPACE


def _of_whom(owner: str, folder: str) -> Place:
    """The working folder tells who the caller is."""
    mine = _HOMES.match(folder)
    if _WILD.search(owner) or (mine and owner != mine.group(1)) or owner == HOLE:
        return Place.OTHER_USER
    return Place.HOME


def _is_secret(path: str) -> bool:
    if _SECRET_FILE.search(path) or _SECRET_SYSTEM.match(path):
        return True
    # A key in the working folder is most often one that the work is about; elsewhere it is somebody's.
    return path[0] in "/~" and _KEY_FILE.search(path) is not None and not _PUBLIC_KEY_FILE.search(path)


def normal(path: str) -> str:
    """Without `.`, doubled `/` and what `..` takes back. "." for the working folder itself."""
    if "//" not in path and "./" not in path and not path.endswith(("/", ".")):
        return path
    parts: list[str] = []
    rooted = path.startswith("/")
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == ".." and parts and parts[-1] != ".." and parts[-1] != "~":
            parts.pop()
        elif part != ".." or not rooted:
            parts.append(part)
    whole = "/".join(parts)
    return f"/{whole}" if rooted else whole or "."


def _above(path: str, folder: str) -> str:
    """A relative path that leaves the working folder, as an absolute one where that can be told."""
    if folder.startswith("/"):
        return normal(f"{folder}/{path}")
    rest = path.lstrip("./")
    return f"/{rest}" if rest.split("/")[0] in _ROOTS and path.count("../") > 1 else path


_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@\s]*@)?(\[[0-9A-Fa-f:.]+\]|[^/:?#\s]+)")
_REMOTE = re.compile(r"^(?:[\w.+-]+@)(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::.*)?$")
_PORT = re.compile(r"^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|localhost|\[[0-9A-Fa-f:]+\]):(\d{1,5}|[/~].*)?(?:/.*)?$")
_ADDRESS = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3})(?:[:/].*)?$")
_LOOPBACK = frozenset(_facts()["loopback_hosts"].split())


def host_of(text: str) -> str | None:
    """The host that a URL, `user@host:path`, `host:port` or an address names, in lower case; None where it names none."""
    text = text[:LIMIT_CHARS]
    for form in (_URL, _REMOTE, _ADDRESS, _PORT):
        found = form.match(text)
        if found:
            return found.group(1).strip("[]").lower()
    if text.count(":") > 1:
        try:
            return str(ip_address(text))
        except ValueError:
            return None
    return None


_METADATA_INSIDE = re.compile(r"(?<!\d)169[.-]254[.-]169[.-]254(?!\d)")  # nip.io and its like: a name with an address in it


def _plain_address(host: str) -> str:
    """inet_aton(3): an address may be one number or up to four, decimal, octal or in hex; RFC 4291: one may stand in IPv6."""
    if not host[:1].isdigit():
        if ":" not in host:
            return host
        try:
            inner = ip_address(host)
        except ValueError:
            return host
        return str(getattr(inner, "ipv4_mapped", None) or host)
    try:
        numbers = [int(part, 16 if part[:2] == "0x" else 8 if part[:1] == "0" else 10) for part in host.split(".")]
        whole = numbers.pop()
        for place, number in enumerate(numbers):
            whole += number << 24 - 8 * place
        return str(IPv4Address(whole))
    except ValueError:
        return host


def host_place(host: str) -> Place:
    """NOTHING for this machine itself; CREDENTIAL for the addresses at which clouds hand out keys; HOST for all others."""
    host = _plain_address(host.lower().rstrip("."))
    if host in _METADATA or _METADATA_INSIDE.search(host):
        return Place.CREDENTIAL
    return Place.NOTHING if host in _LOOPBACK or host.startswith("127.") else Place.HOST


_CHANGES = (EffectKind.WRITE, EffectKind.OVERWRITE, EffectKind.DELETE, EffectKind.PERMISSION)
_RECON_BECAUSE = "reads accounts, settings or state of the machine"


def file_effects(kind: EffectKind, path: str, because: str, *, folder: str = "") -> tuple[Effect, ...]:
    """What is done at `path`, and what follows from where that is."""
    return _file_effects(kind, path[:LIMIT_CHARS], because, folder)


@lru_cache(maxsize=4096)
def _file_effects(kind: EffectKind, path: str, because: str, folder: str) -> tuple[Effect, ...]:
    return tuple(_consequences(kind, path, because, folder))


def _consequences(kind: EffectKind, path: str, because: str, folder: str) -> Iterator[Effect]:
    place = place_of(path, folder)
    if place is Place.NOTHING:
        return
    if place is Place.WHOLE_TREE and kind in (EffectKind.WRITE, EffectKind.OVERWRITE):
        place = Place.HOME if path.startswith("~") else Place.SYSTEM  # into it, not over all of it
    yield Effect(kind=kind, place=place, target=path, because=because)
    whole = normal(path)
    if whole[0] not in "/~" and folder.startswith("/"):
        whole = normal(f"{folder}/{whole}")
    if kind is EffectKind.READ:
        if _RECON.match(whole) and place is not Place.CREDENTIAL:
            yield Effect(kind=EffectKind.DISCOVER, place=Place.SYSTEM, target=path, because=_RECON_BECAUSE)
        return
    if kind not in _CHANGES:
        return
    if kind in (EffectKind.WRITE, EffectKind.OVERWRITE) and _PERSIST.search(whole):
        yield Effect(kind=EffectKind.PERSIST, place=place, target=path, because="what is written there runs again by itself")
    if _DEFENCE.match(whole):
        yield Effect(kind=EffectKind.EVADE, place=place, target=path, because="changes what guards or watches the machine")
    if _TRACES.search(whole) and kind is not EffectKind.WRITE:
        yield Effect(kind=EffectKind.EVADE, place=place, target=path, because="logs and histories are traces")
    if _RIGHTS.match(whole):
        yield Effect(kind=EffectKind.ACCOUNT, place=place, target=path, because="decides who may do what on the machine")
