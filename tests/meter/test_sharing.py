import math
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from freehold.meter.sharing import ALLOCATIONS, Shares, Weights, Window, share_out

joules = st.floats(0, 1e6, allow_subnormal=False)
weights = st.tuples(*[st.floats(0, 1e12, allow_subnormal=False)] * ALLOCATIONS)
requests = st.dictionaries(st.integers(0, 40), weights, max_size=12)
windows = st.builds(
    lambda energy_j, seconds, idle_w, ours, owed_j: Window(
        energy_j=energy_j, seconds=seconds, idle_w=idle_w, ours=ours, owed_j=owed_j
    ),
    joules,
    st.floats(0.001, 60),
    st.none() | st.floats(0, 5000),
    st.floats(0, 1),
    st.tuples(*[st.floats(0, 1e4, allow_subnormal=False)] * ALLOCATIONS),
)


def total(shares: Shares, k: int) -> float:
    given = math.fsum(by[k] for by in shares.given_j.values())
    return math.fsum((given, shares.idle_j, shares.unattributed_j[k], shares.paid_j[k]))


@given(windows, requests)
def test_all_lines_add_up_to_the_window(window: Window, asked: Mapping[int, Weights]) -> None:
    shares = share_out(window, asked)
    for k in range(ALLOCATIONS):
        assert math.isclose(total(shares, k), window.energy_j, rel_tol=1e-9, abs_tol=1e-9)


@given(windows, requests)
def test_no_line_is_below_nothing(window: Window, asked: Mapping[int, Weights]) -> None:
    shares = share_out(window, asked)
    lines = [shares.idle_j, *shares.paid_j, *(one for by in shares.given_j.values() for one in by)]
    assert all(line >= 0 for line in lines)
    assert all(line >= -1e-9 * window.energy_j for line in shares.unattributed_j)


@given(windows, requests, st.randoms())
def test_the_order_of_requests_does_not_matter(window: Window, asked: Mapping[int, Weights], random: object) -> None:
    keys = list(asked)
    random.shuffle(keys)  # type: ignore[attr-defined]
    one, other = share_out(window, asked), share_out(window, {key: asked[key] for key in keys})
    for key in keys:
        for k in range(ALLOCATIONS):
            assert math.isclose(one.given_j[key][k], other.given_j[key][k], rel_tol=1e-9, abs_tol=1e-12)


@given(windows, requests, weights)
def test_one_request_split_into_two_alike_gets_the_same_in_all(
    window: Window, others: Mapping[int, Weights], mine: tuple[float, ...]
) -> None:
    half = tuple(weight / 2 for weight in mine)
    whole = share_out(window, {**others, 100: mine})
    split = share_out(window, {**others, 100: half, 101: half})
    for k in range(ALLOCATIONS):
        both = split.given_j[100][k] + split.given_j[101][k]
        assert math.isclose(whole.given_j[100][k], both, rel_tol=1e-9, abs_tol=1e-9)


def test_idling_goes_first_then_what_others_drew_then_what_is_owed() -> None:
    window = Window(energy_j=100, seconds=1, idle_w=40, ours=0.5, owed_j=(10, 10, 10))
    shares = share_out(window, {1: (3, 1, 1), 2: (1, 1, 1)})
    assert [shares.idle_j, shares.unattributed_j[0], shares.paid_j[0]] == [40, 30, 10]
    assert list(shares.given_j.items()) == [(1, (15, 10, 10)), (2, (5, 10, 10))]


def test_what_is_ours_with_nobody_to_give_it_to_is_unattributed() -> None:
    shares = share_out(Window(energy_j=100, seconds=1, idle_w=None, ours=1.0), {})
    assert shares.unattributed_j[0] == 100
