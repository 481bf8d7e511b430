"""Order, backfill, reservation and reasons, case by case; test_scheduling_properties.py has the laws."""

import math

import pytest

from cluster_agent.jobs.drain import Drain
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import AGED_S, LIFTED_S, Turns, Waiting, in_order
from cluster_agent.jobs.places import places
from cluster_agent.jobs.scheduler import Scheduler
from cluster_agent.jobs.scheduling import Box, Holding, decide
from cluster_agent.jobs.shares import HALF_LIFE_S, Shares
from cluster_agent.units import format_clock

GIB = 2**30
TOTAL = Need(gpus=8, cpus=64, memory_bytes=512 * GIB)
NOW = 1_800_000_000.0


def job(job_id, *, gpus=1, cpus=1, memory_bytes=0, user="ada", lasts_s=3600.0, **more):
    return Waiting(
        job_id=job_id,
        title=f"box/{job_id}",
        user=user,
        need=Need(gpus=gpus, cpus=cpus, memory_bytes=memory_bytes),
        lasts_s=lasts_s,
        **{"submitted_at": NOW + job_id, **more},
    )


def held(job_id, *, gpus=1, cpus=1, user="ada", ends_in=3600.0, **more):
    return Holding(
        need=Need(gpus=gpus, cpus=cpus),
        ends_by=NOW + ends_in,
        job_id=job_id,
        title=f"box/{job_id}",
        user=user,
        **more,
    )


def outside(gpus=1):
    return Holding(need=Need(gpus=gpus), title=f"{gpus} in use outside")


def ordered(queue, *, shares=None, since=None, head=None, now=NOW):
    placed = in_order(
        queue,
        total=TOTAL,
        share_of=lambda user: (shares or {}).get(user, 0.0),
        since=since or {},
        head=head,
        now=now,
    )
    return [job.job_id for job in placed]


# --- order --------------------------------------------------------------------------------------------------


def test_order_of_one_user_is_that_of_submission():
    assert ordered([job(3), job(1), job(2)]) == [1, 2, 3]


def test_order_has_classes():
    queue = [job(1, priority="low"), job(2), job(3, priority="high")]
    assert ordered(queue) == [3, 2, 1]


def test_order_is_by_share_and_counts_what_is_placed():
    flood = [job(number) for number in range(1, 5)]
    late = [job(5, user="grace"), job(6, user="grace")]
    assert ordered(flood + late) == [1, 5, 2, 6, 3, 4]
    assert ordered(flood + late, shares={"ada": 0.25}) == [5, 6, 1, 2, 3, 4]


def test_order_has_users_first_who_wait_for_half_a_day():
    queue = [job(1), job(2, user="grace"), job(3, user="tim")]
    since = {1: NOW - AGED_S, 2: NOW - AGED_S - 5, 3: NOW - 60}
    assert ordered(queue, shares={"ada": 1.0, "grace": 1.0}, since=since) == [2, 1, 3]


def test_waiting_lifts_a_job_by_a_class_every_two_days():
    queue = [job(1, priority="low"), job(2, user="grace"), job(3, user="tim", priority="high")]
    assert ordered(queue, since={1: NOW - LIFTED_S}) == [3, 1, 2]
    assert ordered(queue, since={1: NOW - 2 * LIFTED_S}) == [1, 3, 2]


def test_a_clock_that_steps_back_demotes_nobody():
    queue = [job(1, user="grace"), job(2, priority="low")]
    assert ordered(queue, since={1: NOW + 3600}) == [1, 2]


def test_the_head_keeps_its_place_but_not_against_a_higher_class():
    queue = [job(1, user="grace"), job(2), job(3, user="tim", priority="high")]
    assert ordered(queue, shares={"ada": 0.5}, head=2) == [3, 2, 1]


def test_a_lifted_job_does_not_pass_the_head():
    queue = [job(1, priority="low", user="grace"), job(2)]
    assert ordered(queue, since={1: NOW - 2 * LIFTED_S}, head=2) == [2, 1]


def test_what_an_admin_moved_is_first_the_last_one_before_the_others():
    queue = [job(1, priority="high"), job(2, moved_at=NOW), job(3, moved_at=NOW + 1, priority="low")]
    assert ordered(queue, head=1) == [3, 2, 1]


def test_turns_count_from_when_a_job_became_its_users_next():
    turns = Turns()
    first, second = job(1), job(2)
    assert turns.look([first, second], NOW + 10) == {1: first.submitted_at}
    assert turns.look([second], NOW + 20) == {2: NOW + 20}
    assert turns.look([second], NOW + 30) == {2: NOW + 20}
    assert turns.look([], NOW + 40) == {}
    assert turns.look([second], NOW + 50) == {2: second.submitted_at}


