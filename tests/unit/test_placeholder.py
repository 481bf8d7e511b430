"""What stands for a value that is not here yet."""

import copy
import functools
import json
import operator
import pickle

import pytest

from mlmagics.magics.awaited import NotHereYet, Placeholder


@pytest.fixture
def m():
    return Placeholder("m", "gpu-box/42")


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.predict,
        lambda m: m(),
        lambda m: m[0],
        lambda m: m + 1,
        lambda m: 1 + m,
        lambda m: m == 1,
        lambda m: m != 1,
        lambda m: m < 1,
        lambda m: -m,
        bool,
        len,
        lambda m: [*m],
        lambda m: 1 in m,
        float,
        int,
        lambda m: [0][m],
        lambda m: {**m},
        lambda m: operator.setitem(m, 0, 1),
        lambda m: setattr(m, "x", 1),
        lambda m: functools.reduce(operator.add, [m, m]),
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
    ],
)
def test_every_use_says_that_it_is_not_here_yet(m, use):
    with pytest.raises((NotHereYet, TypeError)) as caught:
        use(m)
    assert isinstance(caught.value, NotHereYet) or "mapping" in str(caught.value)


def test_json_does_not_take_it_for_a_value(m):
    with pytest.raises(TypeError):
        json.dumps(m)


def test_numpy_does_not_take_it_for_a_value(m):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(NotHereYet):
        numpy.asarray(m)


def test_a_front_end_can_list_it(m):
    assert repr(m) == str(m) == f"{m}" == "<m: not here yet, gpu-box/42 makes it>"
    assert not hasattr(m, "_repr_html_")
    assert not isinstance(m, dict)
    assert m in {m: 1}
    assert "__class__" in dir(m)


def test_the_line_says_what_to_do(m):
    with pytest.raises(NotHereYet, match=r"gpu-box/42 makes it.*put m into a line of its own first"):
        m.predict()
