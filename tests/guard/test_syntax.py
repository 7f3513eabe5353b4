"""Trees come back in bounded work, whatever the text; what can't be parsed so is said."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from freehold.guard import syntax
from freehold.guard.syntax import LIMIT_BYTES, Language, parse, text_of

GRAMMARS = sorted(syntax._GRAMMARS)
HELLO = {
    Language.SHELL: "echo hello | wc -c",
    Language.PYTHON: "print('hello')\n",
    Language.JAVASCRIPT: "console.log('hello');",
    Language.TYPESCRIPT: "const said: string = 'hello';",
    Language.TSX: "const page = <p>hello</p>;",
    Language.JAVA: 'class A { void a() { System.out.println("hello"); } }',
    Language.GO: 'package main\nfunc main() { println("hello") }\n',
    Language.RUBY: "puts 'hello'\n",
    Language.PHP: "<?php echo 'hello';",
    Language.C: 'int main(void) { return puts("hello"); }',
    Language.CPP: 'int main() { std::cout << "hello"; }',
    Language.CSHARP: 'class A { void B() { Console.WriteLine("hello"); } }',
}
# What takes some grammar's parser quadratic time, or its scanner to its limits.
BOMBS = ["<", "$(", "((", "{[", '"', "`", "a;", "?:", "<<A ", "if ", "- ", "\0", "\xff", "\n\t", "<<<", "${", "#{", 'R"(', '"""']


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_grammar_parses_its_language(language: Language) -> None:
    tree = parse(language, HELLO[language].encode())
    assert tree is not None
    assert not tree.root_node.has_error
    assert "hello" in "".join(text_of(leaf) for leaf in leaves(tree.root_node))


def leaves(node: Node) -> list[Node]:
    return [node] if not node.children else [leaf for child in node.children for leaf in leaves(child)]


@pytest.mark.parametrize("language", GRAMMARS)
def test_a_bomb_gives_a_tree_or_nothing(language: Language) -> None:
    for bomb in BOMBS:
        source = (bomb * 4096).encode("latin-1")
        tree = parse(language, source)
        assert tree is None or tree.root_node.end_byte <= len(source)


@pytest.mark.parametrize("language", GRAMMARS)
def test_too_long_is_not_parsed(language: Language) -> None:
    assert parse(language, b"a" * (LIMIT_BYTES + 1)) is None


@settings(max_examples=60)
@given(st.sampled_from(GRAMMARS), st.binary(max_size=3000))
def test_any_bytes_give_a_tree_or_nothing(language: Language, source: bytes) -> None:
    tree = parse(language, source)
    assert tree is None or tree.root_node.end_byte <= len(source)


def test_control_characters_count_as_blanks() -> None:
    tree = parse(Language.SHELL, b"ls\0-l")
    assert tree is not None
    assert text_of(tree.root_node) == "ls -l"


def test_what_stops_one_parse_does_not_stop_the_next() -> None:
    parse(Language.SHELL, b"<" * 100_000)
    tree = parse(Language.SHELL, HELLO[Language.SHELL].encode())
    assert tree is not None
    assert not tree.root_node.has_error


@pytest.mark.parametrize("before", ["{", "{1", "{1..", "{1..22", "a {", "{ "])
@given(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]))
@settings(max_examples=100)
def test_any_character_may_follow_a_shells_brace(before: str, char: str) -> None:
    source = f"{before}{char}}}".encode()
    tree = parse(Language.SHELL, source)
    assert tree is not None
    assert tree.root_node.end_byte <= len(source)


def test_a_short_text_that_a_parser_goes_round_in_is_given_up() -> None:
    parse(Language.TSX, "(\U00025efe<-\xa5#'\"'}\u88c2&\xfb`\uc720\0".encode())  # comes back


@settings(max_examples=100)
@given(st.sampled_from(GRAMMARS), st.text(max_size=60))
def test_any_text_gives_a_tree_or_nothing(language: Language, text: str) -> None:
    source = text.encode("utf-8", "replace")
    tree = parse(language, source)
    assert tree is None or tree.root_node.end_byte <= len(source)


def test_texts_are_parsed_on_several_threads_at_once() -> None:
    sources = [(language, (text + "\n").encode() * 500) for language, text in HELLO.items()]
    expected = [str(tree.root_node) for language, source in sources if (tree := parse(language, source)) is not None]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            trees = list(threads.map(lambda one: parse(*one), sources * 3))
    finally:
        sys.setswitchinterval(before)
    assert [str(tree.root_node) for tree in trees if tree is not None] == expected * 3
