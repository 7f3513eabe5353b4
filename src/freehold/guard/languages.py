"""What people call the languages that are analysed: in fences, file endings, data sets and options."""

from freehold.guard.syntax import Language

_NAMES: dict[Language, str] = {
    Language.SHELL: "sh bash zsh ksh dash ash shellscript shell-script console shell-session linux macos",
    Language.POWERSHELL: "ps1 ps pwsh psm1",
    Language.BATCH: "bat cmd command_prompt command-prompt cmd.exe windows-cmd dosbatch",
    Language.PYTHON: "py python3 python2 py3 ipython pyw",
    Language.JAVASCRIPT: "js node nodejs jsx mjs cjs ecmascript",
    Language.TYPESCRIPT: "ts mts cts deno",
    Language.JAVA: "jav",
    Language.GO: "golang",
    Language.RUBY: "rb",
    Language.PHP: "php5 php7 php8",
    Language.C: "h",
    Language.CPP: "c++ cc cxx hpp cplusplus",
    Language.CSHARP: "c# cs c-sharp dotnet",
    Language.SQL: "postgresql postgres mysql sqlite tsql plsql mssql psql",
    Language.YAML: "yml",
    Language.DOCKERFILE: "docker containerfile",
    Language.PERL: "pl pm",
    Language.HTML: "htm xhtml",
}
_LANGUAGES = {language.value: language for language in Language} | {
    name: language for language, names in _NAMES.items() for name in names.split()
}


def language_named(name: str) -> Language | None:
    """The language by a name or a file ending, in any case; None where nobody calls one so."""
    return _LANGUAGES.get(name.strip().lower().removeprefix("."))
