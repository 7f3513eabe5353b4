"""What a POSIX shell command or script does: a walk over its syntax tree that follows values, pipes and files, and runs nothing.

Decided here: the order of things, as the shell's grammar has it: lists, pipes, redirections, branches, loops, functions. All
branches count, a loop's body once for the values its variable takes, a function's body at each call and, if nobody calls it
here, once by itself. What a command does is decided in `shell_commands`, what a word is in `shell_words`. A text that does not
parse is `unknown`, and what can be read of it counts besides.
"""

import re
from typing import NamedTuple

from tree_sitter import Node

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.shell_builtins import assigned
from freehold.guard.effects.shell_commands import execute
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_network import TALKERS
from freehold.guard.effects.shell_redirects import Redirect, opened, read_redirect, targets, written
from freehold.guard.effects.shell_state import LIMIT_VALUE, LOCAL, OUTPUT, Body, Shell, filtered, marks_of, root_shell, unforged
from freehold.guard.effects.shell_words import PART, Word, expand, heredoc, read, read_part, value_of
from freehold.guard.syntax import Language, is_plain, parse

_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./ -]*")  # no quote, no expansion, no operator, no assignment
_WORDS = re.compile(r"[A-Za-z0-9_@%+:,./~*? -]+")  # of a command that the grammar found: the same, and patterns
_PARTS = re.compile(PART)
_SIMPLE = re.compile(rf"{PART}(?: +{PART})*+")
# The grammar takes a here-string before another redirection, and not after it; to a shell the order of these is one.
_HERE_STRING = re.compile(r"(\d?>>?[ \t]*[\w./~$-]+)[ \t]+(<<<[ \t]*(?:'[^']*'|\"[^\"`$\\]*\"|\"?\$?[\w./-]+\"?))")
_KEYWORDS = named("keywords")
_CONTINUED = re.compile(r"\\(?<!\\\\)((?:\\\\)*)\r?\n")  # an odd number of backslashes takes a line's end away
_UNFINISHED = re.compile(r"(?<!\\)[<>|]\s*$")
_BINARY = bytes((*range(9), *range(14, 32)))
LIMIT_ITEMS = 64  # of an array that are known each by itself
SEQUENCES = frozenset(("program", "compound_statement", "do_group", "else_clause"))


def effects_of_shell(text: str, scene: Scene) -> list[Effect]:
    """The analyser of `Language.SHELL`."""
    shell = root_shell(scene, execute, walk_text, walk)
    shell.walk(shell, unforged(text), "")
    return shell.effects


def walk_text(shell: Shell, text: str, stdin: str) -> str:
    """Runs a script's text; gives its output."""
    if _PLAIN.fullmatch(text):
        words = text.split()
        if not words:
            return ""
        if words[0] not in _KEYWORDS:
            return shell.execute(shell, words, stdin)
    source = text.encode("utf-8", "replace")
    if len(source.translate(None, _BINARY)) < len(source):
        shell.unknown("control characters in a shell text")
    if "\r" in text or "\\\n" in text:
        text = "".join(_CONTINUED.split(text)).replace("\r\n", "\n")
        source = text.encode("utf-8", "replace")
    if "\n" not in text.strip() and _UNFINISHED.search(text) and text.count("'") % 2 == 0 and text.count('"') % 2 == 0:
        return ""  # POSIX 2.10.2: a redirection or a pipe without what follows is an error, and nothing of the line runs
    body = _body(source)
    if body is not None and body.node.has_error and "<<<" in text:
        again = _body(_HERE_STRING.sub(r"\2 \1", text).encode("utf-8", "replace"))
        body = again if again is not None and not again.node.has_error else body
    if body is None:
        shell.unknown("a shell text that can't be parsed in bounded time")
        return HOLE
    if body.node.has_error:
        shell.unknown("a shell text that does not parse")
    out = shell.walk_body(body, stdin)
    _walk_uncalled(shell)
    return out


