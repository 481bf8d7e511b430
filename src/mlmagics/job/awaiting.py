"""``await job``: the waiting is done by a thread, so that the event loop of the kernel stays free."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from cluster_agent.protocol import State
from mlmagics.errors import JobFailed

if TYPE_CHECKING:
    from mlmagics.job.handle import Job


async def succeeded(job: Job) -> Job:
    """``job`` once it has succeeded. Cancelling the task ends the waiting only.

    Raises
    ------
    JobFailed
        When it ended in any other way.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()
    ended: asyncio.Future[JobFailed | None] = loop.create_future()

    def settle(failed: JobFailed | None, problem: Exception | None) -> None:
        if ended.done():
            return
        if problem:
            ended.set_exception(problem)
        else:
            ended.set_result(failed)

    def watch() -> None:
        failed, problem = None, None
        try:
            if job.wait_for_end(stop=stop) is not State.SUCCEEDED and not stop.is_set():
                failed = job.failure()
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            problem = error
        if not stop.is_set():
            loop.call_soon_threadsafe(settle, failed, problem)

    # a thread of its own: those of an executor would keep the interpreter from ending
    threading.Thread(target=watch, name=f"mlmagics-await-{job.ref}", daemon=True).start()
    try:
        failed = await ended
    finally:
        stop.set()
    if failed is not None:
        raise failed
    return job
