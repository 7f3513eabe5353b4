import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.findings import Channel, Context, Direction
from freehold.guard import GuardConfig
from freehold.guard.channel import SLICE_CHARS, TextChannel, scan
from freehold.guard.columns import HEAD_CHARS, Columns
from freehold.guard.detectors import DETECTORS
from freehold.guard.matcher import Engine, Matcher
from freehold.guard.pieces import Piece, as_pieces
from freehold.guard.policy import Policy
from freehold.guard.policy_file import PolicyFile
from freehold.guard.ruling import Rulings

MATCHERS: dict[Engine, Matcher] = {"auto": Matcher(DETECTORS), "re2": Matcher(DETECTORS, "re2")}


def rulings(matcher: Matcher) -> Rulings:
    return Policy(GuardConfig(), PolicyFile(), DETECTORS, matcher.digest).table(Context(), Direction.RESPONSE).of(Channel.TEXT)


def found(text: str, engine: Engine = "auto") -> list[str]:
    matcher = MATCHERS[engine]
    return [text[p.hit.start : p.hit.end] for p in scan(matcher, rulings(matcher), text) if p.hit]


def fed(*pieces: str) -> list[Piece]:
    channel = TextChannel(MATCHERS["auto"], rulings(MATCHERS["auto"]))
    out = [piece for text in pieces for piece in as_pieces(channel.feed(text))] + channel.flush()
    channel.close()
    return out


TABLES = {
    "markdown": "| user | password |\n|---|---|\n| anna | gX8_kqa1 |\n| ben | tulip_9 |\n",
    "mysql": (
        "+----+-------+----------+\n| id | login | password |\n+----+-------+----------+\n"
        "|  1 | anna  | gX8_kqa1 |\n|  2 | ben   | tulip_9  |\n+----+-------+----------+\n"
    ),
    "psql": " usename |  passwd\n---------+----------\n anna    | gX8_kqa1\n ben     | tulip_9\n(2 rows)\n",
    "box": "│ login │ passwd │\n│ anna │ gX8_kqa1 │\n│ ben │ tulip_9 │\n",
    "commas": "login,password,active\r\nanna,gX8_kqa1,1\r\nben,tulip_9,0\r\n",
    "semicolons": "Benutzer;Passwort;Rolle\nanna;gX8_kqa1;Admin\nben;tulip_9;Gast\n",
    "tabs": "id\tlogin\tpasswd\n1\tanna\tgX8_kqa1\n2\tben\ttulip_9\n",
    "quotes": '"note","password"\n"a, b","gX8_kqa1"\n"c","tulip_9"\n',
    "blanks": "Service  User   Password\n-------  -----  --------\nci       admin  gX8_kqa1\nweb      ops    tulip_9\n",
    "insert": "INSERT INTO `t` (`id`, `login`, `password`) VALUES\n(1, lower('A, B'), 'gX8_kqa1'),\n(2, 'b', 'tulip_9');\n",
    "arguments": '{"path": "a.csv", "content": "login,userPassword\\nanna,gX8_kqa1\\nben,tulip_9\\n"}',
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_cell_is_what_the_head_of_its_column_says(kind: str) -> None:
    assert found(TABLES[kind]) == ["gX8_kqa1", "tulip_9"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("name,ssn\nA. Lee,219094417\n", ["219094417"]),
        ("name;dob;plan\nLee;1984-03-12;A\n", ["1984-03-12"]),
        ("| card holder | cvv |\n|---|---|\n| A LEE | 612 |\n", ["612"]),
        ("name,passport_no,nationality\nHuber,C4XK71T9P,DE\n", ["C4XK71T9P"]),
        ("name,phone (work),city\nHuber,030 44712290,Berlin\n", ["030 44712290"]),
    ],
)
def test_personal_numbers_are_known_by_their_column(text: str, values: list[str]) -> None:
    assert found(text) == values