def _body(source: bytes) -> Body | None:
    is_cut = is_plain(source)
    tree = parse(Language.SHELL, source, cut=is_cut)
    return None if tree is None else Body(tree.root_node, source.decode() if is_cut else "")


def _walk_uncalled(shell: Shell) -> None:
    """A function or alias that is not called here may be called by what comes later."""
    for name, body in list(shell.functions.items()):
        if name not in shell.called:
            shell.called.add(name)
            inner = shell.child()
            inner.stack = (*shell.stack, name)
            inner.walk_body(body, LOCAL)
    for name, line in list(shell.aliases.items()):
        if name not in shell.called:
            shell.called.add(name)
            inner = shell.child()
            inner.aliases = {}
            shell.walk(inner, line, LOCAL)


def walk(shell: Shell, node: Node, stdin: str) -> str:
    """Runs a statement; gives its output."""
    kind = node.type
    step = _STEPS.get(kind)
    if step is not None:
        return step(shell, node, stdin)
    if kind == "comment" or not node.is_named:
        return ""
    if node.named_child_count and kind not in ("word", "string", "concatenation"):  # ERROR among them: what is in it counts
        return _sequence(shell, node.named_children, stdin)
    return _as_words(shell, node)


def _as_words(shell: Shell, node: Node) -> str:
    """A word where a statement should be: what it substitutes runs."""
    expand(node, shell)
    return ""


def _children(shell: Shell, node: Node, stdin: str) -> str:
    return _sequence(shell, node.named_children, stdin)


def _sequence(shell: Shell, nodes: list[Node], stdin: str) -> str:
    if len(nodes) == 1:
        return walk(shell, nodes[0], stdin)
    outs: list[str] = []
    for node in nodes:
        step = _STEPS.get(node.type)  # as `walk` does it
        outs.append(step(shell, node, stdin) if step is not None else walk(shell, node, stdin))
    return _joined(outs)


def _joined(outs: list[str]) -> str:
    whole = "".join(outs)
    return whole if len(whole) <= LIMIT_VALUE else whole[:LIMIT_VALUE] + (marks_of(whole) or HOLE)


def _command(shell: Shell, node: Node, stdin: str) -> str:
    """A simple command, once for each of the values that its variables may have; one of plain words, read from its text alone."""
    turn = shell.turn = 0
    text = shell.text(node)
    if _WORDS.fullmatch(text):
        return shell.execute(shell, text.split(), stdin)
    parts = shell.once(node, _read_command)
    outs: list[str] = []
    while True:
        shell.turn, shell.turns = turn, 1
        argv: list[str] = []
        given: list[tuple[str, str]] = []
        into = stdin
        for part in parts:
            if isinstance(part, str):
                argv.append(part)
            elif not isinstance(part, Node):
                argv += part.words(shell)
            elif part.type == "variable_assignment":
                given.append(_assignment(shell, part))
            elif part.type == "herestring_redirect":
                into = value_of(part.named_children[-1], shell) + "\n"
            else:
                turns, redirect = shell.turns, shell.once(part, read_redirect)
                into = opened(shell, redirect, targets(shell, redirect), into, [])
                shell.turn, shell.turns = turn, max(turns, shell.turns)
        turns = shell.turns
        for name, value in given:
            if name != "IFS" or not argv:  # else it is for this command alone, which has its words already
                _put(shell, name, value, "")
        outs.append(shell.execute(shell, argv, into) if argv else "")
        turn += 1
        if turn >= turns or not shell.scene.budget.spend():
            break
    shell.turn = 0
    return outs[0] if len(outs) == 1 else _joined(outs)


def _read_command(node: Node, shell: Shell) -> list[str | Word | Node]:
    """The words of a simple command, and the nodes of its assignments and redirections, in their order."""
    text = shell.text(node)
    if _SIMPLE.fullmatch(text):
        return [read_part(part) for part in _PARTS.findall(text)]
    parts: list[str | Word | Node] = []
    for child in node.children:
        kind = child.type
        if kind == "command_name":
            parts.append(read(child.children[0], shell))
        elif kind in ("variable_assignment", "herestring_redirect", "file_redirect"):
            parts.append(child)
        elif child.is_named:
            parts.append(read(child, shell))
    return parts


