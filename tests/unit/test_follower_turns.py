"""Whose turn it is among many who read logs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cluster_agent.server.reading import Reading

MANY, EACH = 200, 5


async def _watched(act: Callable[[], Awaitable[None]], turns: list[int]) -> int:
    """The most turns between two looks at everything else, while ``act`` goes on."""
    work = asyncio.ensure_future(act())
    most = before = 0
    while not work.done():
        await asyncio.sleep(0)
        most, before = max(most, len(turns) - before), len(turns)
    await work
    return most


def test_among_many_followers_others_come_between_a_few_turns() -> None:
    async def main() -> None:
        reading, turns = Reading(), list[int]()

        async def follow(number: int) -> None:
            for _ in range(EACH):
                await reading.turn()
                turns.append(number)
                await asyncio.sleep(0)  # as when something is sent

        async def all_of_them() -> None:
            await asyncio.gather(*map(follow, range(MANY)))

        assert await _watched(all_of_them, turns) <= 16
        # in turn: nobody has a second one before each has had a first
        rounds = [sorted(turns[at : at + MANY]) for at in range(0, MANY * EACH, MANY)]
        assert rounds == [list(range(MANY))] * EACH

    asyncio.run(main())


def test_few_followers_wait_for_nobody() -> None:
    async def main() -> None:
        reading = Reading()
        for _ in range(16):
            assert _goes_on(reading.turn())
        assert not _goes_on(reading.turn())
        await asyncio.sleep(0)
        assert _goes_on(reading.turn())

    asyncio.run(main())


def test_who_has_left_takes_no_turn_from_others() -> None:
    async def main() -> None:
        reading = Reading()
        tasks = [asyncio.ensure_future(reading.turn()) for _ in range(MANY)]
        await asyncio.sleep(0)
        for task in tasks[16:-16]:
            task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert all(task.done() for task in tasks)
        assert not any(task.cancelled() for task in tasks[-16:])

    asyncio.run(main())


def _goes_on(turn: Awaitable[None]) -> bool:
    """Whether it is there at once."""
    waiting = turn.__await__()
    try:
        next(waiting)
    except StopIteration:
        return True
    return False
