import base64
import io
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Blocked, Event, PromptText
from freehold.core.findings import Action, Channel, Direction
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.detectors.examples import sample
from freehold.guard.files import open_file
from freehold.guard.policy_file import PolicySource
from tests.guard.playing import KEY, findings_of

TOKEN = "ghp_" + sample(36)
MASK = "[REDACTED:github-token]"
FILLING = "nothing to see here, go on\n" * 5
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


def guard(text: str = "") -> StreamGuard:
    return StreamGuard(GuardConfig(engine="re2"), policy=PolicySource(name="policy.toml", text=text), key=KEY)


GUARD = guard()


def passed(text: str, asked: StreamGuard = GUARD, channel: Channel = Channel.FILE) -> list[Event]:
    stage = asked.stage(Direction.REQUEST)
    return [*stage.receive(PromptText(leaf=3, channel=channel, text=text)), *stage.close()]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text_sent(events: list[Event]) -> str:
    (event,) = [event for event in events if isinstance(event, PromptText)]
    assert event.leaf == 3
    return event.text


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            member = zipfile.ZipInfo(name.replace("__", "/").replace("_xml", ".xml"))  # of no time: two of the same are the same
            package.writestr(member, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def document(words: bytes) -> bytes:
    body = b"<w:document><w:body><w:p><w:r><w:t>" + words + b"</w:t></w:r></w:p></w:body></w:document>"
    return zipped(**{"[Content_Types]_xml": b"<Types/>", "word__document_xml": body, "word__media__image1.png": PNG})


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("head", ["", "data:text/csv;base64,", "data:;charset=x;base64,"])
def test_a_text_file_is_scanned_and_encoded_again(head: str, codec: str) -> None:
    events = passed(head + encoded(f"{FILLING}key,{TOKEN}\n".encode(codec)))
    sent = text_sent(events)
    assert sent.startswith(head)
    assert base64.b64decode(sent.removeprefix(head)).decode(codec) == f"{FILLING}key,{MASK}\n"
    (finding,) = findings_of(events)
    assert (finding.channel, finding.rule, finding.part, finding.start) == (Channel.FILE, "github-token", 3, len(FILLING) + 4)


def test_what_holds_nothing_goes_on_as_it_came() -> None:
    for text in (
        encoded(FILLING.encode()),
        "data:text/plain;base64," + encoded(b"hi"),
        "\n".join([encoded(FILLING.encode())[:76], encoded(FILLING.encode())[76:]]),
    ):
        assert passed(text) == [PromptText(leaf=3, channel=Channel.FILE, text=text)]


def test_a_data_url_is_a_file_wherever_it_stands() -> None:
    url = "data:application/json;base64," + encoded(f'{{"k": "{TOKEN}"}}'.encode())
    assert TOKEN not in base64.b64decode(text_sent(passed(url, channel=Channel.USER)).partition(",")[2]).decode()


def test_plain_text_in_a_files_place_is_scanned_as_it_is() -> None:
    for text in (f"{FILLING}{TOKEN}", f"data:text/plain,{TOKEN}%20x"):
        assert MASK in text_sent(passed(text))
    for short in ("application/pdf", "file-AbCdEfGh12345678", "image/jpeg"):
        assert passed(short) == [PromptText(leaf=3, channel=Channel.FILE, text=short)]


@pytest.mark.parametrize(
    "data",
    [
        PNG,
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"GIF89a" + bytes(100),
        b"RIFF\0\0\0\0WEBP" + bytes(99),
        b"ID3" + bytes(99),
        b"\0\0\0\x20ftypmp42" + bytes(99),
    ],
)
def test_images_sound_and_films_pass_and_are_recorded(data: bytes) -> None:
    events = passed(encoded(data))
    assert text_sent(events) == encoded(data)
    assert [(f.rule, f.action) for f in findings_of(events)] == [("unscanned-media", Action.TAG)]


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)),
        zipped(**{"notes.txt": b"in an archive"}),
        b"PK\x03\x04" + bytes(99),
        b"\x7fELF" + bytes(99),
        b"RIFF\0\0\0\0NONE" + bytes(99),
        b"%PDF-1.7 /Encrypt 5 0 R" + bytes(99),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
    ],
)
def test_what_nobody_can_read_is_blocked(data: bytes) -> None:
    for text in (encoded(data), "data:image/png;base64," + encoded(data)):
        events = passed(text)
        assert isinstance(events[-1], Blocked)
        assert [f.rule for f in events[-1].verdict.findings] == ["unscanned-file"]
        assert not any(isinstance(event, PromptText) for event in events)


