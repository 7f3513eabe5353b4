import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Blocked, PromptText, TextDelta, ToolCallStart
from freehold.core.findings import Action, Channel, Context, Direction, Mode
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.dictionary import read
from freehold.guard.policy_file import PolicySource
from tests.guard.playing import KEY, KINDS, Kind, cut, delta, flat, play, said, text_of

POLICY = """
[[rules]]
id = "secret-projects"
categories = ["project"]
action = "mask"

[[rules]]
id = "watched"
categories = ["watched"]
action = "tag"

[[dictionaries]]
id = "projects"
category = "project"
terms = ["Falcon", "Falcon Heavy", "Blue Book", "Müller & Söhne", "株式会社", "Проект Восход", "x-ray #9"]

[[dictionaries]]
id = "parts"
category = "project"
terms = ["qz77", "田中"]
whole_words = false
ignore_case = false

[[dictionaries]]
id = "customers"
category = "watched"
file = "customers.txt"
"""
TERMS = "\n".join(["# our customers", "Heavy Metal Ltd", *(f"Customer {n} of Ten Thousand" for n in range(10_000))])
GUARD = StreamGuard(
    GuardConfig(engine="re2"), policy=PolicySource(name="policy.toml", text=POLICY, term_files={"customers.txt": TERMS}), key=KEY
)
P, Q = "[REDACTED:projects]", "[REDACTED:parts]"


def redacted(text: str) -> str:
    return said(GUARD, [text])[0]


def test_a_term_is_masked_as_people_write_it() -> None:
    for written in ("Falcon", "FALCON", "falcon heavy", "Falcon\n  Heavy", "Ｆａｌｃｏｎ", "Fal\u00adcon", "Blue\tBook"):
        assert redacted(f"the {written}.") == f"the {P}.", written
    for written in ("Müller & Söhne", "Mu\u0308ller & So\u0308hne", "muller & sohne", "株式会社", "ПРОЕКТ восход", "X-Ray #9"):
        assert redacted(f"({written})") == f"({P})", written


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_term_is_masked_as_json_escapes_it(depth: int) -> None:
    """Python writes all beyond ASCII so: tools' results and arguments are full of it."""

    def dumped(value: object, times: int) -> str:
        return json.dumps(value if times == 1 else {"in": dumped(value, times - 1)})

    names = ["Müller & Söhne", "株式会社", "Проект Восход", "Falcon\nHeavy", "a\nFalcon", '"Blue Book"']
    for name in names:
        sent = redacted(dumped({"of": name}, depth))
        assert P in sent, sent
        kept = sent
        for _ in range(depth):  # it is JSON still
            loaded = json.loads(kept)
            kept = loaded.get("in")
    assert redacted("C:\\new\\Falcon Heavy") == f"C:\\new\\{P}"
    assert redacted("C:\\new falcon") == f"C:\\new {P}"
    assert redacted("C:\\u00zz \\ and \\x") == "C:\\u00zz \\ and \\x"


def test_a_term_that_json_escapes_has_the_token_that_it_has_anyway() -> None:
    text = POLICY.replace('action = "mask"', 'action = "tokenise"')
    guard = StreamGuard(
        GuardConfig(engine="re2"), policy=PolicySource(name="p", text=text, term_files={"customers.txt": TERMS}), key=KEY
    )
    plain, escaped = ("Müller & Söhne", "M\\u00fcller \\u0026 S\\u00f6hne")
    tokens = set()
    for written, channel in (
        (plain, Channel.USER),
        (escaped, Channel.TOOL_RESULT),
        (f'{{"a":"{escaped}"}}', Channel.TOOL_ARGUMENTS),
    ):
        stage = guard.open(Context(key_id="k")).stage(Direction.REQUEST)
        sent = text_of([*stage.receive(PromptText(leaf=0, channel=channel, text=written)), *stage.close()])
        tokens.add(sent.removeprefix('{"a":"').removesuffix('"}'))
    assert len(tokens) == 1
    assert tokens.pop().startswith("<<PROJECTS_")


def test_whole_words_are_whole() -> None:
    for written in ("Falcons", "Millenniumfalcon", "falcon_heavy", "e\u0301Falcon", "Falcon9"):
        assert redacted(f"the {written}.") == f"the {written}.", written
    assert redacted("aqz77b 山田中村 QZ77") == f"a{Q}b 山{Q}村 QZ77"


def test_the_longest_term_is_meant_and_what_begins_like_one_is_not() -> None:
    assert redacted("Falcon Heavy and Falcon Heav and Blue Boo") == f"{P} and {P} Heav and Blue Boo"


def test_ten_thousand_terms_are_found_and_only_recorded_where_policy_says_so() -> None:
    text = "ask customer 9999 of ten thousand, or Customer 10000 of Ten Thousand"
    sent, findings = said(GUARD, [text])
    assert sent == text
    assert [(f.rule, f.category, f.action, f.mode, f.start, f.end) for f in findings] == [
        ("customers", "watched", Action.TAG, Mode.ENFORCE, 4, 33)
    ]


