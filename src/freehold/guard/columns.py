"""Cells of tables, read as what the head of their column calls them.

In a table the name of a value stands a page above it: `| user | password |`, the first line of a CSV, the list of columns in
`INSERT INTO`. A cell in a column whose head is a name that detectors know is looked into once more as if that name stood before
it, `password: <cell>`; so every rule that a name has holds for its columns, too.

    head      a line whose cells all look like names (apart by `|`, tabs, `;`, `,` or two blanks), one of them known; or the
              columns of an INSERT, up to the bracket after VALUES. No longer than HEAD_CHARS, as long as text is kept.
    row       a line of as many cells, or a list in brackets. Any other line ends the table, and may be the head of the next.

Only what is in a table is read, each character once. What is kept is the names, and the cells that are not judged yet.
"""

import re
from collections import deque
from typing import NamedTuple

from freehold.guard.boundary import DELIMITER
from freehold.guard.detectors.birth import BIRTH_LABELS
from freehold.guard.detectors.detector import compiled
from freehold.guard.detectors.documents import DOCUMENT_NUMBERS
from freehold.guard.detectors.generic import PASSWORDS
from freehold.guard.detectors.health import HEALTH_NUMBERS
from freehold.guard.detectors.labels import LETTER, label, words
from freehold.guard.detectors.national import NUMBERS
from freehold.guard.detectors.phones import PHONE_LABELS

HEAD_CHARS = 1024
CELL_CHARS = 256  # of a longer cell, what follows is text
LEAST_CHARS = 3  # of a cell that is looked into: a card's security code

_PASSWORDS = (*words("password, passwd, pwd, passphrase, passcode, pass, pw"), *PASSWORDS)
_SECRETS = words(
    "secret, client secret, secret key, token, access token, auth token, refresh token, bearer token, api token, api key, "
    "access key, private key, pin, pin code, credential, card number, card no, credit card, pan, cvv, cvv2, cvc, cvc2, "
    "security code, account number, account no, bank account, kontonummer, konto, numéro de compte, rekeningnummer, "
    "numer konta, routing number, sort code, bsb, ifsc, clabe"
)
_NUMBERS = (*NUMBERS, *HEALTH_NUMBERS, *DOCUMENT_NUMBERS)
_NAMES = (*_PASSWORDS, *_SECRETS, *BIRTH_LABELS, *PHONE_LABELS, *(name for number in _NUMBERS for name in number.labels))
# What a head without a rule below it must have one of. Hyperscan reads these few at no cost, and a quarter slower with all.
_TELLING = words(
    "password, passwd, pwd, passphrase, passcode, passwort, kennwort, contraseña, mot de passe, senha, wachtwoord, hasło, heslo, "
    "parola, secret, token, api key, access key, private key, pin, cvv, cvc, card number, pan, iban, account number, "
    "account no, konto, routing number, sort code, ssn, social security, dob, date of birth, birth date, birthday, geburtsdatum, "
    "date de naissance, fecha de nacimiento, data di nascita, data urodzenia, phone, phone number, telephone, mobile, telefon, "
    "teléfono, telefone, cell, fax, handy, passport, passport number, passport no, id number, national id, nhs number, mrn, "
    "pesel, cpf, dni, nie, nif, bsn, nino, sin, tfn, aadhaar, codice fiscale, steuer-id, tax id, driver license, "
    "license number, medicare, patient id, member id"
)
HEAD_TRIGGERS = (
    rf"{label(*_TELLING)}[\"'`*]? ?[|,;\t\n\r]".encode(),
    rb"[a-z](?:Password|Passwd|Pwd|Secret|Token|Key|Phone|Mobile|SSN|Ssn|DOB|Dob|OfBirth|Number|Pin)[\"'`*]? ?[|,;\t\n\r]",
    rb"---[ +:|]",
    rb"(?i:values)[\t-\r ]{0,4}\(",
)
_UNIT = r"(?: ?\([A-Za-z0-9 ]{1,24}\))?"

