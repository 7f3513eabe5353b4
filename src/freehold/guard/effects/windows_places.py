"""What a Windows path or a registry key is: whose it is, what it holds, and what changing it amounts to.

The facts are in `data/windows_places.toml`. Decided here: how the many ways of writing one path become one. A path whose
variables are known only to the machine is judged by what they usually hold: %TEMP% is a folder for temporary files. What has no
sign of Windows at all (no drive, no backslash, no %NAME%, no registry root) gets None, and is left to `places.py`.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from freehold.core.effects import EffectKind, Place

LIMIT_CHARS = 1024  # Windows' own limit for most programs is 260; what is longer is judged by its beginning
OWN = r"c:\users\~"  # the caller's own folder

# Microsoft Learn, "Recognized environment variables", and PowerShell's automatic variables as `powershell_values` writes them.
_VARIABLES = {
    "%windir%": r"c:\windows",
    "%systemroot%": r"c:\windows",
    "%systemdrive%": "c:",
    "%homedrive%": "c:",
    "%homepath%": OWN[2:],
    "%userprofile%": OWN,
    "%home%": OWN,
    "%appdata%": OWN + r"\appdata\roaming",
    "%localappdata%": OWN + r"\appdata\local",
    "%temp%": r"c:\users\~\appdata\local\temp",
    "%tmp%": r"c:\users\~\appdata\local\temp",
    "%public%": r"c:\users\public",
    "%programdata%": r"c:\programdata",
    "%allusersprofile%": r"c:\programdata",
    "%programfiles%": r"c:\program files",
    "%programfiles(x86)%": r"c:\program files (x86)",
    "%programw6432%": r"c:\program files",
    "%commonprogramfiles%": r"c:\program files\common files",
    "%comspec%": r"c:\windows\system32\cmd.exe",
    "%username%": "~",
    "%onedrive%": OWN + r"\onedrive",
    "%cd%": ".",
}
_VARIABLE = re.compile(r"%[^%\\\s]{1,40}%")
_ENVIRONMENT = re.compile(r"\$\{?env:(\w+(?:\(x86\))?)\}?")
_SIGN = re.compile(r"^(?!\w{2,12}://).*(?:\\|%\w|\$\{?env:|::|^[\"']?[A-Za-z]:|^[\"']?hk\w+:?$)", re.IGNORECASE | re.DOTALL)
_ROOTS = {
    "hkey_local_machine": "hklm",
    "hkey_current_user": "hkcu",
    "hkey_classes_root": "hkcr",
    "hkey_users": "hku",
    "hkey_current_config": "hkcc",
}
_KEY = re.compile(
    r"(?:(?:microsoft\.powershell\.core\\)?registry::|\\\\[^\\]+\\)?\\?(hklm|hkcu|hkcr|hku|hkcc|hkey_local_machine|hkey_current_user"
    r"|hkey_classes_root|hkey_users|hkey_current_config):?(?=\\|$)\\*"
)
_KEY_AT_ONCE = re.compile(r"(hklm|hkcu|hkcr|hku):(?=[a-z])")  # "HKLM:Software" is a key too
_DRIVE = re.compile(r"[a-z]:")
_CALLER_IN_USERS = re.compile(r"c:\\users\\([^\\]+)")
_SHARED_FOLDERS = frozenset(("public", "default", "default user", "all users"))
_SHADOW = re.compile(r"\\\\[?.]\\globalroot\\device\\harddiskvolumeshadowcopy[^\\]*")
_ADMIN_SHARE = re.compile(r"\\\\(?:localhost|127\.0\.0\.1|\.|%computername%)\\([a-z])\$(?=\\|$)")
_STREAM = re.compile(r"(?<=[^\\:]):[^\\:]+(?::\$data)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Some paths or keys of one kind. `change` is what writing there amounts to. The lower `order` counts."""

    order: int
    place: Place | None
    change: EffectKind | None
    because: str
    form: re.Pattern[str]


@cache
def _patterns(kind: str) -> dict[str, list[Pattern]]:
    """By the last part, or else the ending, that a path must have for a pattern to match: so that few need to be tried."""
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_places.toml").read_text())
    found: dict[str, list[Pattern]] = {}
    for order, row in enumerate(document[kind]):
        for text in row["match"]:
            pattern = Pattern(
                order=order,
                place=Place(row["place"]) if "place" in row else None,
                change=EffectKind(row["change"]) if "change" in row else None,
                because=row.get("because", ""),
                form=_form(text),
            )
            found.setdefault(_sign(text), []).append(pattern)
    return found


def _form(pattern: str) -> re.Pattern[str]:
    body = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", r"[^\\]*").replace(r"\?", r"[^\\]")
    begins_anywhere = pattern[0] == "\\" and pattern[1] != "\\"
    return re.compile((r"(?:^|\\)" + body.removeprefix(r"\\") if begins_anywhere else "^" + body) + r"(?=\\|$|:)")


def _sign(pattern: str) -> str:
    parts = [part for part in pattern.split("\\") if part and "*" not in part and "?" not in part]
    if parts:
        return parts[-1]
    ending = pattern.rpartition("*")[2]
    return "." + ending.rpartition(".")[2] if "." in ending else ""


def _matching(kind: str, text: str) -> list[Pattern]:
    patterns = _patterns(kind)
    signs = {*text.split("\\"), ""}
    signs.update(["." + part.rpartition(".")[2] for part in signs if "." in part])
    tried = [pattern for sign in signs if sign in patterns for pattern in patterns[sign] if pattern.form.search(text)]
    return sorted(tried, key=lambda pattern: pattern.order)


