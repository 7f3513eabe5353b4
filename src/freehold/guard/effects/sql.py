"""SQL to effects: which rows it reads, changes and loses, and what reaches further than rows.

Decided here: a DELETE or an UPDATE that names no rows, or names them in a way that is true of all, is of the whole; a DROP of a
table is of the database, as nobody drops a table by forgetting a clause. Statements that are put together at run time are
unknown, as far as their text can't be worked out. Transact-SQL needs no ";" between statements, so that one may begin
anywhere. Functions, procedures and tables that reach further are in `data/sql_names.toml`; tokens are `sql_tokens`; texts in
variables, `sql_values`.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_sinks import Given, Sinks
from freehold.guard.effects.scripting_table import Call, calls_of
from freehold.guard.effects.scripting_values import Value
from freehold.guard.effects.sql_reading import (
    after,
    closing,
    is_of_all_rows,
    is_text,
    kind_of,
    name_at,
    name_ending,
    position,
    split,
)
from freehold.guard.effects.sql_tokens import LINE, QUOTED, SIGN, STRING, WORD, Token, readings
from freehold.guard.effects.sql_values import Variables, arguments_of
from freehold.guard.syntax import Language

LIMIT_STATEMENTS = 2_000

_UPDATE_WORDS = frozenset(("low_priority", "ignore", "only", "or", "rollback", "abort", "replace", "fail", "top"))
_BEFORE_VERB = frozenset(
    (
        *("begin", "declare", "if", "else", "while", "loop", "then", "end", "as", "is", "elsif", "elseif", "repeat", "when", "("),
        "explain",
    )
)


def sql(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    walk = _Walk(scene)
    for statements in readings(text):
        if not walk.all(statements):
            walk.sinks.add_unknown("more statements than are read")
            break
    return walk.sinks.effects


@cache
def _tables() -> Mapping[str, Sequence[str]]:
    data = tomllib.loads(files(__package__).joinpath("data", "sql_names.toml").read_text("utf-8"))
    tables: Mapping[str, Sequence[str]] = data["tables"]
    return tables


@lru_cache(maxsize=1024)
def kind_of_table(name: str) -> str:
    """ "credential", "discover", or "" for a table of rows."""
    for kind, patterns in _tables().items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return kind
    return ""


class _Walk:
    """The statements of one text."""

    def __init__(self, scene: Scene) -> None:
        self.sinks = Sinks(scene, Language.SQL)
        self.variables = Variables()
        self.created: set[str] = set()
        self.functions = calls_of("sql_names")

    def all(self, statements: Sequence[Sequence[Token]]) -> bool:
        """Whether all were read."""
        for count, tokens in enumerate(statements):
            for part in split(tokens):
                if count > LIMIT_STATEMENTS or not self.sinks.scene.budget.spend(2 + len(part) // 32):
                    return False
                self.one(part)
        return True

    def one(self, tokens: Sequence[Token]) -> None:
        if tokens[0].kind == LINE:
            self._console(tokens[0].text)
            return
        self.variables.follow(tokens)
        tokens = tokens[next((at for at, token in enumerate(tokens) if token.text not in _BEFORE_VERB), len(tokens)) :]
        if not tokens:
            return
        self._names(tokens)
        first = tokens[0].text if tokens[0].kind == WORD else ""
        handler = _STATEMENTS.get(first)
        if handler is not None:
            handler(self, tokens)
        else:
            self._verbs_inside(tokens, 0)
        self._verbs_inside(tokens, 1)

    # What any statement may have in it.

    def _names(self, tokens: Sequence[Token]) -> None:
        """Functions that are called and tables that are read, wherever they stand."""
        for at, token in enumerate(tokens):
            if token.kind not in (WORD, QUOTED):
                continue
            following = tokens[at + 1].text if at + 1 < len(tokens) else ""
            if following == "(":
                name = name_ending(tokens, at)
                call = self.functions.get(name) or self.functions.get(name.rpartition(".")[2])
                if call is not None:
                    self._call(call, arguments_of(tokens, at + 1, self.variables))
            elif token.kind == WORD and token.text in ("from", "join", "using", "into", "table"):
                self._table(tokens, at + 1)
            elif token.text in ("outfile", "dumpfile") and at + 1 < len(tokens):
                self._file(EffectKind.WRITE, tokens[at + 1], "INTO OUTFILE writes a file on the server")

    def _call(self, call: Call, values: Sequence[Value]) -> None:
        for clause in call.clauses:
            if clause.word == "code" and values:
                text = values[0].text()
                if text is None or text.strip() == HOLE:
                    self.sinks.add_unknown(f"{call.name} runs a command that is made at run time")
                else:
                    self.sinks.effects.extend(self.sinks.scene.inside(Language(clause.about), text))
        self.sinks.call(Call(call.name, tuple(one for one in call.clauses if one.word != "code")), Given(values))

    def _table(self, tokens: Sequence[Token], at: int) -> None:
        name = name_at(tokens, at)
        kind = kind_of_table(name) if name else ""
        if kind == "credential":
            self.sinks.add(EffectKind.READ, Place.CREDENTIAL, "reads where the database keeps its accounts or keys", name)
        elif kind == "discover":
            self.sinks.add(EffectKind.DISCOVER, Place.DATABASE, "looks over what the database has", name)

    def _file(self, kind: EffectKind, token: Token, because: str) -> None:
        text = self.variables.text_of([token])
        self.sinks.path(kind, Value(text) if text is not None else Value(HOLE), because)

    def _verbs_inside(self, tokens: Sequence[Token], start: int) -> None:
        """Statements in parentheses and after "THEN": a WITH may delete, a trigger does what its body does."""
        for at in range(start, len(tokens) - 1):
            text, following = tokens[at].text, tokens[at + 1].text
            if tokens[at].kind == WORD and text in ("delete", "insert", "update", "merge", "select"):
                before = tokens[at - 1].text if at else "("
                if (
                    before in ("(", ")", "then", "begin", "else", "as", "loop", "do")
                    and text != "select"
                    and (text != "delete" or following == "from")
                ):
                    end = closing(tokens, at)
                    handler = _STATEMENTS.get(text)
                    if handler is not None:
                        handler(self, tokens[at:end])

    # Statements.

    def _select(self, tokens: Sequence[Token]) -> None:
        """SELECT, WITH, TABLE, VALUES."""
        names = [
            name_at(tokens, at + 1) for at, token in enumerate(tokens) if token.text in ("from", "join") and token.kind == WORD
        ]
        for name in dict.fromkeys(name for name in names if name):
            if not kind_of_table(name):
                self.sinks.add(EffectKind.READ, Place.DATABASE, "SELECT reads rows", name)
        into = position(tokens, "into")
        name = name_at(tokens, into + 1) if into is not None and tokens[0].text == "select" else ""
        if name[:1] not in ("", "@", ":") and name not in ("outfile", "dumpfile"):
            self.sinks.add(EffectKind.WRITE, Place.DATABASE, "SELECT INTO makes a table", name)

    def _insert(self, tokens: Sequence[Token]) -> None:
        into = position(tokens, "into", "overwrite") or 0
        name = name_at(tokens, into + 1)
        kind = (
            EffectKind.OVERWRITE
            if tokens[0].text == "replace" or "overwrite" in (one.text for one in tokens[:3])
            else EffectKind.WRITE
        )
        if kind_of_table(name) == "credential":
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "writes to where the database keeps its accounts", name)
        self.sinks.add(kind, Place.DATABASE, f"{tokens[0].text.upper()} adds rows", name)

    def _update(self, tokens: Sequence[Token]) -> None:
        at = 1
        while at < len(tokens) and tokens[at].text in _UPDATE_WORDS:
            at += 1
        name = name_at(tokens, at)
        if (position(tokens, "set") or 1) <= at:
            return  # FOR UPDATE; of a MERGE or an INSERT, which say which rows
        if kind_of_table(name) == "credential":
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "changes where the database keeps its accounts", name)
        self._rows(EffectKind.OVERWRITE, tokens, name, "UPDATE changes")

    def _delete(self, tokens: Sequence[Token]) -> None:
        at = position(tokens, "from")
        name = name_at(tokens, at + 1 if at is not None else 1)
        if kind_of_table(name) == "credential":
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "deletes where the database keeps its accounts", name)
        self._rows(EffectKind.DELETE, tokens, name, "DELETE removes")

    def _rows(self, kind: EffectKind, tokens: Sequence[Token], name: str, because: str) -> None:
        if name in self.created:
            self.sinks.add(EffectKind.WRITE, Place.DATABASE, f"{because} rows of a table that this text has made", name)
        elif is_of_all_rows(tokens):
            self.sinks.add(kind, Place.WHOLE_TREE, f"{because} all rows: it says of no row that it is meant", name)
        else:
            self.sinks.add(kind, Place.DATABASE, f"{because} rows", name)

    def _drop(self, tokens: Sequence[Token]) -> None:
        what = kind_of(tokens)
        name = name_at(tokens, after(tokens, what))
        if what in ("database", "schema", "tablespace", "catalog", "owned"):
            self.sinks.add(EffectKind.DELETE, Place.WHOLE_TREE, "DROP of a whole database or schema", name)
        elif what in ("user", "role", "login", "credential", "profile"):
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "DROP of an account", name)
        elif what in ("audit", "server"):
            self.sinks.add(EffectKind.EVADE, Place.DATABASE, "DROP of an audit", name)
        elif what in ("table", "materialized") and name not in self.created:
            self.sinks.add(EffectKind.DELETE, Place.DATABASE, "DROP of a table, with all its rows", name)
        else:
            self.sinks.add(EffectKind.WRITE, Place.DATABASE, "DROP of a part of the database that can be made again", name)

    def _truncate(self, tokens: Sequence[Token]) -> None:
        name = name_at(tokens, after(tokens, "table"))
        self.sinks.add(EffectKind.DELETE, Place.DATABASE, "TRUNCATE removes all rows of a table", name)

    def _create(self, tokens: Sequence[Token]) -> None:
        what = kind_of(tokens)
        name = name_at(tokens, after(tokens, what))
        words = {token.text for token in tokens if token.kind == WORD}
        if what in ("user", "role", "login", "credential"):
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "CREATE of an account", name)
        elif what in ("event", "job", "task"):
            self.sinks.add(EffectKind.PERSIST, Place.DATABASE, "CREATE of what runs again by itself", name)
        elif what in ("server", "subscription", "link", "wrapper", "endpoint"):
            self.sinks.add(EffectKind.SEND, Place.HOST, "CREATE of a connection to another server", name)
        elif what == "extension":
            self.sinks.add(EffectKind.INSTALL, Place.DATABASE, "CREATE EXTENSION installs code in the database", name)
        elif what in ("assembly", "library") or "soname" in words:
            self.sinks.add(EffectKind.EXECUTE, Place.SYSTEM, "CREATE of a function of compiled code", name)
        else:
            self.sinks.add(EffectKind.WRITE, Place.DATABASE, "CREATE makes a part of the database", name)
        if what == "table" and "replace" not in words and "exists" not in words:
            self.created.add(name)
        if what in ("function", "procedure"):
            self._routine(tokens, words)

    def _routine(self, tokens: Sequence[Token], words: set[str]) -> None:
        at = position(tokens, "language")
        language = tokens[at + 1].text.lower() if at is not None and at + 1 < len(tokens) else ""
        if language in ("c", "internal", "plpythonu", "plpython3u", "plperlu", "pltclu", "plsh", "java", "python", "javascript"):
            self.sinks.add(EffectKind.EXECUTE, Place.SYSTEM, "a function in a language that reaches the machine")
        elif language in ("sql", "plpgsql", ""):
            bodies = [token.text for token in tokens if token.kind == STRING and len(token.text) > 12 and " " in token.text]
            for body in bodies[:4]:
                self.sinks.effects.extend(self.sinks.scene.inside(Language.SQL, body))

    def _alter(self, tokens: Sequence[Token]) -> None:
        what = kind_of(tokens)
        name = name_at(tokens, after(tokens, what))
        words = {token.text for token in tokens if token.kind == WORD}
        if what in ("user", "role", "login", "authorization", "profile", "credential"):
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "ALTER of an account", name)
        elif "audit" in words or (what == "system" and words & {"log_statement", "logging_collector", "audit_trail"}):
            self.sinks.add(EffectKind.EVADE, Place.DATABASE, "changes what the database records of its use", name)
        elif what in ("system", "server", "database", "instance"):
            kind = EffectKind.ESCALATE if "trustworthy" in words else EffectKind.SYSTEM
            self.sinks.add(kind, Place.DATABASE, "ALTER of the database's own settings", name)
        elif "row" in words and "security" in words and words & {"disable", "no"}:
            self.sinks.add(EffectKind.PERMISSION, Place.DATABASE, "turns off who may see which rows", name)
        elif "owner" in words:
            self.sinks.add(EffectKind.PERMISSION, Place.DATABASE, "gives a part of the database to somebody else", name)
        elif what == "table" and words & {"drop", "truncate"} and not words & {"constraint", "index", "default", "key"}:
            self.sinks.add(EffectKind.DELETE, Place.DATABASE, "ALTER TABLE drops a column or a partition", name)
        else:
            self.sinks.add(EffectKind.WRITE, Place.DATABASE, "ALTER changes a part of the database", name)

    def _grant(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, f"{tokens[0].text.upper()} changes who may do what")

    def _set(self, tokens: Sequence[Token]) -> None:
        words = [token.text for token in tokens if token.kind in (WORD, QUOTED)]
        if "password" in words[:3]:
            self.sinks.add(EffectKind.ACCOUNT, Place.DATABASE, "SET PASSWORD changes an account")
        elif words[1:2] in (["role"], ["session_authorization"]) or words[1:3] == ["session", "authorization"]:
            if not {"none", "default"} & set(words):
                self.sinks.add(EffectKind.ESCALATE, Place.DATABASE, "takes the rights of another account")
        elif any("log_bin" in word or "general_log" in word or "log_statement" in word or "audit" in word for word in words):
            self.sinks.add(EffectKind.EVADE, Place.DATABASE, "changes what the database records of its use")
        elif words[1:2] in (["global"], ["persist"]) or (len(words) > 1 and words[1].startswith("@@global")):
            self.sinks.add(EffectKind.SYSTEM, Place.DATABASE, "SET GLOBAL changes the server's settings")

    def _copy(self, tokens: Sequence[Token]) -> None:
        """PostgreSQL's COPY, Snowflake's COPY INTO."""
        words = [token.text if token.kind == WORD else "" for token in tokens]
        out = "to" in words
        at = position(tokens, "to" if out else "from")
        target = tokens[at + 1] if at is not None and at + 1 < len(tokens) else None
        if "program" in words and target is not None:
            command = self.variables.text_of(tokens[after(tokens, "program") : after(tokens, "program") + 1])
            self.sinks.add(EffectKind.EXECUTE, Place.SYSTEM, "COPY PROGRAM runs a command as the database server")
            self.sinks.command("COPY PROGRAM", Value(command) if command is not None else Value(HOLE), is_shell=True)
        elif target is not None and target.kind == STRING:
            self._file(EffectKind.WRITE if out else EffectKind.READ, target, "COPY uses a file on the server")
        if out:
            self.sinks.add(EffectKind.READ, Place.DATABASE, "COPY reads rows", name_at(tokens, 1))
        else:
            self.sinks.add(EffectKind.WRITE, Place.DATABASE, "COPY adds rows", name_at(tokens, 1))

    def _load(self, tokens: Sequence[Token]) -> None:
        """MySQL's LOAD DATA INFILE, Transact-SQL's BULK INSERT, PostgreSQL's LOAD of a library."""
        file = next((token for token in tokens if token.kind == STRING), None)
        if tokens[0].text == "load" and len(tokens) > 1 and tokens[1].kind == STRING:
            self.sinks.add(EffectKind.EXECUTE, Place.SYSTEM, "LOAD runs a library as the database server", tokens[1].text)
            return
        if file is not None:
            self._file(EffectKind.READ, file, "reads a file into a table")
        self.sinks.add(
            EffectKind.WRITE, Place.DATABASE, "adds rows from a file", name_at(tokens, after(tokens, "table", "insert"))
        )

    def _backup(self, tokens: Sequence[Token]) -> None:
        file = next((token for token in tokens if token.kind == STRING), None)
        if tokens[0].text == "restore":
            self.sinks.add(EffectKind.OVERWRITE, Place.WHOLE_TREE, "RESTORE replaces a whole database")
        elif file is not None:
            self._file(EffectKind.OVERWRITE, file, "writes a whole database to a file")
            if "://" in file.text or file.text.startswith("\\\\"):
                self.sinks.add(EffectKind.SEND, Place.HOST, "writes a whole database to another machine", file.text)

    def _attach(self, tokens: Sequence[Token]) -> None:
        """SQLite: makes the file if there is none."""
        file = next((token for token in tokens[1:] if token.kind in (STRING, QUOTED)), None)
        if file is not None and file.text not in (":memory:", ""):
            self._file(EffectKind.WRITE, file, f"{tokens[0].text.upper()} opens or makes a file")

    def _vacuum(self, tokens: Sequence[Token]) -> None:
        into = position(tokens, "into")
        if into is not None and into + 1 < len(tokens):
            self._file(EffectKind.OVERWRITE, tokens[into + 1], "VACUUM INTO writes a database to a file")

    def _pragma(self, tokens: Sequence[Token]) -> None:
        words = {token.text for token in tokens}
        if "writable_schema" in words or "temp_store_directory" in words:
            self.sinks.add(EffectKind.SYSTEM, Place.DATABASE, "lets the database's own tables be written")

    def _execute(self, tokens: Sequence[Token]) -> None:
        """EXEC of a text, EXECUTE IMMEDIATE, CALL and EXEC of a procedure."""
        rest = [token for token in tokens[1:] if token.text not in ("immediate",)]
        if len(rest) > 2 and rest[0].text[:1] == "@" and rest[1].text == "=":
            rest = rest[2:]  # EXEC @result = procedure
        if not rest or rest[0].text in ("as", "using"):
            if rest and rest[0].text == "as":
                self.sinks.add(EffectKind.ESCALATE, Place.DATABASE, "EXECUTE AS takes the rights of another account")
            return
        name = name_at(rest, 0)
        call = self.functions.get(name) or self.functions.get(name.rpartition(".")[2])
        if call is not None and not name.startswith("@"):
            size = 2 * name.count(".") + 1
            if len(rest) <= size or rest[size].text != "(":
                self._call(call, arguments_of([Token(SIGN, "("), *rest[size:], Token(SIGN, ")")], 0, self.variables))
            if "xp_cmdshell" in (token.text for token in rest[1:]):
                self.sinks.add(EffectKind.ESCALATE, Place.SYSTEM, "turns on commands of the operating system")
        elif tokens[0].text != "call" and (is_text(rest[0]) or tokens[1].text == "immediate"):
            self._dynamic(rest)
        elif name in self.variables.prepared:
            self._dynamic([Token(STRING, self.variables.prepared[name])])
        else:
            self.sinks.add(EffectKind.RUN, Place.DATABASE, "runs a procedure of the database", name)

    def _dynamic(self, tokens: Sequence[Token]) -> None:
        text = self.variables.text_of(tokens)
        if text is None or not text.strip(HOLE + " "):
            self.sinks.add_unknown("runs a statement that is made at run time")
            return
        if self.variables.is_hidden(tokens):
            self.sinks.add(EffectKind.EXECUTE, Place.DATABASE, "runs a statement that was hidden by an encoding")
        self.sinks.effects.extend(self.sinks.scene.inside(Language.SQL, text))

    def _prepare(self, tokens: Sequence[Token]) -> None:
        """MySQL's PREPARE s FROM x, PostgreSQL's PREPARE s AS statement."""
        at = position(tokens, "from")
        if (
            at is not None
            and len(tokens) > 1
            and tokens[at + 1 : at + 2]
            and (tokens[at + 1].kind == STRING or tokens[at + 1].text[:1] == "@")
        ):
            text = self.variables.text_of(tokens[at + 1 :])
            self.variables.prepared[tokens[1].text.lower()] = HOLE if text is None else text
        elif (start := position(tokens, "as")) is not None and start + 1 < len(tokens):
            self.one(tokens[start + 1 :])

    def _do(self, tokens: Sequence[Token]) -> None:
        body = next((token for token in tokens[1:] if token.kind == STRING and " " in token.text), None)
        if body is not None:
            self.sinks.effects.extend(self.sinks.scene.inside(Language.SQL, body.text))

    def _stop(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(EffectKind.PROCESS, Place.DATABASE, f"{tokens[0].text.upper()} ends connections or the server")

    def _purge(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(EffectKind.EVADE, Place.DATABASE, f"{tokens[0].text.upper()} removes or stops what the database records")

    def _reset(self, tokens: Sequence[Token]) -> None:
        if len(tokens) > 1 and tokens[1].text in ("master", "binary", "slave", "replica"):
            self._purge(tokens)

    def _settings(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(EffectKind.SYSTEM, Place.DATABASE, f"{tokens[0].text.upper()} changes the server's settings")

    def _show(self, tokens: Sequence[Token]) -> None:
        if len(tokens) > 1 and tokens[1].text == "grants":
            self.sinks.add(EffectKind.DISCOVER, Place.DATABASE, "shows who may do what")
        else:
            self.sinks.add(EffectKind.DISCOVER, Place.DATABASE, "looks over what the database has")

    def _merge(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(
            EffectKind.OVERWRITE, Place.DATABASE, "MERGE changes rows", name_at(tokens, after(tokens, "into", "merge"))
        )

    def _install(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(EffectKind.INSTALL, Place.DATABASE, "installs code in the database")

    def _import(self, tokens: Sequence[Token]) -> None:
        self.sinks.add(EffectKind.WRITE, Place.DATABASE, "brings in tables of others")

    # Lines of a database's own console.

    def _console(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        word = word.lower()
        if word.startswith(("\\!", "!")):
            rest = line.strip()[2 if word.startswith("\\") else 1 :]
            word = "\\!"
        if word in ("\\!", ".shell", ".system", "host", "system"):
            self.sinks.command("the database's console", Value(rest.strip()), is_shell=True)
        elif word in ("\\i", "\\ir", "\\include", ".read", "source", "start") or word.startswith("@"):
            self.sinks.add(EffectKind.RUN, Place.WORKSPACE, "runs a file of statements")
        elif word in _CONSOLE_OUT:
            if rest.startswith("|"):
                self.sinks.command("the database's console", Value(rest[1:]), is_shell=True)
            elif rest:
                self.sinks.path(EffectKind.OVERWRITE, Value(rest.strip("'\" ")), "the console writes a file")
        elif word in (".load", ".open", ".import", ".restore"):
            kind = EffectKind.RUN if word == ".load" else EffectKind.WRITE if word == ".open" else EffectKind.READ
            if rest.startswith(("|", '"|')):
                self.sinks.command("the database's console", Value(rest.strip('"').lstrip("|")), is_shell=True)
            self.sinks.path(kind, Value(rest.split(" ")[0].strip("'\"")), "the console opens a file")
            if word == ".load":
                self.sinks.add(EffectKind.EXECUTE, Place.SYSTEM, "loads a library into the database")
        elif word == "\\copy":
            self._copy_line(rest)
        elif word == "\\gexec":
            self.sinks.add_unknown("runs statements that are made at run time")

    def _copy_line(self, rest: str) -> None:
        words = rest.split()
        for at, word in enumerate(words[:-1]):
            if word.lower() in ("to", "from"):
                if words[at + 1].lower() == "program":
                    self.sinks.command("\\copy", Value(" ".join(words[at + 2 :]).strip("'")), is_shell=True)
                else:
                    kind = EffectKind.WRITE if word.lower() == "to" else EffectKind.READ
                    self.sinks.path(kind, Value(words[at + 1].strip("'")), "\\copy uses a file")


_CONSOLE_OUT = frozenset(
    ("\\o", "\\out", "\\w", "\\write", "\\g", ".output", ".once", ".backup", ".save", ".log", ".excel", ".clone")
)
_Handler = Callable[[_Walk, Sequence[Token]], None]
_STATEMENTS: dict[str, _Handler] = {
    **dict.fromkeys(("select", "with", "table", "values"), _Walk._select),
    **dict.fromkeys(("insert", "replace", "upsert"), _Walk._insert),
    **dict.fromkeys(("exec", "execute", "call"), _Walk._execute),
    **dict.fromkeys(("grant", "revoke", "deny"), _Walk._grant),
    **dict.fromkeys(("load", "bulk"), _Walk._load),
    **dict.fromkeys(("backup", "restore"), _Walk._backup),
    **dict.fromkeys(("shutdown", "kill"), _Walk._stop),
    **dict.fromkeys(("purge", "noaudit"), _Walk._purge),
    **dict.fromkeys(("show", "describe", "desc"), _Walk._show),
    **dict.fromkeys(("reconfigure", "dbcc", "flush"), _Walk._settings),
    "update": _Walk._update,
    "delete": _Walk._delete,
    "drop": _Walk._drop,
    "truncate": _Walk._truncate,
    "create": _Walk._create,
    "alter": _Walk._alter,
    "set": _Walk._set,
    "copy": _Walk._copy,
    "attach": _Walk._attach,
    "vacuum": _Walk._vacuum,
    "pragma": _Walk._pragma,
    "prepare": _Walk._prepare,
    "do": _Walk._do,
    "reset": _Walk._reset,
    "merge": _Walk._merge,
    "install": _Walk._install,
    "import": _Walk._import,
}
