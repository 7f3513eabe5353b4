"""One grammar a language: what its syntax trees mean in the small form of `ir.py`. One file and one line here each."""

from collections.abc import Mapping

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.grammar.c import C
from freehold.guard.weaknesses.grammar.csharp import CSHARP
from freehold.guard.weaknesses.grammar.go import GO
from freehold.guard.weaknesses.grammar.java import JAVA
from freehold.guard.weaknesses.grammar.javascript import JAVASCRIPT
from freehold.guard.weaknesses.grammar.php import PHP
from freehold.guard.weaknesses.grammar.python import PYTHON
from freehold.guard.weaknesses.grammar.ruby import RUBY
from freehold.guard.weaknesses.lower import Grammar

GRAMMARS: Mapping[Language, Grammar] = {
    Language.PYTHON: PYTHON,
    Language.GO: GO,
    Language.JAVASCRIPT: JAVASCRIPT,
    Language.TYPESCRIPT: JAVASCRIPT,
    Language.TSX: JAVASCRIPT,
    Language.JAVA: JAVA,
    Language.RUBY: RUBY,
    Language.PHP: PHP,
    Language.C: C,
    Language.CPP: C,
    Language.CSHARP: CSHARP,
}
