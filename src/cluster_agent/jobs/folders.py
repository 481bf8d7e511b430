"""Job folders on disk: made for a job, and cleared of what must not stay. All blocking; called in threads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from cluster_agent.folder import JobFolder, sync_folder, write_durably
from cluster_agent.isolation.ids import Ids


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


def hand_over(folder: JobFolder, ids: Ids) -> None:
    """Give the folder of a job that is about to start to the keeper of its log, and to its user what is the user's.

    Again does nothing, also when the user's processes have been there meanwhile: nothing of theirs is touched.
    """
    for path in (folder.inputs, folder.values, folder.work):
        if path.exists() and path.lstat().st_uid != ids.uid:
            _give(path, ids.uid, ids.gid)
    if folder.log.exists():
        os.chown(folder.log, ids.keeper_uid, ids.keeper_gid)
    os.chown(folder.path, ids.keeper_uid, ids.keeper_gid)
    folder.path.chmod(0o711)


def _give(root: Path, uid: int, gid: int) -> None:
    """Give a folder that is still the agent's alone to a user; what is a link to a blob only to be read."""
    for place, _, names in os.walk(root):
        for name in names:
            path = Path(place, name)
            if path.stat().st_nlink > 1:
                path.chmod(0o444)  # it is reached by this way only
            else:
                os.chown(path, uid, gid)
        if Path(place) != root:
            os.chown(place, uid, gid)
    os.chown(root, uid, gid)


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
