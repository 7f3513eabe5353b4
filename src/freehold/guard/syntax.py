"""Source text to syntax trees, by tree-sitter's grammars.

Decided here: a grammar is loaded when it is first asked for, as each takes some MiB. A text longer than `LIMIT_BYTES`, or that
takes longer than `LIMIT_S` of the processor because it was made to, is not parsed, and who asked says "unknown". A machine that
is busy with other things takes nothing of that time: the same text has the same verdict. Otherwise a tree comes back: what does
not parse is in ERROR nodes, which is for the caller to judge.
"""

import importlib
import re
import time
from collections.abc import Callable
from enum import StrEnum
from functools import cache

import tree_sitter
from tree_sitter import Node, Tree

LIMIT_BYTES = 128 << 10  # a source file of 3,000 lines, parsed in some 15 ms
LIMIT_S = 0.2  # repeated "<" or "$(" take quadratic time in some grammars: half a second for 16 KiB
_CONTROLS = {code: 32 for code in range(32) if code not in (9, 10, 13)}  # some scanners crawl over NUL
_CONTROL_BYTES = bytes(_CONTROLS.get(code, code) for code in range(256))
# The scanner of shells looks such a character up in a table of 256, which crashes for some.
_BEHIND_BRACE = re.compile(rb"(\{[0-9]*(?:\.\.[0-9]*)?)([\x80-\xff]+)")
LIMIT_DEPTH = 400  # of nesting that a walk may follow: deeper is no program a person wrote


class Language(StrEnum):
    """What a text may be written in. Those that tree-sitter parses are in `_GRAMMARS`."""

    SHELL = "shell"
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    TYPESCRIPT = "typescript"
    TSX = "tsx"
    JAVA = "java"
    GO = "go"
    RUBY = "ruby"
    PHP = "php"
    C = "c"
    CPP = "cpp"
    CSHARP = "csharp"
    POWERSHELL = "powershell"
    BATCH = "batch"  # cmd.exe
    SQL = "sql"
    YAML = "yaml"  # CI workflows, compose files, manifests
    DOCKERFILE = "dockerfile"
    PERL = "perl"
    HTML = "html"


_GRAMMARS: dict[Language, tuple[str, str]] = {  # package, function
    Language.SHELL: ("tree_sitter_bash", "language"),
    Language.PYTHON: ("tree_sitter_python", "language"),
    Language.JAVASCRIPT: ("tree_sitter_javascript", "language"),
    Language.TYPESCRIPT: ("tree_sitter_typescript", "language_typescript"),
    Language.TSX: ("tree_sitter_typescript", "language_tsx"),
    Language.JAVA: ("tree_sitter_java", "language"),
    Language.GO: ("tree_sitter_go", "language"),
    Language.RUBY: ("tree_sitter_ruby", "language"),
    Language.PHP: ("tree_sitter_php", "language_php"),
    Language.C: ("tree_sitter_c", "language"),
    Language.CPP: ("tree_sitter_cpp", "language"),
    Language.CSHARP: ("tree_sitter_c_sharp", "language"),
}


@cache
def _grammar(language: Language) -> tree_sitter.Language:
    package, function = _GRAMMARS[language]
    make: Callable[[], object] = getattr(importlib.import_module(package), function)
    return tree_sitter.Language(make())


def is_plain(source: bytes) -> bool:
    """Whether each byte is a character, and stays as it is when it is parsed: a node's text can be cut from the source."""
    return source.isascii() and source.translate(_CONTROL_BYTES) == source


def parse(language: Language, source: bytes, *, cut: bool = False) -> Tree | None:
    """The tree of `source`, which is UTF-8; None where it is too long, or can't be parsed in bounded time.

    `cut`: nobody asks for `Node.text`, as who walks the tree cuts texts from the source.

    Control characters count as blanks: offsets stay, `Node.text` has the blank. The time is limited for the shortest, too: 40
    characters send one grammar's recovery from errors round for ever.
    """
    if len(source) > LIMIT_BYTES:
        return None
    clean = source.translate(_CONTROL_BYTES)
    if language is Language.SHELL and not clean.isascii():
        clean = _BEHIND_BRACE.sub(lambda found: found[1] + b"_" * len(found[2]), clean)
    parser = tree_sitter.Parser(_grammar(language))  # one for each: another thread may be in the middle of another text
    until, worked_until = time.perf_counter() + LIMIT_S, time.thread_time() + LIMIT_S

    def is_late(_at: int, _bad: bool) -> bool:  # the clock of the thread is a system call, the other one is not
        return time.perf_counter() > until and time.thread_time() > worked_until

    try:
        tree = parser.parse(lambda at, _: clean[at : at + 16384], progress_callback=is_late)
    except ValueError:
        return None
    # The time can be limited only where the text is read in pieces, and then each look at a node's text costs a call. Parsed
    # again from what is known a tree without errors takes microseconds, and its nodes' texts are slices.
    return tree if cut or tree.root_node.has_error else parser.parse(clean, tree)


def text_of(node: Node) -> str:
    """The node's source."""
    return (node.text or b"").decode("utf-8", "replace")