def _put(shell: Shell, name: str, value: str, stdin: str) -> None:
    """As `export` does, which a script may have made a function of its own of."""
    if "export" in shell.functions or "export" in shell.aliases or not shell.scene.budget.spend():
        shell.execute(shell, ["export", f"{name}={value}"], stdin)
        return
    shell.ran.append("export")
    assigned(shell, name, value)


class _Assignment(NamedTuple):
    """As it is written. `item` is "name[key]" of one that sets an array's, `array` the node of one that sets all of them."""

    name: str
    value: str | Word
    item: str
    array: Node | None
    adds: bool


def _read_assignment(node: Node, shell: Shell) -> _Assignment:
    children = node.named_children
    if not children:
        return _Assignment("_", "", "", None, False)  # what does not parse
    target = shell.text(children[0])
    item = _PLAIN_ITEM.sub("", target) if children[0].type == "subscript" else ""
    array = children[1] if len(children) > 1 and children[1].type == "array" and not item else None
    adds = "+=" in [child.type for child in node.children]
    return _Assignment(target.split("[")[0], read(children[1], shell) if len(children) > 1 else "", item, array, adds)


def _assignment(shell: Shell, node: Node) -> tuple[str, str]:
    name, word, item, array, adds = shell.once(node, _read_assignment)
    value = word if isinstance(word, str) else word.value(shell)
    if item:
        shell.assign(item, value)
        value = f"{shell.value(name) or ''} {value}".strip()  # all that is in it, one after the other
    elif array is not None:
        value = _array(shell, name, array)
    if adds:
        value = (shell.value(name) or "") + value
    if "[$(" in value or "[`" in value:
        shell.unknown("a text that runs a command where a number is asked for")  # bash evaluates subscripts in arithmetic
    return name, value


_PLAIN_ITEM = re.compile("[\"']")
_KEYED = re.compile(r"\[([^\]]*)\]=(.*)", re.DOTALL)


def _array(shell: Shell, name: str, node: Node) -> str:
    """All that is in an array as one text; each by its number or name besides."""
    values: list[str] = []
    for number, word in enumerate(one for child in node.named_children for one in expand(child, shell)):
        keyed = _KEYED.match(word)
        values.append(keyed[2] if keyed else word)
        if number < LIMIT_ITEMS:
            shell.assign(f"{name}[{keyed[1] if keyed else number}]", values[-1])
    return " ".join(values)


def _assign(shell: Shell, node: Node, stdin: str) -> str:
    for child in node.named_children if node.type == "variable_assignments" else [node]:
        shell.turn = 0
        while True:
            shell.turns = 1
            name, value = _assignment(shell, child)
            branch, shell.branch = shell.branch, shell.branch + (shell.turn > 0)
            _put(shell, name, value, stdin)
            shell.branch = branch
            shell.turn += 1
            if shell.turn >= shell.turns or not shell.scene.budget.spend():
                break
        shell.turn = 0
    return ""


def _declare(shell: Shell, node: Node, stdin: str) -> str:
    words = [shell.text(child) for child in node.named_children if child.type == "word"]
    options = "".join(word for word in words if word[:1] == "-" and word[1:2] != "-")
    for child in node.named_children:
        if child.type == "variable_assignment":
            _assign(shell, child, stdin)
            if "n" in options:
                name, value = _assignment(shell, child)
                shell.references[name] = value
        elif child.type in ("concatenation", "string", "raw_string", "simple_expansion", "expansion", "command_substitution"):
            shell.execute(shell, ["export", *expand(child, shell)], stdin)
    if node.named_child_count == len(words) == ("p" in options) and shell.text(node)[:5] != "local":
        shell.give(EffectKind.DISCOVER, "lists the variables, in which keys may stand", place=Place.SYSTEM)
        return OUTPUT
    return ""


