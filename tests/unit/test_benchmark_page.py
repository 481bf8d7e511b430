"""What a run of the benchmarks makes of its figures."""

from __future__ import annotations

import re

import pytest
from benchmarks.beside import beside
from benchmarks.figures import Detail, Figure, Goal, LeftOut, number, spread
from benchmarks.goals import goal_of
from benchmarks.page import page
from benchmarks.runs import STAMPS, first_line_ms, flood_speed, line_latencies_ms, pairs


def figure(row="P1", name="trivial cell", **more):
    return Figure(row=row, name=name, unit="ms", values=[2.0, 4.0, 9.0], bases=[4.0, 4.0, 3.0], **more)


def peer(system, *, row="P1", median=2.0, what="first line seen", isolated="yes"):
    return {
        "row": row,
        "system": system,
        "isolated": isolated,
        "what": what,
        "measured": "40 (30 to 50) ms",
        "ratio": f"{median} (1 to 9)",
        "value": 40.0,
        "median": median,
    }


def test_a_ratio_is_that_of_each_pair():
    assert figure().ratios == [0.5, 1.0, 3.0]
    assert figure().line() == "| P1 | trivial cell | 4 (2 to 9) ms | 1 (0.5 to 3) |  |  |"


def test_base_and_ours_are_taken_in_turn_and_the_rest_is_in_neither():
    order = []
    values, bases = pairs(
        2,
        lambda: order.append("ours") or 1.0,
        lambda: order.append("base") or 2.0,
        lambda: order.append("rest"),
    )
    assert order == ["base", "rest", "ours"] * 2
    assert (values, bases) == ([1.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal(text="", limit=1.0), True),
        (Goal(text="", limit=0.9), False),
        (Goal(text="", limit=1.1, at_least=True), False),
        (Goal(text="", limit=4.0, of_value=True), True),
        (Goal(text="", limit=5.0, of_value=True, at_least=True), False),
    ],
)
def test_the_median_is_held_against_the_goal(goal, reached):
    assert figure(goal=goal).reached is reached


def test_the_page_has_one_table_and_says_what_is_missed_and_why():
    missed = figure(goal=Goal(text="ratio at most 0.6", limit=0.6, obstacle="The disk syncs."))
    told = [
        missed,
        figure(row="P2"),
        LeftOut(row="P6", name="", reason="no numpy"),
        Detail(title="More", text="About.", lines=["| a |", "|---|"]),
    ]
    text = page(told, [peer("rq")], "- mlmagics 1")
    assert "| P6 |  | not measured: no numpy | | | |" in text
    assert "- P1, trivial cell: goal ratio at most 0.6. The disk syncs." in text
    assert "| P1 | rq | yes | first line seen | 40 (30 to 50) ms | 2.0 (1 to 9) |" in text
    assert "## More\n\nAbout.\n\n| a |" in text
    tables = re.findall(r"(?m)(?:^\|.*\n)+", text)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_the_best_peer_has_a_process_for_each_job_where_there_is_one():
    peers = [
        peer("dask", median=0.1, isolated="no"),
        peer("rq", median=1.3, what="end seen"),
        peer("ray", median=400.0),
        peer("submitit", row="P2", median=0.5),
        {**peer("failed"), "value": None, "median": None},
    ]
    assert beside(figure(), peers).peer == "1.3 (rq, end seen only); 400 (ray)"
    assert beside(figure(), peers[:1]).peer == "0.1 (dask)"
    assert beside(figure(row="P9"), peers).peer == ""
    assert beside(figure(row="P3"), [peer("a", row="P3"), peer("b", row="P3", median=9.0)]).peer == "9 (b)"


def test_goals_are_found_by_row_and_name():
    assert goal_of(figure()).text == "ratio at most 0.6"
    assert goal_of(figure(row="P4", name="line to the follower, flushed, p99")).limit == 5
    assert goal_of(figure(row="P4", name="line to the follower, not flushed, p99")) is None
    assert goal_of(figure(row="P4", name="line to the follower, not flushed, p50")).limit == 5


def test_what_a_run_prints_is_seen_however_it_is_cut():
    line = "000000000 " + "p" * 89 + "\n"

    def cut(source, sink):
        for at in range(0, 300, 7):
            sink((line * 3)[at : at + 7])

    assert flood_speed(cut, 3) > 0
    with pytest.raises(RuntimeError, match="1 of 4 lines were lost"):
        flood_speed(cut, 4)
    stamps = "".join(f"head at-ns {number}\n" for number in range(STAMPS))
    assert len(line_latencies_ms(lambda _, sink: [sink(part) for part in stamps], flush=True)) == STAMPS
    assert first_line_ms(lambda _, sink: [sink("not yet"), sink("this-is-it")]) >= 0


def test_numbers_have_three_digits_that_count():
    assert [number(value) for value in (12345.6, 99.96, 1.234, 0.0123, 0)] == [
        "12346",
        "100",
        "1.23",
        "0.0123",
        "0",
    ]
    assert spread([1.0]) == "1"
