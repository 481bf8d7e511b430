"""Functions as the source of a job."""

import functools
import math
import os

import pytest

from mlmagics.errors import BadCell
from mlmagics.job.functions import source_of

BATCH = 3


def train(rounds=2, *rest, **more):
    """Says how far it is."""
    import json

    def inner(n):
        return n * rounds

    return json.dumps([inner(n) for n in range(rounds)])


async def asks():
    return 41


def recursive(n=3):
    return 1 if n == 0 else n * recursive(n - 1)


def run(source):
    space = {}
    *head, last = source.rstrip().split("\n")
    exec("\n".join(head), space)
    return eval(last, space)


def test_a_function_that_needs_nothing_is_its_text_and_a_call():
    source = source_of(train)
    assert source.startswith("def train(")
    assert source.endswith("\n\n\ntrain()\n")
    assert run(source) == "[0, 2]"
    assert run(source_of(recursive)) == 6


def test_a_coroutine_is_awaited():
    assert source_of(asks).endswith("\nawait asks()\n")


def test_a_function_of_a_class_or_a_block_loses_its_indent():
    if True:

        def nested():
            return 7

    assert run(source_of(nested)) == 7


def uses_here():
    return math.sqrt(BATCH)


def test_what_it_needs_from_here_is_named():
    with pytest.raises(BadCell, match=r"uses_here\(\) uses BATCH, math from here.*inside the function"):
        source_of(uses_here)
    local = 3

    def closure():
        return local

    with pytest.raises(BadCell, match=r"closure\(\) uses local from here"):
        source_of(closure)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: 1, "made by def"),
        (len, "made by def"),
        (functools.partial(train), "made by def"),
        (os.path.join, "needs a"),
        (functools.wraps(train)(lambda: 1), "has a decorator"),
    ],
)
def test_what_is_no_plain_function_is_refused(function, said):
    with pytest.raises(BadCell, match=said):
        source_of(function)


def test_a_decorator_and_a_missing_source_are_told():
    space = {}
    exec(compile("def made():\n    return 1", "<nowhere>", "exec"), space)
    with pytest.raises(BadCell, match=r"the source of made\(\) cannot be found"):
        source_of(space["made"])

    @functools.cache
    def kept():
        return 1

    with pytest.raises(BadCell, match=r"has a decorator|made by def"):
        source_of(kept)
    with pytest.raises(BadCell, match=r"kept\(\) has a decorator"):
        source_of(kept.__wrapped__)
