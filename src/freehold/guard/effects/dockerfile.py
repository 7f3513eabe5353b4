"""What building a container image does, and what the container will run.

Decided here: how a Dockerfile is read (its lines, heredocs, the two forms of a command), and what of a command's effects
counts. Files, users and services that a RUN changes are the image's own; what goes over a network, what is downloaded and run,
and what can't be told concerns whoever builds. Source: Docker's "Dockerfile reference" (syntax 1.7), "Build secrets".
"""

import re
from collections.abc import Iterator

import msgspec

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import host_of, place_of
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.syntax import Language

LIMIT_CHARS = 64 << 10
LIMIT_INSTRUCTIONS = 500

_OUTSIDE = frozenset(  # what concerns more than the image
    (
        EffectKind.DOWNLOAD,
        EffectKind.SEND,
        EffectKind.INSTALL,
        EffectKind.EXECUTE,
        EffectKind.REMOTE_SHELL,
        EffectKind.UNKNOWN,
        EffectKind.PUBLISH,
    )
)
_INSTRUCTION = re.compile(r"^\s*([A-Za-z]+)(?:\s+|$)(.*)", re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)(?:$|_)", re.IGNORECASE
)
_PAIR = re.compile(r"(?<!\w)\d*+([A-Za-z_]\w*+)=(\"[^\"]*\"|'[^']*'|\S*)")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s+")


def dockerfile(text: str, scene: Scene) -> list[Effect]:
    """The analyser of `Language.DOCKERFILE`."""
    if len(text) > LIMIT_CHARS:
        return [unknown(f"longer than {LIMIT_CHARS} characters")]
    found: list[Effect] = []
    shell, user = Language.SHELL, ""
    for count, (name, rest) in enumerate(_instructions(text)):
        if count == LIMIT_INSTRUCTIONS:
            found.append(unknown("more instructions than are looked at"))
            break
        if name == "FROM":
            user = ""
        elif name == "SHELL":
            shell = _shell(rest)
        elif name == "USER":
            user = rest.strip()
        elif name == "ONBUILD":
            inner = _INSTRUCTION.match(rest)
            found += _does(inner[1].upper(), inner[2], shell, scene) if inner else []
        else:
            found += _does(name, rest, shell, scene)
    if user.split(":")[0] in ("root", "0"):
        found.append(Effect(kind=EffectKind.RUN, place=Place.SYSTEM, because="the container runs as root"))
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each with its arguments, continued lines joined and heredocs appended."""
    lines = iter(text.replace("\r\n", "\n").split("\n"))
    escape = "`" if re.match(r"(?:#[^\n]*\n)*#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = [line]
        while whole[-1].rstrip().endswith(escape):
            whole[-1] = whole[-1].rstrip()[:-1]
            following = next((one for one in lines if not one.lstrip().startswith("#")), None)
            if following is None:
                break
            whole.append(following)
        joined = " ".join(whole) if escape == "`" else "\\\n".join(whole)
        found = _INSTRUCTION.match(joined)
        if found is None:
            continue
        rest = found[2]
        for document in list(_HEREDOC.finditer(rest))[:4]:
            rest = _with_heredoc(rest, document[2], lines)
        yield found[1].upper(), rest


def _with_heredoc(rest: str, end: str, lines: Iterator[str]) -> str:
    body: list[str] = []
    for line in lines:
        if line.strip() == end:
            break
        body.append(line)
    return rest + "\n" + "\n".join(body) + "\n" + end


def _shell(rest: str) -> Language:
    lower = rest.lower()
    return (
        Language.POWERSHELL if "powershell" in lower or "pwsh" in lower else Language.BATCH if "cmd" in lower else Language.SHELL
    )


def _does(name: str, rest: str, shell: Language, scene: Scene) -> list[Effect]:
    flags: dict[str, str] = {}
    while flag := _FLAG.match(rest):
        flags[flag[1]] = flag[2] or ""
        rest = rest[flag.end() :]
    if name in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
        return _command(name, rest, flags, shell, scene)
    if name in ("ADD", "COPY"):
        return _copies(rest, scene)
    return list(_secrets(rest)) if name in ("ENV", "ARG") else []


def _command(name: str, rest: str, flags: dict[str, str], shell: Language, scene: Scene) -> list[Effect]:
    found: list[Effect] = []
    if flags.get("security") == "insecure":
        found.append(
            Effect(kind=EffectKind.ESCALATE, place=Place.SYSTEM, because="a step of the build with all rights of its machine")
        )
    if flags.get("network") == "host":
        found.append(Effect(kind=EffectKind.ESCALATE, because="a step of the build on its machine's own network"))
    rest = rest.strip().removeprefix("CMD ").strip() if name == "HEALTHCHECK" else rest.strip()
    if rest.startswith("["):
        rest = " ".join("'" + word.replace("'", "'\\''") + "'" for word in _words(rest))
    elif document := re.match(r"<<-?\s*[\"']?(\w+)[\"']?\s*\n(.*)\n\1\s*$", rest, re.DOTALL):
        rest = document[2]
    if not rest or rest.upper() == "NONE":
        return found
    return found + [
        _in_image(effect) for effect in scene.inside(shell, rest) if effect.kind in _OUTSIDE or effect.place is Place.CREDENTIAL
    ]


def _in_image(effect: Effect) -> Effect:
    """Packages are installed into the image."""
    if effect.kind is EffectKind.INSTALL:
        return Effect(kind=EffectKind.INSTALL, place=Place.WORKSPACE, target=effect.target, because=effect.because)
    return effect


def _words(text: str) -> list[str]:
    """The exec form is JSON."""
    try:
        return msgspec.json.decode(text.encode(), type=list[str])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text.strip("[]").replace('"', "").replace(",", " ").split()


def _copies(rest: str, scene: Scene) -> list[Effect]:
    found: list[Effect] = []
    words = _words(rest) if rest.lstrip().startswith("[") else rest.split("\n")[0].split()
    for word in words[:-1]:
        if "://" in word or word.startswith("git@"):
            found.append(
                Effect(
                    kind=EffectKind.DOWNLOAD, place=Place.HOST, target=host_of(word) or word, because="adds a file from a host"
                )
            )
        elif place_of(word, scene.folder) is Place.CREDENTIAL:
            found.append(
                Effect(kind=EffectKind.READ, place=Place.CREDENTIAL, target=word, because="puts credentials into an image")
            )
    return found


def _secrets(rest: str) -> Iterator[Effect]:
    for pair in _PAIR.finditer(rest if "=" in rest.split(" ")[0] else rest.replace(" ", "=", 1)):
        value = pair[2].strip("\"'")
        if _SECRET_NAME.search(pair[1]) and value and not value.startswith("$"):
            yield Effect(
                kind=EffectKind.WRITE, place=Place.CREDENTIAL, because="puts a secret into an image, for all who have it"
            )
            return
