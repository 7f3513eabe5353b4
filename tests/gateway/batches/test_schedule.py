import csv
from datetime import datetime
from itertools import combinations, pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.ports import SignalPoint
from freehold.gateway.batches.schedule import MOST_SLOTS, Job, Slot, admitted, electricity, filled, plan, slots_of

HOUR_S = 3600.0
DAY = Path(__file__).parents[2] / "vectors" / "intensity_day.csv"


def day() -> list[SignalPoint]:
    """A day whose shape is a grid's with much sun: low at noon, dear in the evening. The figures are ours."""
    with DAY.open(encoding="utf-8") as lines:
        rows = [(datetime.fromisoformat(row["start"]).timestamp(), float(row["g_per_kwh"])) for row in csv.DictReader(lines)]
    return [SignalPoint(start_s=at_s, end_s=at_s + HOUR_S, g_per_kwh=g) for at_s, g in rows]


DAY_POINTS = day()
START_S = DAY_POINTS[0].start_s


def ahead(jobs: list[Job], now_s: float, points: list[SignalPoint] = DAY_POINTS) -> list[Slot]:
    return slots_of(points, now_s, [job.deadline_s for job in jobs], follow="carbon", power_w=100)


def test_a_job_waits_for_the_cleanest_hours_before_its_deadline() -> None:
    cleanest = sorted(DAY_POINTS[:24], key=lambda point: point.g_per_kwh or 0)[:2]
    job = Job(name="a", work_s=2 * HOUR_S, deadline_s=START_S + 24 * HOUR_S)
    planned = plan([job], ahead([job], START_S), START_S)
    assert planned.now == ()
    assert planned.starts == {"a": min(point.start_s for point in cleanest)}
    assert plan([job], ahead([job], cleanest[0].start_s), cleanest[0].start_s).now == ("a",)


def test_a_job_without_time_to_spare_runs_now_and_first() -> None:
    kept = Job(name="kept", work_s=3 * HOUR_S, deadline_s=START_S + 3 * HOUR_S)
    late = Job(name="late", work_s=2 * HOUR_S, deadline_s=START_S + HOUR_S)
    planned = plan([kept, late], ahead([kept, late], START_S), START_S)
    assert planned.now == ("kept", "late")
    assert planned.late == {"late"}


def test_what_cannot_be_in_time_runs_at_once_in_time_nobody_needs() -> None:
    kept = Job(name="kept", work_s=HOUR_S, deadline_s=START_S + 24 * HOUR_S)
    late = Job(name="late", work_s=2 * HOUR_S, deadline_s=START_S + HOUR_S)
    assert plan([kept, late], ahead([kept, late], START_S), START_S).now == ("late",)


def test_where_nothing_is_known_of_now_nothing_waits() -> None:
    jobs = [Job(name=name, work_s=60, deadline_s=START_S + 5 * HOUR_S) for name in "ab"]
    assert set(plan(jobs, ahead(jobs, START_S, []), START_S).now) == {"a", "b"}
    gap = [DAY_POINTS[0], *DAY_POINTS[2:]]
    assert set(plan(jobs, ahead(jobs, START_S + HOUR_S, gap), START_S + HOUR_S).now) == {"a", "b"}
    assert plan([], [], START_S).now == ()


def test_unknown_hours_are_taken_last() -> None:
    points = [SignalPoint(start_s=0, end_s=10, g_per_kwh=500), SignalPoint(start_s=20, end_s=30, g_per_kwh=400)]
    job = Job(name="a", work_s=15, deadline_s=30)
    assert filled(ahead([job], 0, points), [job]) == [5, 0, 10]


def test_what_a_surplus_covers_carries_and_costs_nothing() -> None:
    point = SignalPoint(start_s=0, end_s=1, g_per_kwh=400, price_per_kwh=0.4, surplus_w=50)
    assert electricity(point, 200) == (300, 0.30000000000000004)
    assert electricity(point, 50) == (0, 0)
    assert electricity(SignalPoint(start_s=0, end_s=1, surplus_w=0), 50) == (None, None)


def test_where_only_a_price_or_a_surplus_is_known_that_is_followed() -> None:
    for name, good in (("price_per_kwh", 0.1), ("surplus_w", 90.0)):
        points = [
            SignalPoint(start_s=0, end_s=10, **{name: 0.3 if name == "price_per_kwh" else 10.0}),
            SignalPoint(start_s=10, end_s=20, **{name: good}),
        ]
        job = Job(name="a", work_s=5, deadline_s=20)
        assert plan([job], ahead([job], 0, points), 0, look_s=1).starts == {"a": 10}