_TITLE = compiled(rf"(?:[A-Za-z#{LETTER}][A-Za-z0-9_.#/%&+*'{LETTER}\x02-]{{0,31}} ?){{1,5}}(?:\([^()]{{1,24}}\))?")
_KNOWN = compiled(rf"({label(*dict.fromkeys(_NAMES))}){_UNIT}$")
_PASSWORD = compiled(rf"(?:{label(*_PASSWORDS)}){_UNIT}$")
_CAMEL = re.compile(rb"([a-z])([A-Z])")
_AROUND = b" \r\"'`*[]"
_SPACED = b"  "
_SEPARATORS = (b"|", b"\t", b";", b",", _SPACED)
_IN_LINES = {sign: re.compile(rb'["\n%b]' % sign) for sign in _SEPARATORS} | {
    b"|": re.compile(rb"[\n|]"),
    _SPACED: re.compile(rb"\n| {2,}"),
}
_IN_LISTS = re.compile(rb"[\n'\"(),]")
_NOT_BLANK = re.compile(rb"[^\t-\r ]")
_RULE = re.compile(rb"[ \r+:|\x01]*+[=-][ \r+=:|\x01-]*")  # under a head, or around it
_SO_FAR = re.compile(rb"[^(){}=<>:!?$@\\]*|[ +=:|\x01-]*")  # what a line of names has before one of them, or a rule
_MEMBER = re.compile(rb'.*": ?"')  # a file's first line, in the arguments of a call
_VALUES = re.compile(rb"(?i)values\s{0,4}\(")
_VALUES_CHARS = 11  # the longest that matches
_INTO = re.compile(rb"(?i)\binto\s+[\w.`\"\[\]$]{1,80}\s*\(([^()]+)\)\s*\Z")
PASSWORD = b"password"
_DIGIT = re.compile(rb"[0-9]")
_NEWLINE, _QUOTE, _OPEN, _CLOSE, _COMMA = b'\n"(),'


class Column:
    """A column that detectors know by its `name`."""

    __slots__ = ("has_values", "name")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.has_values = False  # something was found in it

    def place(self, value: bytes) -> tuple[bytes, bytes]:
        """What detectors read in the place of a cell: what stands before it there, and the value.

        A password with a digit is read as if it were quoted, for here it is no name out of a program; and any after the first.
        """
        if self.name != PASSWORD or not (self.has_values or _DIGIT.search(value)):
            return b"\n%b: " % self.name, value
        return b'\n%b: "' % self.name, (value[:-1] if DELIMITER.fullmatch(value[-1:]) else value) + b'"'


class Cell:
    """What stands in [start, end) of `column`; `end` is None as long as it is not known."""

    __slots__ = ("column", "end", "start")

    def __init__(self, start: int, column: Column) -> None:
        self.start, self.column = start, column
        self.end: int | None = None


class _Head(NamedTuple):
    separator: bytes  # empty for lists in brackets
    last: int  # column
    columns: dict[int, Column]  # that are looked into


def may_head(data: bytes, at: int) -> bool:
    """Whether what a trigger saw end at `at` may be of a head, by what is before it."""
    if at >= len(data) or data[at] == _OPEN:
        return True
    return _SO_FAR.fullmatch(data, _line(data, max(0, at - HEAD_CHARS), at), at) is not None


def _line(data: bytes, low: int, at: int) -> int:
    """Where the line at `at` begins, or the value that is a file; `low` if before that."""
    start = data.rfind(b"\n", low, at) + 1 or low
    member = _MEMBER.match(data, start, at)
    return start if member is None else member.end()


