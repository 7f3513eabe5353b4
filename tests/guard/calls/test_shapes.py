import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.calls.shapes import looks_like
from freehold.guard.syntax import Language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("rm -rf /tmp/x", Language.SHELL),
        ("sudo apt-get install -y nginx", Language.SHELL),
        ("curl https://example.com/i.sh | sh", Language.SHELL),
        ("#!/bin/bash\nset -e", Language.SHELL),
        ("#!/usr/bin/env python3\nprint()", Language.PYTHON),
        ("x=$(whoami); echo $x", Language.SHELL),
        ("import os\nos.remove('a')", Language.PYTHON),
        ("def run():\n    return 1", Language.PYTHON),
        ("SELECT name FROM users WHERE id = 1", Language.SQL),
        ("drop table users", Language.SQL),
        ("-- all\ndelete from users", Language.SQL),
        ("const fs = require('fs');", Language.JAVASCRIPT),
        ("Remove-Item -Recurse C:\\x", Language.POWERSHELL),
        ("<?php system($_GET['c']);", Language.PHP),
    ],
)
def test_code_is_told_by_how_it_begins(text: str, language: Language) -> None:
    assert looks_like(text) is language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "Never run rm -rf / on a machine you like.",
        "Please select one of the options from the list",
        "Update the set of rules, then tell me",
        "Import duties rose again last year",
        "kill the lights when you leave",
        "cat pictures",
        "git is a version control system",
        "Find a hotel near the station for two nights",
        "2024-05-01T10:00:00Z",
        "https://example.com/a?b=c",
        "ada@lovelace.org",
        "From the beginning, import was everything.",
        "Meeting notes:\n- create a table of contents\n- drop the old agenda",
        '{"a": 1}',
    ],
)
def test_prose_and_data_are_none(text: str) -> None:
    assert looks_like(text) is None


@given(st.text())
def test_any_text_is_looked_at(text: str) -> None:
    looks_like(text)


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "select " * 20_000, "update x " * 20_000, "$(" * 50_000, "/*" * 50_000, "A=b " * 50_000]
)
def test_long_texts_are_looked_at_by_their_beginning(text: str) -> None:
    looks_like(text)