def test_many_points_are_joined_and_no_deadline_is_crossed() -> None:
    points = [SignalPoint(start_s=at, end_s=at + 1, g_per_kwh=at % 7) for at in range(5000)]
    slots = slots_of(points, 0.5, [1234.5, 4321.0], follow="carbon", power_w=1)
    assert len(slots) <= MOST_SLOTS
    assert {1234.5, 4321.0} <= {slot.end_s for slot in slots}
    assert all(one.end_s == other.start_s for one, other in pairwise(slots))
    assert (slots[0].start_s, slots[0].end_s, slots[-1].end_s) == (0.5, 1, 4321)


JOBS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 8)), max_size=4)


@given(st.lists(st.none() | st.integers(0, 4), min_size=8, max_size=8), JOBS)
def test_no_choice_of_hours_is_cheaper(costs: list[int | None], drawn: list[tuple[int, int]]) -> None:
    """Against every choice of whole slots there is."""
    slots = [Slot(start_s=at, end_s=at + 1, cost=None if c is None else (float(c), 0.0)) for at, c in enumerate(costs)]
    kept, _ = admitted([Job(name=str(n), work_s=w, deadline_s=d) for n, (w, d) in enumerate(drawn)], 0)
    amounts = filled(slots, kept)
    work = sum(job.work_s for job in kept)
    assert abs(sum(amounts) - work) < 1e-9

    def price(chosen: "tuple[int, ...] | list[int]") -> tuple[int, float]:
        found = [costs[at] for at in chosen]
        return sum(c is None for c in found), sum(c for c in found if c is not None)

    def can_fill(chosen: tuple[int, ...]) -> bool:
        units = sorted(deadline for job in kept for deadline in [job.deadline_s] * int(job.work_s))
        return all(at + 1 <= deadline for at, deadline in zip(chosen, units, strict=True))

    best = min(price(chosen) for chosen in combinations(range(8), int(work)) if can_fill(chosen))
    assert price([at for at, amount in enumerate(amounts) if amount > 0.5]) == best


ARRIVALS = st.lists(
    st.tuples(st.integers(0, 20), st.floats(0.1, 6), st.floats(0.2, 24)), min_size=1, max_size=6
)  # hours: arrival, work, from arrival to deadline


@settings(max_examples=40)
@given(ARRIVALS, st.sets(st.integers(0, 47), max_size=20))
def test_no_deadline_that_is_feasible_is_missed_whatever_comes_later(
    drawn: list[tuple[int, float, float]], unknown: set[int]
) -> None:
    """A day played through, planned anew every ten minutes: each job that was feasible when it came is done in time."""
    points = [point for at, point in enumerate(DAY_POINTS) if at not in unknown]
    jobs = [
        Job(name=str(n), work_s=work * HOUR_S, deadline_s=START_S + (at + window) * HOUR_S)
        for n, (at, work, window) in enumerate(sorted(drawn))
    ]
    arrivals = [START_S + at * HOUR_S for at, _, _ in sorted(drawn)]
    left = {job.name: job.work_s for job in jobs}
    promised: set[str] = set()
    now_s, step_s = START_S, 600.0
    while now_s < START_S + 60 * HOUR_S and (now_s <= max(arrivals) or any(left.values())):
        here = [
            Job(name=job.name, work_s=left[job.name], deadline_s=job.deadline_s)
            for job, arrived_s in zip(jobs, arrivals, strict=True)
            if arrived_s <= now_s and left[job.name] > 0
        ]
        planned = plan(here, ahead(here, now_s, points), now_s, look_s=step_s)
        come = {job.name for job, arrived_s in zip(jobs, arrivals, strict=True) if arrived_s == now_s}
        promised |= {job.name for job in here if job.name in come and job.name not in planned.late}
        assert not promised & planned.late
        end_s = min(planned.until_s, now_s + step_s, min((a for a in arrivals if a > now_s), default=now_s + step_s))
        at_s = now_s
        for name in planned.now:
            done_s = min(left[name], end_s - at_s)
            left[name] -= done_s
            at_s += done_s
            if left[name] < 1e-6:
                left[name] = 0.0
                deadline_s = next(job.deadline_s for job in jobs if job.name == name)
                assert name not in promised or at_s <= deadline_s + 1e-6
        now_s = end_s
    assert not any(left.values())


def test_a_real_day_is_cleaner_for_waiting() -> None:
    """What waiting spares, for every hour of arrival, of two hours' work within a day."""
    spared = []
    for hour in range(24):
        arrived_s = START_S + hour * HOUR_S
        job = Job(name="a", work_s=2 * HOUR_S, deadline_s=arrived_s + 24 * HOUR_S)
        slots = ahead([job], arrived_s)
        taken = [(amount, slot.cost[0]) for amount, slot in zip(filled(slots, [job]), slots, strict=True) if slot.cost]
        at_once = [DAY_POINTS[hour + n].g_per_kwh or 0.0 for n in range(2)]
        waited = sum(amount * g for amount, g in taken) / job.work_s
        assert waited <= sum(at_once) / 2
        spared.append(1 - waited / (sum(at_once) / 2))
    assert max(spared) > 0.5
    assert min(spared) == 0
