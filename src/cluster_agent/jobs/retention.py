"""Old jobs are deleted, as a whole: those that ended long ago, and the oldest while all take too much room.

A job is deleted in three steps, each of which can be the last before a crash: its folder is renamed into the
trash, its record is deleted, the trash is emptied. What an agent finds in the trash when it starts was being
deleted, so it goes on there. A job that has not ended, or that somebody reads at this moment, stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster_agent.errors import StorageFault
from cluster_agent.folder import JobFolder, sync_folder
from cluster_agent.jobs.past import Ended, Past
from cluster_agent.protocol import GcReport, KeptEnvironments

_log = logging.getLogger(__name__)
#: How many jobs are measured, looked at or deleted at a time.
_STEP = 100
_EVERY_S = 3600.0
#: Most that changes is no end of a job.
_MEASURE_S = 2.0
#: Where no job has ended for longer than both this and what jobs are kept for, the clock may be wrong, as after
#: a boot. It has an hour to be put right.
_QUIET_S, _DOUBT_S = 86400.0, 3600.0
#: A folder is made before its record, by less than that.
_ENTERING_S = 3600.0
#: How many ids a report names.
_NAMED = 1000

TidyEnvironments = Callable[[float, bool], KeptEnvironments]


class Readers:
    """Who reads which job at this moment."""

    def __init__(self) -> None:
        self._jobs: Counter[int] = Counter()

    def __contains__(self, job_id: int) -> bool:
        return self._jobs[job_id] > 0

    @contextmanager
    def reading(self, job_id: int) -> Iterator[None]:
        """Keeps the job while the block runs."""
        self._jobs[job_id] += 1
        try:
            yield
        finally:
            self._jobs[job_id] -= 1
            if not self._jobs[job_id]:
                del self._jobs[job_id]


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How long and how much is kept."""

    keep_s: float
    keep_bytes: int


def expired(oldest: Sequence[Ended], *, terms: Terms, over_bytes: int, now: float) -> list[Ended]:
    """Which of the oldest jobs are to be deleted, given that all take ``over_bytes`` too much. Pure."""
    found = []
    for job in oldest:
        if now - job.ended_at <= terms.keep_s and over_bytes <= 0:
            break
        found.append(job)
        over_bytes -= job.disk_bytes
    return found


