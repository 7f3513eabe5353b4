"""Containers and clusters: the commands that run inside, what a container is given of the machine, and daemons elsewhere.

The rest of these programs is in the table. Sources: docker, podman and kubectl references; MITRE ATT&CK T1610, T1611.
"""

import itertools

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import host_of, host_place, normal
from freehold.guard.effects.programs import LOOKS, parted
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import OUTPUT, Shell
from freehold.guard.effects.shell_table import tabled
from freehold.guard.effects.shell_wrappers import after_options
from freehold.guard.syntax import Language

_CONTAINER_TAKES = named("container-takes")
_COMPOSE_TAKES = frozenset(("-v", "--volume", "-e", "--env", "-f", "--file", "-p", "--name", "--cap-add", "-u", "--user"))
_GLOBAL_TAKES = frozenset(
    ("-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "--connection", "--url", "--remote")
)


def container(call: Call) -> str:
    """docker, podman, nerdctl: `run` and `exec` run a command inside; the rest is in the table."""
    args = _after_global(call.args)
    _elsewhere(call, call.args[: len(call.args) - len(args)], args)
    if args[:1] == ["compose"]:
        _breakout(call, args, parted(args, _COMPOSE_TAKES).values)
    if "build" in args[:2]:
        _built(call)
    words = [arg for arg in args[:2] if not arg.startswith("-")]
    verb = words[1] if words[:1] == ["container"] and len(words) > 1 else words[0] if words else ""
    if verb in ("run", "create", "exec"):
        rest = args[args.index(verb) + 1 :]
        return _inside(call, verb, rest)
    return tabled(Call(shell=call.shell, name="docker", args=args, stdin=call.stdin))


def _elsewhere(call: Call, options: list[str], args: list[str]) -> None:
    """A daemon on another machine; files that a build may read."""
    given = parted(options, _GLOBAL_TAKES)
    host = host_of(given.value("-H", "--host", "--url") or call.shell.value("DOCKER_HOST") or "")
    if host is not None and host_place(host) is not Place.NOTHING:
        looks = not args or args[0] in ("ps", "images", "logs") or not LOOKS.isdisjoint(args[:2])
        kind = EffectKind.DISCOVER if looks else EffectKind.EXECUTE
        call.shell.give(kind, "asks the container daemon of another machine", place=Place.HOST, target=host)
    for option, value in itertools.pairwise(args if "build" in args[:2] else ()):
        if option == "--secret":
            for path in (part.partition("=")[2] for part in value.split(",") if part.startswith(("src=", "source="))):
                call.shell.touch(EffectKind.READ, path, "a build is given a file")


def _built(call: Call) -> None:
    """A Dockerfile that comes in, or that this script wrote."""
    shell = call.shell
    text = call.stdin if "-" in call.args else shell.files.get(normal(shell.resolve("Dockerfile")), "")
    if text:
        call.code(Language.DOCKERFILE, text)


def _after_global(args: list[str]) -> list[str]:
    return after_options(args, _GLOBAL_TAKES)


def _inside(call: Call, verb: str, rest: list[str]) -> str:
    shell = call.shell
    flags = call.flags(_CONTAINER_TAKES)
    words = after_options(rest, _CONTAINER_TAKES)
    options = rest[: len(rest) - len(words)]
    _breakout(call, options, flags.values)
    if verb == "exec":
        shell.give(EffectKind.RUN, "runs a command in a container", target=" ".join(words[:1]))
    else:
        shell.give(
            EffectKind.INSTALL,
            "starts a container of an image, which is somebody's code",
            place=Place.WORKSPACE,
            target=" ".join(words[:1]),
        )
    entry = flags.value("--entrypoint")
    command = ([entry] if entry else []) + words[1:]
    if command:
        inner = shell.child()
        inner.folder = "/container"
        start = len(shell.effects)
        inner.execute(inner, command, call.stdin)
        if not _reaches_host(flags.values):
            _soften(shell, start)
    return OUTPUT


_HOST_PATHS = (Place.SYSTEM, Place.CREDENTIAL, Place.DEVICE, Place.WHOLE_TREE, Place.OTHER_USER)


def _reaches_host(values: dict[str, list[str]]) -> bool:
    return any(option in values for option in ("-v", "--volume", "--mount", "--privileged", "--pid", "--device"))


def _soften(shell: Shell, start: int) -> None:
    """What happens to files inside a container without the machine's folders is gone with it."""
    local = (
        EffectKind.READ,
        EffectKind.WRITE,
        EffectKind.OVERWRITE,
        EffectKind.DELETE,
        EffectKind.INSTALL,
        EffectKind.DISCOVER,
        EffectKind.PERMISSION,
    )
    # A database in a container is the database that others use.
    shell.effects[start:] = [one for one in shell.effects[start:] if one.kind not in local or one.place is Place.DATABASE]


def _breakout(call: Call, options: list[str], values: dict[str, list[str]]) -> None:
    """What opens the machine to a container (MITRE ATT&CK T1611)."""
    shell = call.shell
    joined = " ".join(options)
    if "--privileged" in options or (
        "--cap-add" in joined and any(cap in joined.upper() for cap in ("SYS_ADMIN", "ALL", "SYS_PTRACE", "SYS_MODULE", "DAC_"))
    ):
        shell.give(EffectKind.ESCALATE, "a container with the machine's rights", place=Place.SYSTEM)
    if (
        any(value == "host" for option in ("--pid", "--ipc", "--userns", "--uts") for value in values.get(option, ()))
        or "unconfined" in joined
    ):
        shell.give(EffectKind.ESCALATE, "a container that sees the machine's processes, or is not confined", place=Place.SYSTEM)
    for option in ("-v", "--volume", "--mount"):
        for value in values.get(option, ()):
            path = next(
                (part.partition("=")[2] for part in value.split(",") if part.startswith(("source=", "src="))), value.split(":")[0]
            )
            if path.endswith("docker.sock") or (shell.place(path) in _HOST_PATHS and path.startswith(("/", "~"))):
                shell.give(
                    EffectKind.ESCALATE,
                    "a container with the machine's own folders or keys",
                    place=shell.place(path),
                    target=path,
                )
    for value in values.get("--device", ()):
        shell.give(
            EffectKind.ESCALATE, "a container with a device of the machine", place=shell.place(value.split(":")[0]), target=value
        )


def kubectl(call: Call) -> str:
    args = after_options(call.args, _CONTAINER_TAKES)
    verb = args[0] if args else ""
    if verb in ("exec", "run", "debug"):
        shell = call.shell
        shell.give(EffectKind.EXECUTE if verb != "run" else EffectKind.SPEND, "runs a command in a cluster", place=Place.HOST)
        text = " ".join(args)
        if (
            "privileged" in text
            or "hostPID" in text
            or "hostNetwork" in text
            or "hostPath" in text
            or (args[1:2] and args[1].startswith("node/"))
        ):
            shell.give(EffectKind.ESCALATE, "a container with the machine's rights", place=Place.SYSTEM)
        if "--" in args:
            inner = shell.child()
            inner.execute(inner, args[args.index("--") + 1 :] or ["true"], call.stdin)
        return OUTPUT
    return tabled(Call(shell=call.shell, name="kubectl", args=call.args, stdin=call.stdin))


CONTAINERS: dict[str, Handler] = {
    **dict.fromkeys(("docker", "podman", "nerdctl"), container),
    **dict.fromkeys(("kubectl", "oc", "k", "microk8s.kubectl"), kubectl),
}