class Columns:
    """The tables of one text. Positions count characters since its start."""

    __slots__ = ("_at", "_cells", "_column", "_depth", "_head", "_hints", "_list_hints", "_lists_end", "_quote", "_row")

    def __init__(self) -> None:
        self._hints: deque[tuple[int, int]] = deque()  # not looked at yet, whether they are of lines
        self._list_hints: deque[tuple[int, int]] = deque()  # the same, of an INSERT
        self._head: _Head | None = None
        self._at = 0  # read up to here: no line before is a head
        self._lists_end = 0  # the same, for the columns of an INSERT
        self._row = 0  # where the row began
        self._column = 0
        self._depth = 0  # of brackets
        self._quote = 0  # the open one
        self._cells: deque[Cell] = deque()

    @property
    def is_open(self) -> bool:
        return bool(self._head or self._hints or self._list_hints or self._cells)

    def hint(self, low: int, high: int) -> None:
        """A known name may end in [low, high)."""
        self._hints.append((low, high))
        self._list_hints.append((low, high))

    def cell_at(self, position: int) -> Cell | None:
        """The cell that `position` is in. Those before it are forgotten."""
        self._forget_cells(position)
        first = self._cells[0] if self._cells else None
        return first if first is not None and first.start <= position < first.start + CELL_CHARS else None

    def read(self, data: bytes, origin: int, judged: int) -> list[Cell]:
        """Read on, to the end of `data`, which begins at `origin`. Gives the cells that are new, or were open.

        What comes before `judged` is not asked for again.
        """
        self._forget_cells(judged)
        cells = self._cells
        known = len(cells) - (bool(cells) and cells[-1].end is None)
        while True:
            if self._head is None or self._head.separator:
                lists = self._next_lists(data, origin)
                self._read_tables(data if lists is None else data[: lists[1]], origin)
                if lists is None:
                    break
                self._end_cell(origin + lists[1])
                self._head, self._at, self._depth = lists[0], origin + lists[1], 0
            if (end := self._read_lists(data, origin)) is None:
                break
            self._head, self._at, self._lists_end = None, end, end
        return [cells[n] for n in range(known, len(cells))]

    def _forget_cells(self, before: int) -> None:
        while self._cells and (end := self._cells[0].end) is not None and end <= before:
            self._cells.popleft()

    def _forget_hints(self, before: int) -> None:
        while self._hints and self._hints[0][1] <= before:
            self._hints.popleft()

    def _next_lists(self, data: bytes, origin: int) -> tuple[_Head, int] | None:
        """The columns of the next INSERT, and where the first of its lists begins."""
        while self._list_hints:
            low, high = (position - origin for position in self._list_hints[0])
            if low >= len(data):
                break
            for values in _VALUES.finditer(data, max(0, low - _VALUES_CHARS), min(high, len(data))):
                first = max(0, values.end() - HEAD_CHARS, self._lists_end - origin)
                into = _INTO.search(data, first, values.start()) if values.end() > low else None
                if into is not None and (head := _head(into[1].split(b","), b"")) is not None:
                    return head, values.end() - 1
            self._list_hints.popleft()
        return None

    def _read_tables(self, data: bytes, origin: int) -> None:
        while self._head is not None or self._begins_lines(data, origin):
            if (end := self._read_lines(data, origin)) is None:
                break
            self._head, self._at = None, end

    def _begins_lines(self, data: bytes, origin: int) -> bool:
        """Whether a table has begun. Not yet, as long as the end of its head has not come."""
        while self._head is None and self._hints:
            low, high = (position - origin for position in self._hints[0])
            low = max(low, self._at - origin, 0)
            if low >= min(high, len(data)):
                if low < high:
                    break
                self._hints.popleft()
                continue
            stop = data.find(b"\n", low)
            start = self._start(data, origin, low, low)
            if start is not None:
                if _RULE.fullmatch(data, start, low) is not None:
                    above = self._start(data, origin, start - 1, low)
                    if above is not None and self._begins(data[above : start - 1], origin + start):
                        break
                elif stop >= 0:
                    if stop - start <= HEAD_CHARS and self._begins(data[start:stop], origin + stop + 1):
                        break
                elif len(data) - start <= HEAD_CHARS and _SO_FAR.fullmatch(data, start, low) is not None:
                    break
            if stop < 0 or stop >= high:
                self._hints.popleft()
            else:
                self._hints[0] = origin + stop + 1, origin + high
        return self._head is not None

    def _start(self, data: bytes, origin: int, at: int, low: int) -> int | None:
        """Where the line at `at` begins; None if more than HEAD_CHARS before `low`, or in the table before."""
        first = max(0, low - HEAD_CHARS)
        start = _line(data, first, at) if at >= first else -1
        is_known = start > first or start == 0 == origin or (start > 0 and data[start - 1] == _NEWLINE)
        return start if is_known and origin + start >= self._at else None

    def _begins(self, line: bytes, at: int) -> bool:
        """Whether `line` is the head of a table whose rows begin at `at`."""
        self._head = _head_of_lines(line)
        if self._head is not None:
            self._at = at
            self._begin_row(at)
        return self._head is not None

    def _begin_row(self, at: int) -> None:
        self._row, self._column, self._quote = at, 0, 0
        self._begin_cell(at)

    def _begin_cell(self, at: int) -> None:
        assert self._head is not None
        if (column := self._head.columns.get(self._column)) is not None:
            self._cells.append(Cell(at, column))

    def _end_cell(self, at: int) -> None:
        if self._cells and (cell := self._cells[-1]).end is None:
            cell.end = at

    def _next_cell(self, end: int, start: int) -> None:
        self._end_cell(end)
        self._column += 1
        self._begin_cell(start)

    def _read_lines(self, data: bytes, origin: int) -> int | None:
        """Read rows. Gives where the line begins that is none; None where all is read."""
        assert self._head is not None
        separator, end = self._head.separator, len(data)
        for found in _IN_LINES[separator].finditer(data, self._at - origin):
            at, after = found.span()
            sign = data[at]
            if sign == _NEWLINE:
                self._end_cell(origin + at)
                if self._column != self._head.last and not self._is_rule(data, self._row - origin, at):
                    return self._row
                self._begin_row(origin + after)
            elif sign == _QUOTE:
                if self._quote or data[at - 1] in b" \t\n,;":
                    self._quote ^= _QUOTE
            elif separator is not _SPACED:
                if not self._quote:
                    self._next_cell(origin + at, origin + after)
            elif after - at > CELL_CHARS:
                self._end_cell(origin + at)
                return self._row
            elif after == end:  # where the next cell begins is not known yet
                self._at = origin + at
                break
            elif data[after] != _NEWLINE and origin + at > self._row:
                self._next_cell(origin + at, origin + after)
        else:
            self._at = origin + end - (separator is _SPACED and data.endswith(b" "))
        self._forget_hints(max(self._row, origin + end - HEAD_CHARS))
        return None

    @staticmethod
    def _is_rule(data: bytes, start: int, stop: int) -> bool:
        return stop - start <= HEAD_CHARS and _RULE.fullmatch(data, start, stop) is not None

    def _read_lists(self, data: bytes, origin: int) -> int | None:
        """Read lists in brackets. Gives where that is which is none; None where all is read."""
        assert self._head is not None
        at = self._at - origin
        while (found := (_IN_LISTS if self._depth else _NOT_BLANK).search(data, at)) is not None:
            sign, at = data[found.start()], found.end()
            if not self._depth:
                if sign == _OPEN:
                    self._depth = 1
                    self._begin_row(origin + at)
                elif sign != _COMMA:
                    return origin + found.start()
            elif sign == _NEWLINE or sign == self._quote:
                self._quote = 0
            elif self._quote:
                continue
            elif sign == _OPEN:
                self._depth += 1
            elif sign == _CLOSE:
                self._depth -= 1
                if not self._depth:
                    self._end_cell(origin + at - 1)
                    if self._column != self._head.last:
                        return origin + at
            elif sign != _COMMA:
                self._quote = sign
            elif self._depth == 1:
                self._next_cell(origin + at - 1, origin + at)
        self._at = origin + len(data)
        self._forget_hints(self._at)
        return None


def _head_of_lines(line: bytes) -> _Head | None:
    separator = next((sign for sign in _SEPARATORS if sign in line.strip()), None)
    if separator is None:
        return None
    return _head(re.split(rb" {2,}", line.strip()) if separator is _SPACED else line.split(separator), separator)


def _head(cells: list[bytes], separator: bytes) -> _Head | None:
    """The head that `cells` are, if it has a known name."""
    titles = [cell.strip(_AROUND) for cell in cells]
    if sum(map(bool, titles)) < 1 + (separator != b"|") or any(title and not _TITLE.fullmatch(title) for title in titles):
        return None
    columns = {number: Column(name) for number, title in enumerate(titles) if (name := _name(title))}
    return _Head(separator, len(cells) - 1, columns) if columns else None


def _name(title: bytes) -> bytes:
    """What detectors know a column by; empty for others."""
    title = _CAMEL.sub(rb"\1 \2", title)
    if _PASSWORD.search(title):
        return PASSWORD
    known = _KNOWN.search(title)
    return b"" if known is None else known[1].lstrip(b" _.-/#*&%+'")
