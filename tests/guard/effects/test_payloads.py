import base64
import bz2
import gzip
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.effects import payloads

PLAIN = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1, max_size=60)


@given(PLAIN)
def test_what_was_encoded_is_decoded(text: str) -> None:
    raw = text.encode()
    assert payloads.from_base64(base64.b64encode(raw).decode()) == text
    assert payloads.from_base64(base64.urlsafe_b64encode(raw).decode().rstrip("=")) == text
    assert payloads.from_base32(base64.b32encode(raw).decode()) == text
    assert payloads.from_hex(raw.hex()) == text
    assert payloads.from_rot13(payloads.from_rot13(text)) == text


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_what_is_packed_in_it_is_unpacked(pack: object) -> None:
    assert callable(pack)
    assert payloads.from_base64(base64.b64encode(pack(b"rm -rf /")).decode()) == "rm -rf /"


def test_a_bomb_is_unpacked_in_part_only() -> None:
    packed = base64.b64encode(gzip.compress(b"a" * 50_000_000)).decode()
    text = payloads.from_base64(packed)
    assert text is not None
    assert len(text) <= payloads.LIMIT_CHARS


def test_powershells_wide_text_is_read() -> None:
    assert payloads.from_base64(base64.b64encode("dir".encode("utf-16-le")).decode()) == "dir"


@pytest.mark.parametrize("text", ["", "!", "a", "====", "/w=="])
def test_what_is_no_text_is_none(text: str) -> None:
    assert payloads.from_base64(text) is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\x72\x6d", "rm"),
        (r"\162\155", "rm"),
        (r"\u0072m", "rm"),
        (r"a\nb", "a\nb"),
        (r"\q", r"\q"),
        (r"\\x", "\\x"),
        (r"\0162m", "rm"),
    ],
)
def test_escapes_are_read(text: str, plain: str) -> None:
    assert payloads.unescaped(text) == plain


def test_xxd_and_spaced_digits_are_hex() -> None:
    assert payloads.from_hex("00000000: 726d 202d 7266  rm -rf") == "rm -rf"
    assert payloads.from_hex(r"\x72\x6d") == payloads.from_hex("0x72 0x6d") == payloads.from_hex("72 6d") == "rm"


@pytest.mark.parametrize(
    ("args", "plain"),
    [
        (["a-z", "n-za-m"], "ez"),
        (["-d", "r"], "m"),
        (["rm", "ls"], "ls"),
        (["[:lower:]", "[:upper:]"], "RM"),
        (["[:punct:]", "x"], None),
    ],
)
def test_tr_is_followed(args: list[str], plain: str | None) -> None:
    assert payloads.translated("rm", args) == plain


def test_lines_are_reversed_one_by_one() -> None:
    assert payloads.reversed_lines("ab\ncd") == "ba\ndc"


@given(st.text(max_size=100), st.lists(st.text(max_size=8), max_size=3))
def test_any_text_is_taken(text: str, args: list[str]) -> None:
    for decode in payloads.DECODERS.values():
        decode(text)
    payloads.unescaped(text)
    payloads.translated(text, args)
    payloads.as_text(text.encode("utf-8", "surrogatepass"))
