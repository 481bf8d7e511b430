"""Which differences between both sides matter for what is sent."""

import sys

import pytest

from cluster_agent.protocol import Packages, Runtime
from mlmagics.environments.skew import Sent, Side, compare, here

OURS = Side(
    python="3.13.1",
    cloudpickle="3.1.2",
    distributions={"numpy": "2.1.0", "pandas": "2.2.3", "scikit-learn": "1.5.1"},
)
CODE = Sent(code=("scale",))
FRAME = Sent(needs={"pandas": ("df",), "numpy": ("df", "x")})


def side(**changes):
    return Side(
        **{
            "python": OURS.python,
            "cloudpickle": OURS.cloudpickle,
            "distributions": OURS.distributions,
            **changes,
        }
    )


def versions(**changes):
    found = {**OURS.distributions, **{name.replace("_", "-"): version for name, version in changes.items()}}
    return side(distributions={name: version for name, version in found.items() if version})


@pytest.mark.parametrize(
    ("theirs", "sent", "expected"),
    [
        (side(), CODE, []),
        (side(python="3.13.9"), CODE, []),
        (side(python="3.12.9"), CODE, [("error", "python")]),
        (side(python="3.14.0rc1"), CODE, [("error", "python")]),
        (side(python="3.12.9"), FRAME, []),
        (side(python="3.12.9"), Sent(), []),
        (side(python="3.7.2"), FRAME, [("error", "python")]),
        (side(python="3.7.2"), Sent(), []),
        (Side(python="3.13.1", implementation="pypy"), CODE, [("error", "python")]),
        (side(cloudpickle="3.0.0"), CODE, []),
        (side(cloudpickle="2.2.1"), CODE, [("error", "cloudpickle")]),
        (side(cloudpickle="2.2.1"), FRAME, []),
        (side(cloudpickle=""), CODE, []),
        (versions(numpy="2.1.9"), FRAME, []),
        (versions(numpy="2.4.0"), FRAME, [("remark", "numpy")]),
        (versions(numpy="1.26.4"), FRAME, [("error", "numpy")]),
        (versions(numpy="1.26.4"), CODE, []),
        (versions(pandas="3.0.0"), FRAME, [("remark", "pandas")]),
        (versions(pandas="1.5.3"), FRAME, [("error", "pandas")]),
        (versions(pandas=""), FRAME, [("error", "missing")]),
        (
            versions(scikit_learn="1.7.0"),
            Sent(needs={"scikit-learn": ("model",)}),
            [("remark", "scikit-learn")],
        ),
        (
            versions(scikit_learn="2.0"),
            Sent(needs={"scikit-learn": ("model",)}),
            [("remark", "scikit-learn")],
        ),
        (versions(), Sent(needs={"mine": ("thing",)}), []),
    ],
)
def test_what_matters_is_an_error_and_the_rest_a_remark_at_most(theirs, sent, expected):
    found = compare(OURS, theirs, sent, cluster="gpu-box")
    assert [(item.level, item.code) for item in found] == expected
    assert all("gpu-box" in item.message and "\n" not in item.message for item in found)


def test_each_error_says_what_to_type():
    [missing] = compare(OURS, versions(pandas=""), FRAME, cluster="gpu-box")
    assert missing.message == 'df: pandas is not installed on gpu-box: add --with "pandas==2.2.3"'
    [other] = compare(OURS, versions(numpy="1.26.4"), FRAME, cluster="gpu-box")
    assert other.message.endswith('add --with "numpy==2.1.0"')
    runtimes = [
        Runtime(name="old", python="/p", python_version="3.12.4"),
        Runtime(name="new", python="/p", python_version="3.13.7"),
    ]
    [code] = compare(OURS, side(python="3.12.9"), CODE, cluster="gpu-box", runtimes=runtimes)
    assert code.message.endswith("here it is Python 3.13.1, on gpu-box Python 3.12.9; add --runtime new")
    [code] = compare(OURS, side(python="3.12.9"), CODE, cluster="gpu-box")
    assert "travels as source" in code.message


def test_what_the_job_gets_installed_is_not_compared():
    assert compare(OURS, versions(pandas=""), FRAME, cluster="gpu-box", asked={"pandas"}) == []


def test_the_sides_are_told_by_this_process_and_by_the_agent():
    ours = here(["pytest", "no-such-package"])
    assert ours.python == ".".join(map(str, sys.version_info[:3]))
    assert "pytest" in ours.distributions
    assert "no-such-package" not in ours.distributions
    there = Side.there(
        Packages(
            python="/p", version="3.11.9", modules={}, distributions={"numpy": "2.0"}, cloudpickle="3.1.0"
        )
    )
    assert (there.python, there.cloudpickle, there.distributions) == ("3.11.9", "3.1.0", {"numpy": "2.0"})
