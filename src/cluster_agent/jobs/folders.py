"""Job folders on disk: made for a job, and cleared of what must not stay. All blocking; called in threads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from cluster_agent.folder import JobFolder, sync_folder, write_durably


def make_folder(folder: JobFolder, env: Mapping[str, str], lock: str, lay_inputs: Callable[[], None]) -> None:
    """Make the folder of a job, with its variables and its lock; nothing of it is left when the disk refuses."""
    try:
        folder.work.mkdir(mode=0o700, parents=True)
        lay_inputs()
        if env:
            write_durably(folder.env, msgspec.json.encode(env))
        if lock:
            write_durably(folder.lock, lock.encode())
        sync_folder(folder.path.parent)
    except OSError:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


def forget_variables(jobs: Path, waiting: Collection[int], ended: Collection[int]) -> None:
    """Delete the values of ``--env`` of jobs that do not wait: a killed agent had no time to.

    Those of ``ended`` jobs were deleted before their end was recorded; there are too many to look again.
    """
    with os.scandir(jobs) as entries:
        found = [int(entry.name) for entry in entries if entry.name.isdigit()]
    for job_id in found:
        if job_id not in ended:
            folder = JobFolder(jobs / str(job_id))
            new = folder.env.with_name(f".{folder.env.name}.new")
            for path in (new,) if job_id in waiting else (folder.env, new):
                path.unlink(missing_ok=True)
