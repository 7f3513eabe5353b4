"""Near misses of popular packages, and names that only look like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.find import find
from freehold.guard.weaknesses.packages import named, squats

MISSES = [
    ("pypi", "reqeusts", "requests"),
    ("pypi", "djnago", "django"),
    ("pypi", "urlib3", "urllib3"),
    ("pypi", "crypt0graphy", "cryptography"),
    ("pypi", "setup-tools", "setuptools"),
    ("pypi", "nmap-python", "python-nmap"),
    ("pypi", "mysql-connector-pyhton", "mysql-connector-python"),
    ("pypi", "colourama", "colorama"),
    ("pypi", "rеquests", "requests"),  # a Cyrillic е
    ("npm", "crossenv", "cross-env"),
    ("npm", "lodahs", "lodash"),
    ("npm", "electorn", "electron"),
    ("npm", "types-node", "@types/node"),
    ("npm", "mongose", "mongoose"),
    ("crates", "rustdecimal", "rust-decimal"),
    ("crates", "reqwets", "reqwest"),
    ("gems", "activesuport", "activesupport"),
    ("go", "github.com/siruspen/logrus", "github.com/sirupsen/logrus"),
    ("composer", "symfony/consle", "symfony/console"),
    ("nuget", "Newtonsoft.Jsom", "newtonsoft.json"),
]
HONEST = [
    ("pypi", "requests"),
    ("pypi", "Flask_Login"),
    ("pypi", "beautifulsoup"),
    ("pypi", "requests-toolbelt"),
    ("pypi", "python3-dateutil"),
    ("pypi", "my-own-tool"),
    ("pypi", "abc"),
    ("npm", "@types/react"),
    ("npm", "react-dom-server-extra"),
    ("npm", "babel-preset-env"),
    ("npm", "preact"),
    ("crates", "serde-json"),
    ("gems", "rails-api-extras"),
    ("go", "github.com/somebody/mux"),
    ("maven", "anything"),
]


@pytest.mark.parametrize(("ecosystem", "name", "popular"), MISSES)
def test_a_near_miss_names_what_it_misses(ecosystem: str, name: str, popular: str) -> None:
    assert squats(name, ecosystem) == popular


@pytest.mark.parametrize(("ecosystem", "name"), HONEST)
def test_a_known_a_longer_or_another_name_is_none(ecosystem: str, name: str) -> None:
    assert squats(name, ecosystem) is None


@pytest.mark.parametrize(
    ("text", "ecosystem", "names"),
    [
        ("pip install -U reqeusts==2.0 'flask[async]>=2' -r requirements.txt", "pypi", ["reqeusts", "flask"]),
        ("$ npm i -D lodahs@4 @types/node@20", "npm", ["lodahs", "@types/node"]),
        ("RUN apt-get update && pip3 install djnago", "pypi", ["djnago"]),
        ("cargo add serde tokio", "crates", ["serde", "tokio"]),
        ("go get github.com/gin-gonic/gin@v1.9.0", "go", ["github.com/gin-gonic/gin"]),
        ('{"dependencies": {"expres": "^4.0", "cors": "1"}}', "npm", ["expres", "cors"]),
        ("requests==2.31\nnumpy>=1.2\n", "pypi", ["requests", "numpy"]),
        ('[dependencies]\nserde = "1"\n[profile]\nlto = true\n', "crates", ["serde"]),
        ("source 'x'\ngem 'rails', '~> 7'\n", "gems", ["rails"]),
        ("composer require symfony/console:^6", "composer", ["symfony/console"]),
    ],
)
def test_packages_are_found_where_they_are_named(text: str, ecosystem: str, names: list[str]) -> None:
    assert [one.name for one in named(text, None) if one.ecosystem == ecosystem] == names
    assert all(text[one.start : one.end].startswith(one.name) for one in named(text, None))


def test_imports_count_too_where_the_language_is_known() -> None:
    assert "typo-squat" in {w.rule for w in find("const _ = require('lodahs');", Language.JAVASCRIPT)}
    assert "typo-squat" in {w.rule for w in find("import reqeusts\n", Language.PYTHON)}
    (squat,) = find("import sqlite3 as db, os.path, reqeusts.auth as r\n", Language.PYTHON)
    assert (squat.rule, squat.start, squat.end) == ("typo-squat", 31, 39)
    assert "typo-squat" in {w.rule for w in find('package a\nimport (\n\t"github.com/siruspen/logrus"\n)\n', Language.GO)}


def test_local_and_standard_modules_are_no_packages() -> None:
    for program in (
        "import statistics\nfrom . import x\nfrom utils import y\n",
        "const a = require('./lodahs'); import b from '../x';",
    ):
        assert [w for w in find(program, None) if w.rule == "typo-squat"] == []


@given(st.text(max_size=120), st.sampled_from(["pypi", "npm", "crates", "gems", "composer", "nuget", "go", ""]))
def test_any_name_has_an_answer(name: str, ecosystem: str) -> None:
    answer = squats(name, ecosystem)
    assert answer is None or answer != name