def _unset(shell: Shell, node: Node, stdin: str) -> str:
    return shell.execute(shell, ["unset", *(shell.text(child) for child in node.named_children)], stdin)


def _pipeline(shell: Shell, node: Node, stdin: str) -> str:
    start = len(shell.ran)
    for child in node.named_children:
        stdin = walk(shell, child, stdin)
    _reversed_shell(shell, shell.ran[start:])
    return stdin


def _reversed_shell(shell: Shell, ran: list[str]) -> None:
    """A shell in one pipe with a program that talks to a host gives the host a shell, or takes its words."""
    if "shell" in ran and not TALKERS.isdisjoint(ran):
        shell.give(EffectKind.REMOTE_SHELL, "a shell in one pipe with a program that talks to a host", place=Place.HOST)


def _list(shell: Shell, node: Node, stdin: str, redirects: list[Node] | None = None) -> str:
    """`redirects`: those of its last command, which the grammar hangs on the list."""
    children = node.named_children
    left, right = children[0], children[-1]
    out = walk(shell, left, stdin)
    shell.branch += 1
    more = ""
    if redirects:
        more = _redirected(shell, redirects, [right], stdin)
    elif right != left:
        more = walk(shell, right, stdin)
    shell.branch -= 1
    if out and any(child.type == "||" for child in node.children):
        return out  # what comes after runs where this printed nothing
    return _joined([out, more])


def _subshell(shell: Shell, node: Node, stdin: str) -> str:
    left = shell.enter()
    out = _sequence(shell, node.named_children, stdin)
    shell.leave(left)
    return out


def _branches(shell: Shell, node: Node, stdin: str) -> str:
    """if, while, until, case, and C's for: what is in them may run or not."""
    shell.branch += 1
    out = _sequence(shell, node.named_children, stdin)
    shell.branch -= 1
    return out


def _case(shell: Shell, node: Node, stdin: str) -> str:
    shell.branch += 1
    children = node.named_children
    expand(children[0], shell)
    outs = []
    for item in children[1:]:
        statements = False
        for child in item.children:
            if child.type == ")":
                statements = True
            elif statements and child.is_named:
                outs.append(walk(shell, child, stdin))
    shell.branch -= 1
    return _joined(outs)


def _for(shell: Shell, node: Node, stdin: str) -> str:
    children = node.named_children
    name = shell.text(children[0])
    words = children[1:-1]
    values: list[str] = []
    if words and _WORDS.fullmatch(text := shell.source[words[0].start_byte : words[-1].end_byte]):
        values = text.split()
    for child in words if not values else ():
        values.extend(expand(child, shell))
    if len(children) == 2:
        values = shell.arguments if shell.has_arguments else [HOLE]
    shell.known.pop(name, None)
    shell.branch += 1
    for value in values[:40] or [HOLE]:
        shell.assign(name, value)
    out = walk(shell, children[-1], stdin)
    shell.branch -= 1
    return out


def _function(shell: Shell, node: Node, stdin: str) -> str:
    children = node.named_children
    if len(children) > 1:
        name = shell.text(children[0])
        shell.functions[name] = Body(children[1], shell.source)
        shell.called.discard(name)
    return ""


def _test(shell: Shell, node: Node, stdin: str) -> str:
    """`[ ... ]` does nothing; what it substitutes does."""
    text = shell.text(node)
    if "(" not in text and "`" not in text:
        return ""  # nothing is substituted
    stack = list(node.named_children)
    while stack:
        child = stack.pop()
        if child.type in ("command_substitution", "string", "expansion", "process_substitution", "concatenation"):
            expand(child, shell)
        else:
            stack.extend(child.named_children)
    return ""


def _redirect(shell: Shell, node: Node, stdin: str) -> str:
    redirects: list[Node] = []
    bodies: list[Node] = []
    for child in node.named_children:
        (redirects if child.type.endswith("_redirect") else bodies).append(child)
    if len(bodies) == 1 and bodies[0].type == "list":
        return _list(shell, bodies[0], stdin, redirects)
    return _redirected(shell, redirects, bodies, stdin)


