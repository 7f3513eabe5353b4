"""Redirections of a shell: the files and sockets they open, what is read from them, and what is written to them.

Follows POSIX.1-2024 chapter 2.7 and bash(1), "REDIRECTION", `/dev/tcp` and `/dev/udp` with it.
"""

import re
from typing import NamedTuple

from tree_sitter import Node

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import host_place
from freehold.guard.effects.shell_state import NET, Shell
from freehold.guard.effects.shell_words import PART, Word, read, read_part

_PLAIN = re.compile(rf"([0-9]?)(>>|>&|>|<) *({PART})")
_SOCKET = re.compile(r"^/dev/(?:tcp|udp)/([^/]+)/")


class Redirect(NamedTuple):
    """As it is written: its operator, the number of its descriptor or "", what it names, and words behind that."""

    sign: str
    number: str
    target: str | Word
    rest: tuple[Node, ...]


def read_redirect(node: Node, shell: Shell) -> Redirect:
    text = shell.text(node)
    if plain := _PLAIN.fullmatch(text):
        return Redirect(plain[2], plain[1], read_part(plain[3]), ())
    sign = number = ""
    named: list[Node] = []
    for child in node.children:
        kind = child.type
        if kind == "file_descriptor":
            number = number if named else shell.text(child)
        elif not child.is_named:
            sign = sign or kind
        elif kind != "ERROR":
            named.append(child)
    if sign == "<" and text.lstrip("0123456789").startswith("<>"):
        sign = "<>"
    return Redirect(sign or ">", number, read(named[0], shell) if named else "", tuple(named[1:]))


def targets(shell: Shell, one: Redirect) -> list[str]:
    """What it names, in each of the values that its variables may have."""
    shell.turn, shell.turns = 0, 1
    if isinstance(one.target, str):
        return [one.target]
    values: list[str] = []
    while True:
        shell.turns = 1
        values.append(one.target.value(shell))
        shell.turn += 1
        if shell.turn >= shell.turns or not shell.scene.budget.spend():
            break
    shell.turn = 0
    return values


def opened(shell: Shell, one: Redirect, names: list[str], stdin: str, sockets: list[str]) -> str:
    """What is read. What is written to is touched; the hosts of sockets that are opened come to `sockets`."""
    for target in names:
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
    return stdin


def socket_opened(shell: Shell, one: Redirect, host: str) -> None:
    kind = EffectKind.DOWNLOAD if one.sign in ("<", "<&") else EffectKind.SEND
    shell.give(kind, "a redirection that opens a network socket", place=host_place(host), target=host)
    shell.files[f"&{one.number or '1'}"] = NET


def written(shell: Shell, one: Redirect, names: list[str], out: str) -> str:
    """What of the output is left after it was written."""
    left = out
    for target in names:
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