def test_nobody_has_waited_more_or_less_when_the_clock_was_set():
    turns, shares = Turns(), Shares(TOTAL)
    first, second = job(1), job(2)
    turns.look([first, second], NOW + 10)
    turns.look([second], NOW + 20)
    shares.take("ada", Need(gpus=4), NOW)
    shares.give_back("ada", Need(gpus=4), NOW + HALF_LIFE_S)
    year = 365 * 86400.0
    for step in (-3 * year, 4 * year):
        turns.step(step)
        shares.step(step)
    assert turns.look([second], NOW + year + 30) == {2: NOW + year + 20}
    assert shares.of("ada", NOW + year + 2 * HALF_LIFE_S) == pytest.approx(0.125)


# --- shares -------------------------------------------------------------------------------------------------


def test_a_share_is_the_largest_part_held_now_and_lately():
    shares = Shares(TOTAL)
    assert shares.of("ada", NOW) == 0
    shares.take("ada", Need(gpus=2, cpus=32), NOW)
    assert shares.of("ada", NOW) == 0.5
    assert math.isclose(shares.of("ada", NOW + HALF_LIFE_S), 0.75)
    shares.give_back("ada", Need(gpus=2, cpus=32), NOW + HALF_LIFE_S)
    assert math.isclose(shares.of("ada", NOW + 2 * HALF_LIFE_S), 0.125)


def test_a_share_rebuilt_from_history_is_the_share_as_it_was_kept_up():
    kept, rebuilt = Shares(TOTAL), Shares(TOTAL)
    need, end = Need(gpus=4, cpus=8), NOW + 50_000
    kept.take("ada", need, NOW)
    kept.give_back("ada", need, end)
    rebuilt.remember("ada", need, NOW, end, end + 7000)
    assert math.isclose(kept.of("ada", end + 7000), rebuilt.of("ada", end + 7000))


# --- who starts ---------------------------------------------------------------------------------------------


def started(queue, holdings=(), total=TOTAL):
    return decide(queue, Box(total=total, holdings=holdings), NOW)


def test_what_fits_together_starts_in_order():
    assert started([job(1), job(2), job(3, gpus=6)]).start == [1, 2, 3]


def test_gpus_cpus_and_memory_are_counted_together():
    total = Need(gpus=1, cpus=2, memory_bytes=10)
    for need in ({"memory_bytes": 11}, {"cpus": 3}, {"gpus": 2}):
        assert started([job(1, **need)], total=total).start == []
    assert started([job(1, cpus=2, memory_bytes=10)], total=total).start == [1]


def test_the_first_that_does_not_fit_has_a_reservation_that_nobody_delays():
    running = [held(90, gpus=4, ends_in=7200), held(91, gpus=2, ends_in=3600)]
    short, long = job(2, lasts_s=7200), job(3, lasts_s=7201)
    plan = started([job(1, gpus=8), long, short], running)
    assert plan.start == [2]
    assert (plan.reservation.job_id, plan.reservation.at) == (1, NOW + 7200)
    assert plan.reservation.after.job_id == 90


def test_a_long_job_passes_when_it_leaves_enough_beside_the_reservation():
    running = [held(90, gpus=6, ends_in=7200)]
    queue = [job(1, gpus=6), job(2, lasts_s=1e6), job(3, lasts_s=1e6), job(4, lasts_s=1e6)]
    assert started(queue, running).start == [2, 3]


def test_a_reservation_is_for_the_first_whose_start_can_be_known():
    plan = started([job(1, gpus=8), job(2, gpus=7), job(3, lasts_s=1e6)], [outside(), held(90)])
    assert plan.start == []
    assert plan.reservation.job_id == 2


def test_a_job_larger_than_the_box_stops_nobody():
    assert started([job(1, gpus=9), job(2)]).start == [2]


def test_a_limit_of_the_user_is_passed_over():
    queue = [job(1, max_gpus=2, gpus=2), job(2, user="grace")]
    assert started(queue, [held(90)]).start == [2]
    assert started([job(1, max_jobs=1), job(2, user="grace")], [held(90)]).start == [2]


def test_later_jobs_of_the_same_user_do_not_use_up_what_an_earlier_one_waits_for():
    queue = [job(1, max_gpus=4, gpus=4), job(2, max_gpus=4), job(3, max_gpus=4, gpus=0)]
    assert started(queue, [held(90)]).start == [3]