def test_broken_base64_is_blocked() -> None:
    whole = encoded(FILLING.encode())
    for text in (f"data:text/plain;base64,{whole[:40]}!{whole[40:]}", whole + "A", whole[:50] + "=" + whole[50:]):
        assert isinstance(passed(text)[-1], Blocked), text


def test_policy_may_say_otherwise_of_files() -> None:
    strict = guard('[[rules]]\nid="no-pictures"\ndetectors="unscanned-media"\nteam="law"\naction="block"\n')
    assert not isinstance(passed(encoded(PNG), strict)[-1], Blocked)
    strict = guard('[[rules]]\nid="no-pictures"\ncategories="file"\naction="mask"\n')
    assert isinstance(passed(encoded(PNG), strict)[-1], Blocked)
    loose = guard('[[rules]]\nid="all"\ndetectors="unscanned-*"\naction="allow"\n')
    assert passed(encoded(bytes(range(256))), loose) == [
        PromptText(leaf=3, channel=Channel.FILE, text=encoded(bytes(range(256))))
    ]


def test_an_office_package_is_scanned_and_blocked_where_something_must_be_hidden() -> None:
    assert passed(encoded(document(b"good morning"))) == [
        PromptText(leaf=3, channel=Channel.FILE, text=encoded(document(b"good morning")))
    ]
    for words in (TOKEN.encode(), TOKEN[:9].encode() + b"</w:t></w:r><w:r><w:t>" + TOKEN[9:].encode()):
        events = passed(encoded(document(words)))
        assert isinstance(events[-1], Blocked)
        assert [(f.rule, f.action) for f in events[-1].verdict.findings] == [("github-token", Action.BLOCK)]
    assert [f.rule for f in findings_of(passed(encoded(document(b"write to ada@lovelace.org"))))] == ["email"]


def test_a_package_that_unpacks_without_end_is_not_read() -> None:
    bomb = zipped(**{"[Content_Types]_xml": b"<Types/>", "word__document_xml": bytes(65 << 20)})
    assert isinstance(passed(encoded(bomb))[-1], Blocked)


@pytest.mark.parametrize("words", [TOKEN, "\\147hp_" + TOKEN[4:]])
def test_a_pdf_is_read_as_far_as_it_says_and_recorded(words: str) -> None:
    content = f"BT /F1 12 Tf [({words[:8]}) -20 ({words[8:]})] TJ ET".encode()
    for stream in (b"stream\n" + content + b"\nendstream", b"stream\r\n" + zlib.compress(content) + b"\r\nendstream"):
        events = passed(encoded(b"%PDF-1.4\n1 0 obj <<>> " + stream + b"\n%%EOF"))
        assert isinstance(events[-1], Blocked)
        assert "github-token" in {f.rule for f in events[-1].verdict.findings}
    clean = encoded(b"%PDF-1.4\n1 0 obj <<>> stream\nBT (hello) Tj ET\nendstream\n%%EOF" + bytes(60))
    events = passed(clean)
    assert text_sent(events) == clean
    assert [f.rule for f in findings_of(events)] == ["unscanned-document"]


def test_after_a_block_nothing_is_sent() -> None:
    stage = GUARD.stage(Direction.REQUEST)
    stage.receive(PromptText(leaf=0, channel=Channel.FILE, text=encoded(bytes(range(256)))))
    assert stage.receive(PromptText(leaf=1, channel=Channel.USER, text="hello")) == []


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"%PDF-1", b"\xff\xfe", b"RIFF", b"stream\n"]), st.booleans()
)
@settings(max_examples=200)
def test_any_bytes_are_opened_or_not_and_nothing_raises(data: bytes, head: bytes, has_url: bool) -> None:
    opened = open_file(("data:x;base64," if has_url else "") + encoded(head + data), is_file=True)
    assert opened is None or opened.unread is not None or opened.texts


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text_passes_as_a_file_or_is_blocked(text: str) -> None:
    events = passed(text)
    assert isinstance(events[-1], PromptText | Blocked)
