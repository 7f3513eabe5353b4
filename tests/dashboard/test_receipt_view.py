from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from freehold.dashboard.receipt_view import receipt_file, receipt_view
from tests.fakes.ledger import entry, stored_receipt


def test_the_statement_is_shown_as_it_was_signed() -> None:
    view = receipt_view(stored_receipt(entry(3)))
    assert '"predicate"' in view.statement
    assert view.key_ids == ("k0ffee",)


@given(st.binary(max_size=200) | st.sampled_from([b"[]", b'{"signatures": 1}', b'{"signatures": [1], "payload": "!"}', b"null"]))
def test_any_bytes_in_the_record_are_shown_and_never_crash_the_page(envelope: bytes) -> None:
    stored = stored_receipt(entry(3))
    broken = replace(stored, receipt=replace(stored.receipt, envelope=envelope))
    assert "cannot be read" in receipt_view(broken).statement
    assert receipt_file(broken)