class Retention:
    """Deletes what is too old or too much.

    Parameters
    ----------
    jobs
        Folder of the job folders.
    trash
        A folder on the same file system, for what is being deleted.
    busy
        Whether a job still holds something or is being read.
    collect_blobs
        Deletes the blobs that have neither a lease nor a job at a time; bytes of those that only have a lease.
    tidy_environments
        Deletes the environments that are too old at a time, or only tells which those are.
    """

    def __init__(
        self,
        *,
        past: Past,
        jobs: Path,
        trash: Path,
        terms: Terms,
        busy: Callable[[int], bool],
        collect_blobs: Callable[[float], int],
        tidy_environments: TidyEnvironments,
    ) -> None:
        self._past = past
        self._jobs, self._trash = jobs, trash
        self._terms = terms
        self._busy = busy
        self._collect_blobs = collect_blobs
        self._tidy_environments = tidy_environments
        self._lock = asyncio.Lock()
        self._stopped = False
        self._began = time.monotonic()
        self._wall_less_monotonic = time.time() - self._began
        #: what ended jobs take, and blobs that no job has, as the last look has found
        self.kept_bytes = 0

    async def run(self) -> None:
        """Tidy now and every hour, for ever."""
        while True:
            try:
                await self.tidy(careful=time.monotonic() - self._began < _DOUBT_S)
            except (OSError, StorageFault) as error:
                _log.error("old jobs cannot be deleted at present: %s", error)
            await asyncio.sleep(_EVERY_S)

    def stop(self) -> None:
        """Let a thread that deletes end after the job that it is at."""
        self._stopped = True

    async def tidy(self, *, dry_run: bool = False, careful: bool = False) -> GcReport:
        """Delete what has to go, or only tell what that is; ``careful`` as long as the clock is in doubt."""
        async with self._lock:
            if not dry_run:
                await self._empty_trash()
            await self._measure()
            now = await self._trusted_now() if careful else self._now()
            report = await self._delete(now, dry_run=dry_run)
            environments = await asyncio.to_thread(self._tidy_environments, now, dry_run)
            report = msgspec.structs.replace(report, environments=environments)
            if not dry_run:
                await asyncio.to_thread(self._move_to_trash, await self._orphans())
                await asyncio.to_thread(self._empty)
                blobs = await asyncio.to_thread(self._collect_blobs, self._now())
                self.kept_bytes = report.kept_bytes + blobs
            return report

    async def keep_measured(self, next_change: Callable[[], asyncio.Event]) -> None:
        """Count, for ever, what jobs take that have ended: some time after each change."""
        while True:
            await next_change().wait()
            await asyncio.sleep(_MEASURE_S)
            try:
                async with self._lock:
                    self.kept_bytes += await self._measure()
            except (OSError, StorageFault) as error:
                _log.error("ended jobs cannot be measured at present: %s", error)

    def _now(self) -> float:
        """The earlier of the times by the clock and by the clock as it was at the start.

        One that steps ahead a year must not empty the box, nor one that was a year ahead at the start.
        """
        return min(time.time(), self._wall_less_monotonic + time.monotonic())

    async def _trusted_now(self) -> float:
        """The time; that of the last end where it says that all jobs are old."""
        now, newest = self._now(), await self._past.newest_end()
        quiet_s = max(_QUIET_S, self._terms.keep_s)
        return now if newest is None or now - newest <= quiet_s else newest

    async def _delete(self, now: float, *, dry_run: bool) -> GcReport:
        kept = await self._past.kept()
        jobs = sum(share.jobs for share in kept.values())
        in_all = sum(share.disk_bytes for share in kept.values())
        gone: list[Ended] = []
        freed = 0
        last: Ended | None = None
        while oldest := await self._past.oldest(last, _STEP):
            over = in_all - freed - self._terms.keep_bytes
            chosen = expired(oldest, terms=self._terms, over_bytes=over, now=now)
            going = [job for job in chosen if not self._busy(job.job_id)]
            if not dry_run and going:
                await self._remove([job.job_id for job in going])
            gone += going
            freed += sum(job.disk_bytes for job in going)
            last = oldest[-1]
            if len(chosen) < len(oldest):
                break
        return GcReport(
            dry_run=dry_run,
            deleted=len(gone),
            freed_bytes=freed,
            kept=jobs - len(gone),
            kept_bytes=in_all - freed,
            job_ids=[job.job_id for job in gone[:_NAMED]],
        )

    async def _remove(self, job_ids: list[int]) -> None:
        await asyncio.to_thread(self._move_to_trash, job_ids)
        await self._past.forget(job_ids)
        await asyncio.to_thread(self._empty)

    async def _empty_trash(self) -> None:
        """Go on where an earlier agent was stopped."""
        job_ids = await asyncio.to_thread(_numbers, self._trash)
        if job_ids:
            await self._past.forget(job_ids)
            await asyncio.to_thread(self._empty)

    async def _measure(self) -> int:
        """Measure jobs that were not measured yet; what they take."""
        in_all = 0
        while job_ids := await self._past.unmeasured(_STEP):
            folders = [self._jobs / str(job_id) for job_id in job_ids]
            sizes = await asyncio.to_thread(_sizes, folders)
            await self._past.set_sizes(dict(zip(job_ids, sizes, strict=True)))
            in_all += sum(sizes)
        return in_all

    async def _orphans(self) -> list[int]:
        """Folders as old as a job may get that no record knows: of a database that was lost or restored."""
        found = await asyncio.to_thread(_numbers, self._jobs)
        orphans: list[int] = []
        for start in range(0, len(found), _STEP):
            some = found[start : start + _STEP]
            known = await self._past.known(some)
            orphans += [job_id for job_id in some if job_id not in known and not self._busy(job_id)]
        oldest = self._now() - max(self._terms.keep_s, _ENTERING_S)
        return await asyncio.to_thread(
            lambda: [i for i in orphans if _changed_at(self._jobs / str(i)) < oldest]
        )

    def _move_to_trash(self, job_ids: Sequence[int]) -> None:
        if not job_ids:
            return
        self._trash.mkdir(mode=0o700, exist_ok=True)
        for job_id in job_ids:
            try:
                (self._jobs / str(job_id)).rename(self._trash / str(job_id))
            except FileNotFoundError:
                continue  # somebody has deleted it by hand
        sync_folder(self._trash)
        sync_folder(self._jobs)

    def _empty(self) -> None:
        """Delete what is in the trash; what resists is tried again the next time."""
        for job_id in _numbers(self._trash):
            if self._stopped:
                return
            try:
                _delete_tree(self._trash / str(job_id))
            except OSError as error:
                _log.error("job %s cannot be deleted from disk: %s", job_id, error)


def disk_bytes(path: Path) -> int:
    """What the folder of a job takes on disk with all that it holds; 0 when there is none.

    Of a blob that other jobs have, too, a share.
    """
    total = 0
    shared = str(JobFolder(path).values)
    for folder, _, names in os.walk(path):
        for name in (".", *names):
            try:
                status = Path(folder, name).lstat()
            except OSError:
                continue  # it has just gone
            # one of the links is that of the blob itself
            jobs = max(1, status.st_nlink - 1) if folder == shared and name != "." else 1
            total += status.st_blocks * 512 // jobs
    return total


def _sizes(folders: Sequence[Path]) -> list[int]:
    return [disk_bytes(folder) for folder in folders]


def _numbers(folder: Path) -> list[int]:
    try:
        with os.scandir(folder) as entries:
            return sorted(int(entry.name) for entry in entries if entry.name.isdigit())
    except FileNotFoundError:
        return []


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _delete_tree(path: Path) -> None:
    """Delete a folder, also where the job has taken rights away from its own folders."""
    if os.geteuid() == 0:
        # needs no rights, and would be led astray by a link that takes a folder's place between two calls
        shutil.rmtree(path)
        return
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(path)