def normal(path: str) -> str:
    """One way of writing a path or a key: lower case, backslashes, the usual values of variables, no stream, no device prefix."""
    text = path[:LIMIT_CHARS].strip().strip("\"'").strip().lower().replace("`", "")
    for prefix in ("filesystem::", "microsoft.powershell.core\\filesystem::", "file:///"):
        text = text.removeprefix(prefix)
    text = text.replace("/", "\\")
    if "$env:" in text or "${env:" in text:
        text = _ENVIRONMENT.sub(r"%\1%", text)
    if "%" in text:
        text = _VARIABLE.sub(lambda found: _VARIABLES.get(found[0], found[0]), text)
    if text.startswith("~"):
        text = OWN + text[1:]
    if text.startswith("\\\\"):
        text = _SHADOW.sub("c:", text)
        text = _ADMIN_SHARE.sub(r"\1:", text)
        if text[:4] in ("\\\\?\\", "\\\\.\\") and _DRIVE.match(text[4:]) and len(text) > 7:
            text = text[4:]
    if (found := _KEY.match(text)) or (found := _KEY_AT_ONCE.match(text)):
        root = _ROOTS.get(found[1], found[1])
        return (root + "\\" + re.sub(r"\\+", r"\\", text[found.end() :])).rstrip("\\")
    head = "\\\\" if text.startswith("\\\\") else ""
    text = head + re.sub(r"\\+", r"\\", text[len(head) :])
    if _DRIVE.match(text) and text[2:3] not in ("\\", ""):
        text = text[:2] + "\\" + text[2:]  # "C:Windows" is below the drive's own current folder: most often its root
    text = _dotted(text)
    if not _DRIVE.fullmatch(text):
        text = _STREAM.sub("", text)
    return text.replace("\\wow6432node", "").replace("\\syswow64\\", "\\system32\\").replace("\\sysnative\\", "\\system32\\")


def _dotted(text: str) -> str:
    """Without "." and "..", as far as they can be followed."""
    if "." not in text:
        return text
    out: list[str] = []
    for part in text.split("\\"):
        if part == "." and out and out != ["", ""]:
            continue
        if part == ".." and out and out[-1] not in ("..", "", ".") and not _DRIVE.fullmatch(out[-1]):
            out.pop()
        elif part == ".." and out and _DRIVE.fullmatch(out[-1]):
            continue
        else:
            out.append(part)
    return "\\".join(out)


def is_key(path: str) -> bool:
    """Whether it is in the registry."""
    return normal(path).partition("\\")[0] in ("hklm", "hkcu", "hkcr", "hku", "hkcc")


def windows_place_of(path: str) -> Place | None:
    """None where the text has no sign of being a Windows path or a registry key."""
    if not _SIGN.search(path[:LIMIT_CHARS]):
        return None
    return _place_of_normal(normal(path), path)


def _place_of_normal(text: str, path: str) -> Place | None:
    root = text.partition("\\")[0]
    if root in ("hklm", "hkcu", "hkcr", "hku", "hkcc"):
        return _key_place(text, root)
    known = _matching("files", text)
    if known and known[0].place is not None:
        return known[0].place
    if text.startswith("\\\\"):
        return Place.HOST
    if _DRIVE.match(text):
        return _drive_place(text)
    if text.startswith("\\"):
        return _drive_place("c:" + text) if len(text) > 1 else Place.WHOLE_TREE
    if "\\" in path and not path.startswith("/"):
        return Place.ELSEWHERE if text.startswith("..") else Place.WORKSPACE
    return Place.WORKSPACE if text == "." and "%" in path else None


def _key_place(text: str, root: str) -> Place:
    for pattern in _matching("keys", text):
        if pattern.place is not None:
            return pattern.place
    return Place.WHOLE_TREE if text == root else Place.HOME if root == "hkcu" else Place.SYSTEM


def _drive_place(text: str) -> Place:
    rest = text[2:].strip("\\")
    if rest in ("", "*", "*.*"):
        return Place.WHOLE_TREE
    if text.startswith(OWN):
        below = text[len(OWN) :].strip("\\")
        if below.startswith("appdata\\local\\temp"):
            return Place.TEMP
        return Place.WHOLE_TREE if below in ("", "*", "*.*") else Place.HOME
    if found := _CALLER_IN_USERS.match("c:" + text[2:]):
        if found[1] in _SHARED_FOLDERS:
            return Place.ELSEWHERE
        return Place.OTHER_USER if found[1] in ("*", "*.*") else Place.TEMP if "\\appdata\\local\\temp" in text else Place.HOME
    if rest == "users":
        return Place.OTHER_USER
    return Place.TEMP if rest.split("\\")[0] in ("temp", "tmp") or text.startswith(r"c:\windows\temp") else Place.ELSEWHERE


def change_of(path: str, name: str = "") -> tuple[EffectKind, Place, str] | None:
    """What writing to a path, or setting the value `name` of a key, amounts to where it is more than writing; else None."""
    text = normal(path)
    if text.partition("\\")[0] in ("hklm", "hkcu", "hkcr", "hku", "hkcc"):
        return _change_of_key(text, name.strip("\"'").lower())
    for pattern in _matching("files", text)[:1]:
        if pattern.change is not None:
            return pattern.change, windows_place_of(path) or Place.HOME, pattern.because
    return None


def _change_of_key(text: str, name: str) -> tuple[EffectKind, Place, str] | None:
    place = _key_place(text, text.partition("\\")[0])
    at = text + "\\" + name if name else text
    for pattern in reversed(_matching("keys", at)):  # defences and rights lie within what also holds things that start
        if pattern.change is not None:
            return pattern.change, place, pattern.because
    return None
