import pytest

from cluster_agent.errors import AgentError, BadRequest, NotFound, TooLarge
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.submit import Policy, body_digest, check, make_record, resolve_need
from cluster_agent.protocol import Limits, State, Submit

GIB = 2**30
POLICY = Policy(
    total=Need(gpus=4, cpus=32, memory_bytes=256 * GIB),
    default_gpus=1,
    default_timeout_s=14400,
    max_grace_s=600,
    projects=["default"],
    python="/usr/bin/python3",
    any_python=False,
)
LIMITS = Limits(timeout_s=86400)


def test_defaults_are_the_share_of_the_box_for_each_gpu():
    assert resolve_need(Submit(source="1"), POLICY, LIMITS) == Need(gpus=1, cpus=8, memory_bytes=64 * GIB)
    assert resolve_need(Submit(source="1", gpus=2), POLICY, LIMITS) == Need(
        gpus=2, cpus=16, memory_bytes=128 * GIB
    )
    assert resolve_need(Submit(source="1", gpus=0), POLICY, LIMITS) == Need(
        gpus=0, cpus=1, memory_bytes=2 * GIB
    )


def test_make_record_decides_everything():
    record = make_record(
        Submit(source="1", env={"B": "2", "A": "1"}),
        POLICY,
        LIMITS,
        user="ada",
        role="user",
        key="k",
        log_tag="ab",
        now=5.0,
    )
    assert (record.user, record.role, record.state, record.timeout_s) == ("ada", "user", State.QUEUED, 14400)
    assert record.env_names == ["A", "B"]
    assert record.python == "/usr/bin/python3"


def test_body_digest_tells_bodies_apart_and_not_the_order_of_their_variables():
    one = Submit(source="1", env={"A": "1", "B": "2"})
    assert body_digest(one) == body_digest(Submit(source="1", env={"B": "2", "A": "1"}))
    assert body_digest(one) != body_digest(Submit(source="1", env={"A": "1", "B": "3"}))


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        (Submit(source=" \n"), BadRequest, "source"),
        (Submit(source="a\0b"), BadRequest, "source"),
        (Submit(source="x" * (2**20 + 1)), TooLarge, "source"),
        (Submit(source="ü" * 2**20), TooLarge, "source"),
        (Submit(source="1", name="n" * 201), BadRequest, "name"),
        (Submit(source="1", name="\x1b[31mred"), BadRequest, "name"),
        (Submit(source="1", retry_of=2**63), BadRequest, "retry_of"),
        (Submit(source="1", project="other"), NotFound, "project"),
        (Submit(source="1", python="/x"), BadRequest, "python"),
        (Submit(source="1", gpus=5), BadRequest, "gpus"),
        (Submit(source="1", gpus=-1), BadRequest, "gpus"),
        (Submit(source="1", cpus=0), BadRequest, "cpus"),
        (Submit(source="1", cpus=33), BadRequest, "cpus"),
        (Submit(source="1", memory_bytes=257 * GIB), BadRequest, "memory_bytes"),
        (Submit(source="1", timeout_s=86401), BadRequest, "timeout_s"),
        (Submit(source="1", timeout_s=0), BadRequest, "timeout_s"),
        (Submit(source="1", grace_s=601), BadRequest, "grace_s"),
        (Submit(source="1", env={"1A": "x"}), BadRequest, "env"),
        (Submit(source="1", env={"A": "x\0"}), BadRequest, "env"),
        (Submit(source="1", env={"CUDA_VISIBLE_DEVICES": "0"}), BadRequest, "env"),
    ],
)
def test_check_names_the_field(body, error, field):
    with pytest.raises(AgentError) as caught:
        check(body, POLICY, LIMITS)
    assert type(caught.value) is error
    assert caught.value.field == field


def test_check_never_repeats_the_value_of_a_variable():
    with pytest.raises(BadRequest) as caught:
        check(Submit(source="1", env={"KEY": "s3cret\0"}), POLICY, LIMITS)
    assert "s3cret" not in caught.value.message


def test_limits_of_the_user_are_named():
    limits = Limits(gpus=1, timeout_s=3600, priority="low")
    for body, field, message in [
        (Submit(source="1", gpus=2, priority="low"), "gpus", "2 GPUs: your limit is 1 at once"),
        (Submit(source="1", timeout_s=3601, priority="low"), "timeout_s", "at most 1 h for you"),
        (Submit(source="1"), "priority", "normal is above your limit, which is low"),
    ]:
        with pytest.raises(BadRequest, match=message) as caught:
            check(body, POLICY, limits)
        assert caught.value.field == field


def test_defaults_stay_within_the_limits_of_the_user():
    limits = Limits(gpus=0, timeout_s=3600)
    record = make_record(
        Submit(source="1"), POLICY, limits, user="ada", role="user", key="k", log_tag="ab", now=5.0
    )
    assert (record.gpus, record.timeout_s) == (0, 3600)