def test_a_job_above_a_limit_that_was_lowered_starts_when_it_is_alone():
    assert started([job(1, max_gpus=1, gpus=2)]).start == [1]
    assert started([job(1, max_gpus=1, gpus=2)], [held(90)]).start == []


def test_backfill_does_not_use_up_the_limit_of_the_head():
    running = [held(90, gpus=7, user="grace", ends_in=7200)]
    queue = [job(1, gpus=4, max_gpus=4), job(2, max_gpus=4, lasts_s=60), job(3, user="tim", lasts_s=60)]
    assert started(queue, running).start == [3]


# --- what people are told -----------------------------------------------------------------------------------


def told(queue, holdings=(), drain=None, total=TOTAL):
    return places(queue, Box(total=total, holdings=holdings), NOW, drain)


def test_places_say_position_reason_and_latest_start():
    running = [held(90, gpus=7, ends_in=7200), held(91, ends_in=600)]
    found = told([job(1, gpus=2), job(2, user="grace"), job(3, gpus=0)], running)
    end = format_clock(NOW + 7200, NOW)
    assert found[1].reason == f"needs 2 GPUs, 0 free; after box/90, which ends by {end} at the latest"
    assert found[1].position == 1
    assert found[1].starts_by == math.ceil((NOW + 7200) / 60) * 60
    assert found[2].reason == f"needs 1 GPU, 0 free; after box/90, which ends by {end} at the latest"
    assert found[3].reason == "waits for box/1, which is ahead"
    assert [found[number].position for number in (1, 2, 3)] == [1, 2, 3]


def test_places_name_what_else_is_scarce():
    (first,) = told([job(1, gpus=0, cpus=60)], [held(90, cpus=9)]).values()
    assert first.reason.startswith("needs 60 CPUs, 55 free; after box/90")
    big = Holding(need=Need(memory_bytes=500 * GIB), ends_by=NOW + 1, job_id=9, title="box/9", user="ada")
    (first,) = told([job(1, gpus=0, memory_bytes=13 * GIB)], [big]).values()
    assert first.reason.startswith("needs 13 GiB of memory, 12 GiB free; after box/9")


def test_places_follow_the_queue_to_its_end():
    queue = [job(number, gpus=8) for number in range(1, 4)]
    found = told(queue, [held(90, gpus=8, ends_in=600)])
    assert [place.starts_by - NOW for place in found.values()] == [600, 4200, 7800]
    assert found[2].reason == "needs 8 GPUs, 0 free; after box/1, which waits too"


def test_places_tell_a_limit_of_ones_own_and_when_it_ends():
    found = told([job(1, max_gpus=2), job(2, max_jobs=1, gpus=0)], [held(90, gpus=2, ends_in=600)])
    assert found[1].reason == "your limit: 2 GPUs at once"
    assert found[2].reason == "your limit: 1 job at once"
    assert found[1].starts_by == NOW + 600


def test_places_tell_what_nobody_knows_the_end_of():
    (found,) = told([job(1, gpus=8)], [outside(2)]).values()
    assert found.reason == "needs 8 GPUs, 6 free; 2 in use outside"
    assert found.starts_by is None
    left = Holding(need=Need(gpus=1, cpus=1), job_id=90, title="box/90", user="grace", left_behind=True)
    (found,) = told([job(1, gpus=8)], [left]).values()
    assert found.reason == "needs 8 GPUs, 7 free; box/90 left processes behind that cannot be killed"


def test_places_tell_a_job_that_the_box_has_become_too_small_for():
    (found,) = told([job(1, gpus=9)]).values()
    assert (found.reason, found.starts_by) == ("needs 9 GPUs, more than this box has now", None)


def test_places_while_the_box_is_draining():
    until = NOW + 600
    (found,) = told([job(1)], drain=Drain(until=until, message="new disks")).values()
    assert found.reason == f"the box is draining until {format_clock(until, NOW)}: new disks"
    assert found.starts_by == until
    (found,) = told([job(1)], drain=Drain()).values()
    assert (found.reason, found.starts_by) == ("the box is draining", None)


def test_the_scheduler_remembers_who_has_the_reservation():
    scheduler = Scheduler(TOTAL)
    box = Box(total=TOTAL, holdings=[held(90, gpus=8, ends_in=7200)])
    scheduler.shares.take("ada", Need(gpus=8), NOW)
    first = [job(1)]
    assert scheduler.decide(first, box, NOW).reservation.job_id == 1
    assert scheduler.decide([*first, job(2, user="grace")], box, NOW).reservation.job_id == 1
