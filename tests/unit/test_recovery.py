import itertools

import pytest

from cluster_agent.jobs.recovery import Facts, Finding, decide


def facts(**given):
    return Facts(
        **({"ended": False, "started": False, "intended": True, "alive": False, "locked": False} | given)
    )


@pytest.mark.parametrize(
    ("given", "finding"),
    [
        ({"ended": True, "started": True}, Finding.PROJECT),
        ({"ended": True}, Finding.PROJECT),
        ({"ended": True, "started": True, "locked": True, "alive": True}, Finding.ADOPT),
        ({"intended": False}, Finding.WAIT),
        ({"started": True, "alive": True, "locked": True}, Finding.ADOPT),
        ({"started": True}, Finding.LOSE),
        ({"started": True, "locked": True}, Finding.LOOK_AGAIN),
        ({"locked": True}, Finding.LOOK_AGAIN),
        ({}, Finding.QUEUE_AGAIN),
        ({"rebooted": True}, Finding.LOSE),
        ({"rebooted": True, "intended": False}, Finding.WAIT),
        ({"rebooted": True, "ended": True}, Finding.PROJECT),
    ],
)
def test_decide(given, finding):
    assert decide(facts(**given)) is finding


def test_a_job_that_may_have_run_is_never_started_again():
    for bits in itertools.product([False, True], repeat=5):
        found = Facts(**dict(zip(("ended", "started", "intended", "alive", "locked"), bits, strict=True)))
        if found.started or found.locked or found.ended:
            assert decide(found) is not Finding.QUEUE_AGAIN
