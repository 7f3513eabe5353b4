import pytest

from freehold.guard.detectors.examples import sample
from freehold.guard.pem import body_end

END = "-----END PRIVATE KEY-----"


@pytest.mark.parametrize("between", ["\n", "\r\n", " \n", '" +\n    "', "\\\\n", "\n# ", ", "])
def test_lines_are_taken_to_the_end_however_they_are_parted(between: str) -> None:
    body = between.join([sample(64), sample(64), sample(18) + "==", END])
    data = f"{body} and so on".encode()
    assert body_end(data, 0, len(data), True) == (len(body), True)


def test_without_an_end_the_last_line_ends_it() -> None:
    data = f"{sample(64)}\n{sample(64)}\nThat was it.".encode()
    stop, ended = body_end(data, 0, len(data), True)
    assert ended
    assert data[stop:].strip() == b"That was it."


def test_how_far_it_goes_does_not_depend_on_what_is_known() -> None:
    data = "\n".join([*(sample(64) for _ in range(8)), END, "rest"]).encode()
    whole = body_end(data, 0, len(data), True)
    for known in range(len(data)):
        at, ended = body_end(data, 0, known, False)
        assert (body_end(data, at, len(data), True) if not ended else (at, ended)) == whole


@pytest.mark.parametrize("unit", ["\\", "+", "\\n", "n+", '" + ', "=", "A\n"])
def test_texts_made_to_be_read_many_ways_are_read_once(unit: str) -> None:
    data = (sample(20) + unit * 200).encode()
    stop, _ = body_end(data, 0, len(data), True)
    assert 20 <= stop <= len(data)
