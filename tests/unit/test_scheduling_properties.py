"""Laws of the scheduler, on random loads that run through a simulation of the box."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from benchmarks.scheduling import HOUR_S, Arrival, Ours, Simulation, flood_and_big, waits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import Waiting
from cluster_agent.jobs.scheduler import Scheduler
from cluster_agent.jobs.scheduling import Box, Plan

TOTAL = Need(gpus=4, cpus=16, memory_bytes=64)
SETTINGS = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
USERS = ("ada", "grace", "tim")
#: GPUs and jobs at once
CAPS = {"ada": (None, None), "grace": (2, None), "tim": (None, 3)}


@st.composite
def arrivals(draw, priorities=("low", "normal", "high"), most=40):
    """A load of up to ``most`` jobs, each of which fits the box."""
    found = []
    for number in range(1, draw(st.integers(1, most)) + 1):
        user = draw(st.sampled_from(USERS))
        lasts_s = draw(st.integers(1, 100)) * HOUR_S / 4
        max_gpus, max_jobs = CAPS[user]
        gpus = draw(st.integers(0, TOTAL.gpus))
        job = Waiting(
            job_id=number,
            title=f"box/{number}",
            user=user,
            need=Need(
                gpus=gpus if max_gpus is None else min(gpus, max_gpus),
                cpus=draw(st.integers(1, TOTAL.cpus)),
                memory_bytes=draw(st.integers(0, TOTAL.memory_bytes)),
            ),
            lasts_s=lasts_s,
            submitted_at=draw(st.integers(0, 60)) * HOUR_S / 2,
            priority=draw(st.sampled_from(priorities)),
            max_gpus=max_gpus,
            max_jobs=max_jobs,
        )
        found.append(Arrival(job=job, runs_s=lasts_s * draw(st.sampled_from((0.01, 0.5, 1.0)))))
    return found


def simulate(load, look=None):
    return Simulation(policy=Ours(TOTAL), total=TOTAL, look=look).run(load)


@SETTINGS
@given(arrivals())
def test_everything_starts_and_never_more_than_there_is(load):
    jobs = {arrival.job.job_id: arrival.job for arrival in load}

    def look(now: float, box: Box, plan: Plan) -> None:
        free = box.free()
        for job_id in plan.start:
            assert jobs[job_id].need.fits(free)
            free = free - jobs[job_id].need

    assert simulate(load, look).keys() == jobs.keys()


@SETTINGS
@given(arrivals(priorities=("normal",)))
def test_a_reservation_never_moves_later_and_is_kept(load):
    promised: dict[int, float] = {}

    def look(now: float, box: Box, plan: Plan) -> None:
        if plan.reservation is not None:
            head = plan.reservation.job_id
            assert plan.reservation.at <= promised.get(head, plan.reservation.at)
            promised[head] = plan.reservation.at

    started = simulate(load, look)
    for head, at in promised.items():
        assert started[head] <= at


@SETTINGS
@given(arrivals())
def test_limits_of_users_hold(load):
    jobs = {arrival.job.job_id: arrival.job for arrival in load}

    def look(now: float, box: Box, plan: Plan) -> None:
        running = [held.job_id for held in box.holdings] + plan.start
        for user, (max_gpus, max_jobs) in CAPS.items():
            mine = [jobs[job_id] for job_id in running if jobs[job_id].user == user]
            assert max_jobs is None or len(mine) <= max_jobs
            assert max_gpus is None or sum(job.need.gpus for job in mine) <= max_gpus

    simulate(load, look)


@SETTINGS
@given(arrivals(), st.randoms(use_true_random=False), st.integers(0, 200))
def test_the_order_does_not_depend_on_how_the_queue_is_kept(load, rng, hours):
    queue = [arrival.job for arrival in load]
    shuffled = list(queue)
    rng.shuffle(shuffled)
    box, now = Box(total=TOTAL), hours * HOUR_S
    assert Scheduler(TOTAL).order(queue, now) == Scheduler(TOTAL).order(shuffled, now)
    assert Scheduler(TOTAL).decide(queue, box, now) == Scheduler(TOTAL).decide(shuffled, box, now)
    assert Scheduler(TOTAL).places(queue, box, now) == Scheduler(TOTAL).places(shuffled, box, now)


@SETTINGS
@given(arrivals())
def test_every_waiting_job_is_told_its_place_and_when_it_starts(load):
    queue = [arrival.job for arrival in load]
    found = Scheduler(TOTAL).places(queue, Box(total=TOTAL), 0.0)
    assert sorted(place.position for place in found.values()) == list(range(1, len(queue) + 1))
    assert all(place.reason and place.starts_by is not None for place in found.values())


@settings(SETTINGS, max_examples=15)
@given(
    priority=st.sampled_from(("low", "normal")),
    gpus=st.integers(0, TOTAL.gpus),
    cpus=st.integers(1, TOTAL.cpus),
    seed=st.integers(0, 10_000),
    users=st.integers(1, 30),
)
def test_nobody_starves_while_others_flood_the_box(priority, gpus, cpus, seed, users):
    """The others submit more than the box can do, for thirty days, in classes above; the job starts in that time."""
    rng = random.Random(seed)
    days = 30
    load = []
    for number in range(2, 2 + 12 * days):
        job = Waiting(
            job_id=number,
            title=f"box/{number}",
            user=f"u{rng.randrange(users)}",
            need=Need(gpus=rng.randint(0, 4), cpus=rng.randint(1, 16)),
            lasts_s=rng.uniform(1, 12) * HOUR_S,
            submitted_at=rng.uniform(0, days * 24 * HOUR_S),
            priority=rng.choice(("normal", "high")),
        )
        load.append(Arrival(job=job, runs_s=job.lasts_s * rng.uniform(0.3, 1)))
    victim = replace(
        load[0].job,
        job_id=1,
        user="victim",
        need=Need(gpus=gpus, cpus=cpus),
        submitted_at=HOUR_S,
        priority=priority,
    )
    started = simulate([*load, Arrival(job=victim, runs_s=HOUR_S)])
    assert started[1] < days * 24 * HOUR_S


def test_the_comparison_of_policies():
    """With a flood of small jobs beside it, a job of all GPUs waits no longer than a job may run."""
    found = {(figure.policy, figure.user): max(figure.hours) for figure in waits(flood_and_big())}
    assert found["ours", "big"] <= 6
    assert found["first come, first served", "big"] > 48
    assert found["first fit", "big"] > found["first come, first served", "big"]
    # which costs the flood next to nothing
    assert found["ours", "flood"] < 1.1 * found["first come, first served", "flood"]


@pytest.mark.parametrize("seed", range(3))
def test_two_users_with_the_same_load_wait_alike(seed):
    rng = random.Random(seed)
    load = []
    for number in range(1, 201):
        job = Waiting(
            job_id=number,
            title=f"box/{number}",
            user="ada" if number <= 100 else "grace",
            need=Need(gpus=1, cpus=1),
            lasts_s=HOUR_S,
            submitted_at=0.0,
        )
        load.append(Arrival(job=job, runs_s=HOUR_S * rng.uniform(0.5, 1)))
    started = simulate(load)
    half = [job_id for job_id, at in started.items() if at <= sorted(started.values())[99]]
    assert 40 <= sum(job_id <= 100 for job_id in half) <= 60