def _redirected(shell: Shell, nodes: list[Node], bodies: list[Node], stdin: str) -> str:
    """A statement with redirections: inputs first, then what it does, then where its output goes."""
    files: list[Node] = []
    inner: list[Node] = []
    followers: list[Node] = []
    more: list[str] = []
    sockets: list[str] = []
    for node in nodes:
        kind = node.type
        if kind == "file_redirect":
            files.append(node)
        elif kind == "heredoc_redirect":
            stdin = _heredoc(shell, node, inner, followers, more)
        elif kind == "herestring_redirect":
            stdin = value_of(node.named_children[-1], shell) + "\n"
    files += inner
    openings: list[tuple[Redirect, list[str]]] = []
    for file in files:
        one = shell.once(file, read_redirect)
        openings.append((one, targets(shell, one)))
    for one, names in openings:
        stdin = opened(shell, one, names, stdin, sockets)
    for one, _ in openings:
        if one.rest:
            more += _strays(shell, one, nodes + files)
    start = len(shell.ran)
    if more and bodies and bodies[-1].type == "command":
        argv = [
            word
            for child in bodies[-1].children
            if child.is_named
            for word in expand(child.children[0] if child.type == "command_name" else child, shell)
        ]
        out = shell.execute(shell, argv + more, stdin)
    else:
        out = _sequence(shell, bodies, stdin) if bodies else ""
    if sockets and "shell" in shell.ran[start:]:
        shell.give(
            EffectKind.REMOTE_SHELL, "a shell whose words come from or go to a network", place=Place.HOST, target=sockets[0]
        )
    for one, names in openings:
        if ">" in one.sign:
            out = written(shell, one, names, out)
    for follower in followers:
        out = _follow(shell, follower, out)
    return out


def _strays(shell: Shell, redirect: Redirect, redirects: list[Node]) -> list[str]:
    """Words after a redirection's target are the command's, though the grammar puts them there: `rm > log -rf /`."""
    return [
        word
        for child in redirect.rest
        if not (child.type == "number" and any(child.end_byte == other.start_byte for other in redirects))
        for word in expand(child, shell)
    ]


def _follow(shell: Shell, node: Node, out: str) -> str:
    """What the grammar puts inside a here-document's node: the rest of its line."""
    if node.type == "pipeline":
        return _pipeline(shell, node, out)
    return _joined([out, walk(shell, node, "")])


def _heredoc(shell: Shell, node: Node, files: list[Node], followers: list[Node], more: list[str]) -> str:
    raw, body = False, ""
    for child in node.named_children:
        if child.type == "heredoc_start":
            raw = shell.text(child)[:1] in "'\"\\"
        elif child.type == "heredoc_body":
            body = heredoc(child, shell, raw=raw)
        elif child.type == "file_redirect":
            files.append(child)
        elif child.type in ("word", "string", "raw_string", "concatenation", "simple_expansion"):
            more.extend(expand(child, shell))
        elif child.type not in ("heredoc_end", "ERROR", "file_descriptor"):
            followers.append(child)
    if node.children[0].type == "<<-":
        body = re.sub(r"(?m)^\t+", "", body)
    return body


def _substitution(shell: Shell, node: Node, stdin: str) -> str:
    return filtered("".join(expand(node, shell)))


_STEPS = {
    **dict.fromkeys(SEQUENCES, _children),
    "command": _command,
    "list": _list,
    "pipeline": _pipeline,
    "redirected_statement": _redirect,
    "variable_assignment": _assign,
    "variable_assignments": _assign,
    "declaration_command": _declare,
    "unset_command": _unset,
    "subshell": _subshell,
    "negated_command": _children,
    "if_statement": _branches,
    "elif_clause": _branches,
    "while_statement": _branches,
    "c_style_for_statement": _branches,
    "for_statement": _for,
    "case_statement": _case,
    "function_definition": _function,
    "test_command": _test,
    "command_substitution": _substitution,
}