def test_a_term_that_is_only_recorded_hides_no_other() -> None:
    sent, findings = said(GUARD, ["Falcon Heavy Metal Ltd and heavy metal ltd, blue book"])
    assert sent == f"{P} Metal Ltd and heavy metal ltd, {P}"
    assert [f.rule for f in findings] == ["projects", "customers", "projects"]


FILLERS = [
    "Falcon",
    "Heavy",
    "Metal Ltd",
    " ",
    "  ",
    "\n",
    "Blue",
    "Book",
    "Мüller",
    "Müller & ",
    "Söhne",
    "株式",
    "会社",
    "田中",
    "qz7",
    "7",
]
FILLERS += [
    "ada@lovelace.org",
    "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6",
    "\u0308",
    "\u200b",
    "Customer 17 of ",
    "Ten Thousand",
    "é",
    "x",
    "M\\u00fcller \\u0026 S\\u00f6hne",
    "\\u682a\\u5f0f",
    "\\\\u4f1a\\\\u793e",
    "\\n",
    "\\",
    "u00",
    '\\"',
]
texts = st.lists(st.sampled_from(FILLERS), max_size=12).map("".join)


@given(texts, st.lists(st.integers(0, 120), max_size=8), st.sampled_from(KINDS))
@settings(max_examples=200)
def test_where_the_stream_is_cut_does_not_matter(whole: str, at: list[int], kind: Kind) -> None:
    expected = said(GUARD, [whole], kind)
    for pieces in (cut(whole, at), list(whole)):
        sent, findings = said(GUARD, pieces, kind)
        assert sent == expected[0]
        # Two stages record what they find as they find it: which of them comes first depends on the cuts.
        assert sorted(findings, key=repr) == sorted(expected[1], key=repr)


def test_a_whole_text_gives_what_a_stream_gives() -> None:
    text = "Falcon Heavy, Blue\nBook, 田中"
    stage = GUARD.stage(Direction.REQUEST)
    events = [*stage.receive(PromptText(leaf=0, channel=Channel.USER, text=text)), *stage.close()]
    assert text_of(events) == redacted(text)


def test_a_position_counts_characters_of_the_text_before_masking() -> None:
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"
    _, findings = said(GUARD, [f"{token} then Falcon."])
    assert [(f.rule, f.start, f.end) for f in findings] == [("github-token", 0, 40), ("projects", 46, 52)]


def test_a_tools_name_is_text_too() -> None:
    events = flat(play(GUARD, [ToolCallStart(call_id="c", name="Blue Book")]))
    assert [e.name for e in events if isinstance(e, ToolCallStart)] == [P]


def test_a_blocked_term_ends_the_exchange_and_nothing_after_it_is_sent() -> None:
    text = POLICY.replace('action = "mask"', 'action = "block"')
    guard = StreamGuard(
        GuardConfig(engine="re2"), policy=PolicySource(name="p", text=text, term_files={"customers.txt": TERMS}), key=KEY
    )
    events = flat(play(guard, [TextDelta(text="a blue book b"), TextDelta(text="more")]))
    assert isinstance(events[-1], Blocked)
    assert text_of(events) == "a "
    assert [f.rule for f in events[-1].verdict.findings] == ["projects"]


def test_only_a_tail_that_may_become_a_term_is_held() -> None:
    stage = GUARD.stage(Direction.RESPONSE)
    assert text_of(stage.receive(TextDelta(text="we like blue "))) == "we like "
    assert text_of(stage.receive(TextDelta(text="skies "))) == "blue skies "
    assert text_of(stage.receive(TextDelta(text="and so on "))) == "and so on "


def test_ruled_by_channel_a_dictionary_is_looked_for_there_alone() -> None:
    text = '[[rules]]\nid="a"\nchannel="reasoning"\naction="allow"\n[[dictionaries]]\nid="projects"\nterms=["Falcon"]\n'
    guard = StreamGuard(GuardConfig(engine="re2"), policy=PolicySource(name="p", text=text), key=KEY)
    assert {kind: said(guard, ["a Falcon b"], kind)[0] for kind in KINDS} == {
        kind: "a Falcon b" if delta(kind, "x") == KINDS[1](text="x") else f"a {P} b" for kind in KINDS
    }
    assert guard.open(Context()).policy_digest == guard.policy_digest


def test_a_reading_knows_where_its_characters_stand() -> None:
    for text in ("Plain", "two  blanks\n\there", "Straße  Mu\u0308ller", "ﬁne"):
        reading = read(text, True)
        places = range(len(text)) if reading.places is None else reading.places
        assert len(places) == len(reading.text)
        assert list(places) == sorted(places)
    assert read("Straße", True).text == "strasse"
    assert read("a \n b", False).text == "a b"
