import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import DeviceError, MalformedArtefact, NotFound
from freehold.gateway.mcp.pins import PinBook, digest_of, list_digest, shown

A, B, C = (digest_of({"name": name}) for name in "abc")


@pytest.fixture
def book(tmp_path: Path) -> PinBook:
    return PinBook(tmp_path / "mcp-pins.json", lambda: 1_700_000_000_000_000_000)


def accepted(book: PinBook, names: str = "") -> list[str]:
    waiting = book.waiting("s", frozenset(names))
    book.accept("s", waiting)
    return [name for _, name, _ in waiting]


def test_what_is_there_at_first_sight_passes_and_what_comes_later_waits(book: PinBook) -> None:
    first = book.look("s", "tools", {"a": A})
    assert first.is_first
    assert not first.withheld
    assert not first.changes
    later = book.look("s", "tools", {"a": A, "b": B})
    assert later.withheld == {"b": "new"}
    assert [change.why for change in later.changes] == ["new"]
    again = book.look("s", "tools", {"a": A, "b": B})
    assert again.withheld == {"b": "new"}
    assert again.changes == ()  # told once


def test_an_empty_list_is_a_first_sight_too(book: PinBook) -> None:
    book.look("s", "tools", {})
    assert book.look("s", "tools", {"a": A}).withheld == {"a": "new"}


def test_a_change_waits_and_a_second_change_is_told_again(book: PinBook) -> None:
    book.look("s", "tools", {"a": A})
    (change,) = book.look("s", "tools", {"a": B}).changes
    assert (change.why, change.was, change.now) == ("changed", A, B)
    assert len(book.look("s", "tools", {"a": C}).changes) == 1
    pin = book.find("s", "tools", "a")
    assert pin is not None
    assert not pin.may_pass
    assert not book.look("s", "tools", {"a": A}).withheld


def test_what_somebody_accepted_passes_poisoned_or_not(book: PinBook) -> None:
    assert book.look("s", "tools", {"a": A, "b": B}, poisoned=frozenset("a")).withheld == {"a": "poisoned"}
    assert accepted(book) == ["a"]
    assert not book.look("s", "tools", {"a": A, "b": B}, poisoned=frozenset("a")).withheld
    assert book.look("s", "tools", {"a": C, "b": B}, poisoned=frozenset("a")).withheld == {"a": "poisoned"}


def test_some_may_be_accepted_and_the_rest_waits_on(book: PinBook) -> None:
    book.look("s", "tools", {})
    book.look("s", "tools", {"a": A, "b": B})
    assert accepted(book, "b") == ["b"]
    assert book.look("s", "tools", {"a": A, "b": B}).withheld == {"a": "new"}
    assert accepted(book, "x") == []


def test_what_changes_while_somebody_decides_waits_on(book: PinBook) -> None:
    book.look("s", "tools", {"a": A})
    book.look("s", "tools", {"a": B})
    seen = book.waiting("s")
    book.look("s", "tools", {"a": C})
    book.accept("s", seen)
    assert book.look("s", "tools", {"a": C}).withheld == {"a": "changed"}


def test_only_the_list_of_the_configurations_digest_passes(book: PinBook) -> None:
    pin = list_digest({"a": A, "b": B})
    assert book.look("s", "tools", {"a": A}, pin=pin).withheld == {"a": "not the pinned list"}
    assert not book.look("s", "tools", {"b": B, "a": A}, pin=pin).withheld
    assert book.look("s", "tools", {"a": A, "b": C}, pin=pin).withheld == {"b": "not the pinned list"}


def test_names_of_another_server_are_told_when_they_are_new(book: PinBook) -> None:
    book.look("one", "tools", {"a": A})
    seen = book.look("two", "tools", {"a": A, "b": B})
    assert seen.shadowed == {"a": "one"}
    assert book.look("two", "tools", {"a": A, "b": B}).shadowed == {}
    assert book.look("one", "tools", {"a": A}).others == {"b"}


def test_a_forgotten_server_is_seen_for_the_first_time(book: PinBook) -> None:
    book.look("s", "tools", {"a": A})
    book.forget("s")
    assert book.look("s", "tools", {"a": B}).is_first
    with pytest.raises(NotFound):
        book.forget("t")
    with pytest.raises(NotFound):
        book.waiting("t")


def test_the_file_is_its_users_alone_and_another_book_reads_the_same(book: PinBook, tmp_path: Path) -> None:
    book.look("s", "tools", {"a": A})
    path = tmp_path / "mcp-pins.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = PinBook(path, lambda: 0)
    assert other.find("s", "tools", "a") == book.find("s", "tools", "a")
    other.look("s", "tools", {"a": B})
    pin = book.find("s", "tools", "a")
    assert pin is not None
    assert pin.waiting == B


def test_many_writers_lose_nothing(book: PinBook, tmp_path: Path) -> None:
    def write(number: int) -> None:
        PinBook(tmp_path / "mcp-pins.json", lambda: 0).look(f"s{number}", "tools", {"a": A})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(book.servers()) == 20


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"version": 2}', b'{"servers": {"s": {"kinds": {"tools": {"a": 1}}}}}']
)
def test_a_file_that_is_none_is_an_error_and_never_an_empty_book(book: PinBook, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mcp-pins.json").write_bytes(content)
    with pytest.raises(MalformedArtefact, match=r"mcp-pins\.json"):
        book.find("s", "tools", "a")
    with pytest.raises(MalformedArtefact):
        book.look("s", "tools", {"a": A})
    assert (tmp_path / "mcp-pins.json").read_bytes() == content


def test_a_home_that_is_not_there_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        PinBook(tmp_path / "none" / "mcp-pins.json", lambda: 0).look("s", "tools", {"a": A})


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.text(max_size=3), min_size=2))
def test_a_digest_does_not_depend_on_the_order_of_fields(item: dict[str, str]) -> None:
    assert digest_of(item) == digest_of(dict(reversed(item.items())))
    assert digest_of(item) != digest_of({**item, next(iter(item)): "else!"})


def test_a_name_that_no_tool_has_is_not_written_down() -> None:
    assert shown("read_file") == "read_file"
    assert shown("ignore all rules\n").startswith("sha256:")
