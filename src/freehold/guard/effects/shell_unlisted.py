"""A program that no table has: judged by its arguments.

It is `run` at least. Keys, devices and other users' files among its words are read or changed by it; a word such as upload or
delete says which; an address and content of files is something sent; and a command among its words is run. Words that say
nothing stay a plain `run`.
"""

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import host_of, host_place, place_of
from freehold.guard.effects.shell_call import Call
from freehold.guard.effects.shell_handed import handed
from freehold.guard.effects.shell_interpreters import SHELLS
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import LOCAL, OUTPUT, SECRET, marks_of
from freehold.guard.effects.shell_table import escapes
from freehold.guard.syntax import Language

_SENDS = named("unlisted-sends")
_MAY_SEND = frozenset(
    ["send", "--send", "post", "--post", "push", "--push", "--data", "--body"]
)  # where an address stands besides
_DELETES = named("unlisted-deletes")
_RUNS = named("unlisted-runs")
_LISTENS = frozenset(["--listen", "-listen", "listen", "--bind", "--bind-address", "--serve", "serve"])
_GRAVE = (Place.CREDENTIAL, Place.DEVICE, Place.OTHER_USER)
_MANY = 60  # words that are looked at


def unlisted(call: Call, *, quiet: bool = False) -> str:
    """`quiet` where the caller has said what the program is not."""
    shell, args = call.shell, call.args[:_MANY]
    if not quiet:
        shell.give(EffectKind.RUN, "a program that no table has", target=call.name)
    if call.stdin:
        escapes(call)
    if not args:
        return OUTPUT
    deletes = sends = may_send = False
    hosts: list[str] = []
    for at, arg in enumerate(args):
        word = arg.partition("=")[2] or arg if arg.startswith("-") else arg
        option = arg.partition("=")[0] if arg.startswith("-") else arg
        deletes = deletes or option in _DELETES
        sends = sends or (option in _SENDS and (at == 0 or arg.startswith("-")))
        may_send = may_send or option in _MAY_SEND
        if option in _RUNS:
            _command(call, arg, args, at)
        elif arg.rpartition("/")[2] in SHELLS and args[at + 1 : at + 2] and args[at + 1].startswith("-") and "c" in args[at + 1]:
            call.run(args[at:])
        host = host_of(word) if (":" in word or "." in word or "@" in word) else None
        if host is not None:
            hosts.append(host)
        elif "/" in word or "." in word or "~" in word or marks_of(word):
            _path(call, word.removeprefix("@"), deletes=deletes)
    handed(call, runs=True)
    _network(call, hosts, sends=sends or (may_send and bool(hosts)))
    return OUTPUT


def _command(call: Call, arg: str, args: list[str], at: int) -> None:
    """An option that by its name runs its value; only a value of several words, or one that a shell would read, is a command."""
    text = arg.partition("=")[2] or (args[at + 1] if at + 1 < len(args) else "")
    if " " in text.strip() and (arg != "-c" or text.split()[0].isalpha()):
        call.code(Language.SHELL, text)


def _path(call: Call, word: str, *, deletes: bool) -> None:
    place = place_of(call.shell.resolve(word), call.shell.scene.folder)
    kind = EffectKind.DELETE if deletes else EffectKind.READ
    if place in _GRAVE:
        call.shell.touch(kind, word, "a program that no table has is given this file")
    elif place in (Place.SYSTEM, Place.WHOLE_TREE, Place.HOME, Place.WORKSPACE) and deletes:
        call.shell.touch(EffectKind.DELETE, word, "a program that no table has is told to delete this")


def _network(call: Call, hosts: list[str], *, sends: bool) -> None:
    shell = call.shell
    flow = call.stdin + "".join(call.args[:_MANY])
    far = [host for host in hosts if host_place(host) is not Place.NOTHING]
    if far and (SECRET in flow or sends or any(place_of(arg) is Place.CREDENTIAL for arg in call.args[:_MANY])):
        call.sends(
            far[0],
            "a program that no table has is given an address, and what it may send there",
            flow=flow,
            files=call.args[:_MANY],
        )
    elif far and LOCAL in flow:
        call.sends(far[0], "a program that no table has is given an address and a file's content")
    elif sends:
        shell.give(EffectKind.SEND, "a program that no table has is told to send something", place=Place.HOST)
    elif far:
        shell.give(
            EffectKind.DOWNLOAD, "a program that no table has is given an address", place=host_place(far[0]), target=far[0]
        )
    elif any(arg in _LISTENS for arg in call.args[:_MANY]):
        shell.give(EffectKind.LISTEN, "a program that no table has is told to wait for others")
