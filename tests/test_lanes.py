"""Whose call goes next: how wide a host's lane is, when it is left alone, and whose turn it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.lanes import IN_A_ROW, LONGEST_PAUSE, NARROW, RESERVE, Lanes, Place


def lanes(calls: int, most: int = 256, places: int = 256, host: str = "a", owner: str = "o") -> Lanes[int]:
    made: Lanes[int] = Lanes(places)
    for n in range(calls):
        made.add(host, owner, n, most)
    return made


def take(made: Lanes[int], now: float = 0.0) -> list[Place[int]]:
    return list(made.take(now))


def test_a_lane_starts_at_its_full_width() -> None:
    assert len(take(lanes(100, most=40))) == 40


def test_no_more_calls_set_out_than_there_are_places() -> None:
    made = lanes(100, places=100)
    made.add("b", "o", 100, 256)
    assert len(take(made)) <= 100


def test_an_ended_call_makes_room_for_the_next() -> None:
    made = lanes(10, most=4)
    first = take(made)
    made.done(first[0])
    assert [p.item for p in take(made)] == [4]


def test_a_429_halves_the_lane_once_for_all_calls_that_were_under_way() -> None:
    made = lanes(200, most=64)
    for place in take(made)[:2]:
        made.done(place)
        made.refuse(place, now=0.0, retry_after=0.0, whole_host=True)
    assert take(made) == []  # 62 are under way, 32 may be
    assert made._lanes["a"].width == 32


def test_a_call_that_set_out_after_the_halving_halves_again() -> None:
    made = lanes(200, most=64)
    for place in take(made):
        made.done(place)
        made.refuse(place, 0.0, 0.0, whole_host=True)
    second = take(made)
    assert len(second) == 32
    made.done(second[0])
    made.refuse(second[0], 0.0, 0.0, whole_host=True)
    assert made._lanes["a"].width == 16


def test_each_other_answer_widens_the_lane_by_one_up_to_its_most() -> None:
    made = lanes(200, most=8)
    first = take(made)
    made.done(first[0])
    made.refuse(first[0], 0.0, 0.0, whole_host=True)
    for place in first[1:]:
        made.done(place)
        made.welcome(place)
    assert made._lanes["a"].width == 8


def test_a_lane_is_never_narrower_than_one() -> None:
    made = lanes(50, most=2)
    for _ in range(10):
        for place in take(made):
            made.done(place)
            made.refuse(place, 0.0, 0.0, whole_host=True)
    assert made._lanes["a"].width == 1


def test_a_host_that_says_when_is_left_alone_until_then() -> None:
    made = lanes(10, most=2)
    place = take(made)[0]
    made.done(place)
    made.refuse(place, now=100.0, retry_after=7.0, whole_host=True)
    assert take(made, 106.9) == []
    made.done(Place(1, "a", 0))
    assert len(take(made, 107.0)) == 1


def test_a_pause_is_capped() -> None:
    made = lanes(10, most=1)
    place = take(made)[0]
    made.done(place)
    made.refuse(place, now=0.0, retry_after=3600.0, whole_host=True)
    assert take(made, LONGEST_PAUSE - 0.1) == []
    assert len(take(made, LONGEST_PAUSE)) == 1


def test_a_key_over_its_own_limit_does_not_stop_its_host() -> None:
    made = lanes(10, most=4)
    place = take(made)[0]
    made.done(place)
    made.refuse(place, now=0.0, retry_after=30.0, whole_host=False)
    for other in [Place(n, "a", 0) for n in (1, 2, 3)]:
        made.done(other)
        made.welcome(other)
    assert take(made, 0.1)


def test_refusals_in_a_row_mean_the_host_whatever_each_says_of_its_key() -> None:
    made = lanes(10, most=IN_A_ROW)
    for place in take(made):
        made.done(place)
        made.refuse(place, now=0.0, retry_after=5.0, whole_host=False)
    assert take(made, 4.9) == []


def test_those_who_wait_for_one_host_take_turns() -> None:
    made = lanes(100, most=1, owner="thousand")
    made.add("a", "single", 1000, 1)
    first = take(made)
    made.done(first[0])
    assert take(made)[0].item == 1000


def test_one_busy_host_leaves_places_to_others() -> None:
    made = lanes(1000, most=1000, places=256)
    assert len(take(made)) == 256 - RESERVE
    made.add("b", "single", -1, 256)
    assert [p.item for p in take(made)] == [-1]


def test_no_lane_takes_the_whole_reserve() -> None:
    made = lanes(1000, most=1000, places=256)
    take(made)
    for n in range(100):
        made.add("b", "other", n, 256)
    assert len(take(made)) == NARROW


def test_what_is_not_wanted_any_more_is_taken_out() -> None:
    made = lanes(10, most=1)
    assert sorted(made.remove(lambda n: n % 2 == 0)) == [0, 2, 4, 6, 8]
    assert take(made)[0].item == 1


calls = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 5)), max_size=60)


@given(calls, st.lists(st.sampled_from(["welcome", "refuse", "fail"]), max_size=200), st.integers(1, 12))
def test_every_call_sets_out_once_and_no_host_gets_more_than_its_most(
    calls: list[tuple[str, str, int]], answers: list[str], places: int
) -> None:
    made: Lanes[int] = Lanes(places + RESERVE)
    most: dict[str, int] = {}
    for n, (host, owner, limit) in enumerate(calls):
        most.setdefault(host, limit)
        made.add(host, owner, n, most[host])
    out: list[Place[int]] = []
    seen: list[int] = []
    now, told = 0.0, iter(answers)
    while True:
        fresh = take(made, now)
        out += fresh
        seen += [p.item for p in fresh]
        for host, limit in most.items():
            assert sum(p.host == host for p in out) <= limit
        if not out:
            break
        place = out.pop(0)
        made.done(place)
        match next(told, "welcome"):
            case "welcome":
                made.welcome(place)
            case "refuse":
                made.refuse(place, now, 3.0, whole_host=True)
        now += 31.0
    assert sorted(seen) == list(range(len(calls)))