@pytest.mark.parametrize(
    "text",
    [
        "| option | type | default |\n|---|---|---|\n| password | string | none |\n| port | int | 5432 |\n",
        "| tool | password manager | free |\n|---|---|---|\n| A8_kqa1 | B8_kqa1 | C8_kqa1 |\n",
        "name,token_count,model\na,1024,gX8_kqa1\n",
        "INSERT INTO t (id, password_hash, kind) VALUES (1, 'gX8_kqa1', 'b');",
        "INSERT INTO t (login, password) VALUES (?, ?);",
        "connect(host, user, password,\n        gX8_kqa1, tulip_9, pw9_x1)\n",
        "the user, the password\n\nanna, gX8_kqa1\n",
        "login,password\nanna,<password1>\nben,${PASS_1}\n",
        "login,password\nanna,x,gX8_kqa1\n",
    ],
)
def test_what_is_no_such_table_or_cell_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_password_without_a_digit_is_one_where_others_were_found_above() -> None:
    assert found("login,password\nann,sunshine\nben,gX8_kqa1\ncem,daffodil\n") == ["gX8_kqa1", "daffodil"]


def test_the_head_may_be_pages_away_and_must_not_be_longer_than_what_is_kept() -> None:
    rows = "".join(f"user{n},2025-01-01,none\n" for n in range(4 * SLICE_CHARS // 24))
    assert found(f"login,since,password\n{rows}last,2025-01-01,gX8_kqa1\n")[-1] == "gX8_kqa1"
    for size, values in ((HEAD_CHARS - 100, ["gX8_kqa1"]), (HEAD_CHARS + 1, [])):
        names = ",".join(["name"] * (size // 5))
        assert found(f"{names},password\n{'a,' * (size // 5)}gX8_kqa1\n") == values


def test_a_line_of_another_kind_ends_the_table_and_may_head_the_next() -> None:
    assert found("login,password\nanna,gX8_kqa1\nname,passwd,role\nben,tulip_9,admin\nno,ne\nx,y9_zz1,b9_cc2\n") == [
        "gX8_kqa1",
        "tulip_9",
    ]


_BITS = st.sampled_from(
    [
        *TABLES.values(),
        *("user", "password", "dob", "1990-01-02", "gX8_kqa1", "219-09-4417", "\n", "\n", ",", " | ", "  ", "\t", ";", "'", '"'),
        *("(", ")", "INSERT INTO t (id, password) VALUES (", "|---|", "é", "\\n", '\\"', " " * 300, "x" * 1100),
    ]
)


@given(texts=st.lists(_BITS, max_size=24), data=st.data())
@settings(max_examples=80, deadline=None)
def test_where_a_table_is_cut_does_not_matter(texts: list[str], data: st.DataObject) -> None:
    text = "".join(texts)
    whole = scan(MATCHERS["auto"], rulings(MATCHERS["auto"]), text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    for pieces in (list(text), [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]):
        streamed = fed(*pieces)
        assert [p.hit for p in whole if p.hit] == [p.hit for p in streamed if p.hit]
        assert "".join(p.text for p in whole) == "".join(p.text for p in streamed)


@pytest.mark.parametrize("kind", TABLES)
def test_both_engines_read_the_same(kind: str) -> None:
    assert found(TABLES[kind], "re2") == found(TABLES[kind])


@pytest.mark.parametrize("rows", ["password,token\n", "(1, 'password,'),", "password,", "a,b\n", "password "])
def test_what_is_kept_of_a_table_does_not_grow(rows: str) -> None:
    columns = Columns()
    for head in ("login,password\n", "INSERT INTO t (id, password) VALUES "):
        data = head.encode() + rows.encode() * (HEAD_CHARS // 8)
        most = 0
        for at in range(0, len(data) * 9, len(data)):
            for high in range(at, at + len(data), 7):
                columns.hint(high - 1, high)
            columns.read(data, at, at + len(data) - 1)
            most = max(most, len(columns._hints) + len(columns._list_hints) + len(columns._cells))
        assert most < 2 * HEAD_CHARS


@pytest.mark.parametrize("unit", ["login,password\n", "a,b1\n", "password\t", "into t (password,", "  ", "\n", '"'])
def test_time_grows_with_the_text_alone(unit: str) -> None:
    def seconds(chars: int) -> float:
        text = "login,password\n" + unit * (chars // len(unit))
        start = time.process_time()
        fed(*(text[at : at + 24] for at in range(0, len(text), 24)))
        return time.process_time() - start

    assert seconds(32 << 10) < 12 * seconds(8 << 10) + 0.1
