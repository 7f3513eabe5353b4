"""One grammar a language: what its syntax trees mean in the small form of `ir.py`. One file and one line here each."""

from collections.abc import Mapping

from freehold.core.late import Late
from freehold.guard.syntax import Language
from freehold.guard.weaknesses.lower import Grammar

GRAMMARS: Mapping[Language, Grammar] = Late(
    __package__,
    {
        Language.PYTHON: "python:PYTHON",
        Language.GO: "go:GO",
        Language.JAVASCRIPT: "javascript:JAVASCRIPT",
        Language.TYPESCRIPT: "javascript:JAVASCRIPT",
        Language.TSX: "javascript:JAVASCRIPT",
        Language.JAVA: "java:JAVA",
        Language.RUBY: "ruby:RUBY",
        Language.PHP: "php:PHP",
        Language.C: "c:C",
        Language.CPP: "c:C",
        Language.CSHARP: "csharp:CSHARP",
    },
)
