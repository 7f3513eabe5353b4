"""Redirections of a shell: the files and sockets they open, what is read from them, and what is written to them.

Follows POSIX.1-2024 chapter 2.7 and bash(1), "REDIRECTION", `/dev/tcp` and `/dev/udp` with it.
"""

import re
from typing import NamedTuple

from tree_sitter import Node

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import host_place
from freehold.guard.effects.shell_state import NET, Shell
from freehold.guard.effects.shell_words import Word, read
from freehold.guard.syntax import text_of

_SOCKET = re.compile(r"^/dev/(?:tcp|udp)/([^/]+)/")


class Redirect(NamedTuple):
    """As it is written: its operator, the number of its descriptor or "", what it names, and words behind that."""

    sign: str
    number: str
    target: str | Word
    rest: tuple[Node, ...]


class Opening(NamedTuple):
    """A redirection as it happens: `targets` are the words that it may name."""

    sign: str
    number: str
    targets: tuple[str, ...]


def read_redirect(node: Node) -> Redirect:
    number = ""
    named: list[Node] = []
    for child in node.named_children:
        kind = child.type
        if kind == "file_descriptor":
            number = number if named else text_of(child)
        elif kind != "ERROR":
            named.append(child)
    return Redirect(_sign(node), number, read(named[0]) if named else "", tuple(named[1:]))


def opening(shell: Shell, node: Node) -> Opening:
    sign, number, target, _ = shell.once(node, read_redirect)
    if isinstance(target, str):
        shell.turn, shell.turns = 0, 1
        return Opening(sign, number, (target,))
    return Opening(sign, number, tuple(_every_value(shell, target)))


def opened(shell: Shell, one: Opening, stdin: str) -> tuple[str, list[str]]:
    """What is read, and the sockets that are opened. What is written to is touched."""
    sockets: list[str] = []
    for target in one.targets:
        socket = _SOCKET.match(target) if target.startswith("/dev/") else None
        if socket:
            socket_opened(shell, one, socket.group(1))
            sockets.append(socket.group(1))
            stdin = NET if "<" in one.sign else stdin
        elif target.isdigit() or target in ("-", ""):
            if shell.files.get(f"&{target}") == NET and one.sign in ("<&", ">&"):
                shell.files[f"&{one.number or '0'}"] = NET
                sockets.append("")
                stdin = NET if one.sign == "<&" else stdin
        elif one.sign in ("<", "<>"):
            shell.touch(EffectKind.READ, target, "reads its input from a file")
            stdin = shell.content(target)
        elif ">>" in one.sign:
            shell.touch(EffectKind.WRITE, target, "adds its output to a file")
        else:
            shell.touch(EffectKind.OVERWRITE, target, "writes its output over a file")
    return stdin, sockets


def socket_opened(shell: Shell, one: Opening, host: str) -> None:
    kind = EffectKind.DOWNLOAD if one.sign in ("<", "<&") else EffectKind.SEND
    shell.give(kind, "a redirection that opens a network socket", place=host_place(host), target=host)
    shell.files[f"&{one.number or '1'}"] = NET


def written(shell: Shell, one: Opening, out: str) -> str:
    """What of the output is left after it was written."""
    left = out
    for target in one.targets:
        if one.sign == "<>" or (target.startswith("/dev/") and _SOCKET.match(target)):
            left = ""
        elif one.sign == ">&" and (target.isdigit() or target == "-"):
            if shell.files.get(f"&{target}") == NET and out:
                shell.give(EffectKind.SEND, "output goes to a network socket", place=Place.HOST)
            left = "" if one.number in ("", "1") and target == "2" else out
        elif one.number in ("", "1") or one.sign.startswith("&") or one.sign == ">&":
            shell.store(target, out, adds=">>" in one.sign)
            left = ""
    return left


def _sign(node: Node) -> str:
    for child in node.children:
        if not child.is_named:
            return "<>" if child.type == "<" and text_of(node).lstrip("0123456789").startswith("<>") else child.type
    return ">"


def _every_value(shell: Shell, word: Word) -> list[str]:
    """A word in each of the values that its variables may have."""
    values: list[str] = []
    shell.turn = 0
    while True:
        shell.turns = 1
        values.append(word.value(shell))
        shell.turn += 1
        if shell.turn >= shell.turns or not shell.scene.budget.spend():
            break
    shell.turn = 0
    return values
