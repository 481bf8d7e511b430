"""What the agent does about environments: it says whether it can build them, and orders those that jobs need."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cluster_agent.environments.base import Base, CannotProvide, EnvironmentOrder
from cluster_agent.environments.inspecting import NoInterpreter
from cluster_agent.environments.interpreters import Interpreters
from cluster_agent.environments.keeping import tidy
from cluster_agent.environments.locking import resolve
from cluster_agent.environments.reasons import START, explain, is_final
from cluster_agent.environments.settings import PackageSettings
from cluster_agent.environments.shelf import Shelf
from cluster_agent.environments.uv import Uv, UvFailed, find_uv, pip_settings, uv_variables
from cluster_agent.errors import BadRequest, Forbidden
from cluster_agent.folder import JobFolder
from cluster_agent.isolation.force import InForce
from cluster_agent.isolation.ids import Ids
from cluster_agent.isolation.rights import Rights, acting_with
from cluster_agent.jobs.records import JobRecord
from cluster_agent.protocol import KeptEnvironments, LockRequest, MadeLock

#: Locks that are made at once for those who are about to submit, and how long each may take.
_AT_ONCE, _LOCK_S = 2, 8.0
#: Shelves of users: this and the user's number.
_OF_USER = "user-"


class Provision:
    """Environments of the jobs of one agent.

    Parameters
    ----------
    keep_s
        How long an environment is kept after its last use.
    shelf
        Folder of the environments.
    environ
        The agent's own variables.
    force
        What keeps jobs apart.
    """

    def __init__(
        self,
        *,
        settings: PackageSettings,
        keep_s: float,
        shelf: Path,
        interpreters: Interpreters,
        environ: Mapping[str, str],
        force: InForce,
    ) -> None:
        self.settings = settings
        self._keep_s = keep_s
        self.shelf = Shelf(shelf)
        self._interpreters = interpreters
        self._environ = dict(environ)
        self._force = force
        self._asking = asyncio.Semaphore(_AT_ONCE)

    def uv(self) -> str | None:
        """The path of uv; None when this box has none, so that nothing can be built."""
        return find_uv(self.settings.uv, self._environ)

    async def order(self, record: JobRecord, folder: JobFolder) -> EnvironmentOrder | None:
        """What the supervisor of the job has to get ready; None for a job that needs nothing.

        Raises
        ------
        CannotProvide
            When that is not possible any more.
        """
        if not record.packages:
            return None
        uv = self.uv()
        if uv is None:
            raise CannotProvide("its environment cannot be built: uv is gone from this box")
        try:
            base = await self._interpreters.base(record.python, record.runtime)
        except NoInterpreter as error:
            raise CannotProvide(f"its environment cannot be built: {error}") from None
        try:
            ids = await asyncio.to_thread(self._force.ids, record.user)
        except Forbidden as error:
            raise CannotProvide(f"its environment cannot be built: {error.message}") from None
        shelf = await asyncio.to_thread(self._shelf_of, ids)
        lock = await asyncio.to_thread(_text, folder.lock)
        return EnvironmentOrder(
            base=base,
            packages=tuple(record.packages),
            lock=lock,
            shelf=shelf.folder,
            uv=uv,
            uv_variables=await asyncio.to_thread(self._variables_of, shelf, ids),
            timeout_s=self.settings.timeout_s,
        )

    def _shelf_of(self, ids: Ids | None) -> Shelf:
        """Where environments of jobs of a user are built: by that user's processes, so for nobody else."""
        if ids is None:
            return self.shelf
        folder = self.shelf.folder / f"{_OF_USER}{ids.uid}"
        if not folder.exists():
            folder.mkdir(mode=0o700)
            os.chown(folder, ids.uid, ids.gid)
        return Shelf(folder)

    def _variables_of(self, shelf: Shelf, ids: Ids | None) -> dict[str, str]:
        """All variables of uv, for a job."""
        found = uv_variables(self.settings, self._environ, shelf.cache, pip_settings(self._environ))
        if ids is not None:
            # the agent's own cache and settings are root's
            found |= {"HOME": ids.home, "USER": ids.name, "LOGNAME": ids.name}
            found["UV_CACHE_DIR"] = str(shelf.cache)
        elif self._force.bwrap:
            found["UV_NO_BUILD"] = "1"  # what builds itself is a program that no box holds
        return found

    async def lock(self, request: LockRequest, user: str) -> MadeLock:
        """The versions that a job of ``user`` with these packages would get now; none when only the job can find out.

        Raises
        ------
        BadRequest, NotFound
            When there is no such runtime, or nothing that could be installed.
        Forbidden
            When no job can run as that person.
        """
        interpreter = self._interpreters.find(request.runtime, request.python)
        uv = self.uv()
        if uv is None or not request.packages:
            return MadeLock()
        try:
            base = await self._interpreters.base(interpreter.python, request.runtime)
        except NoInterpreter as error:
            raise BadRequest(str(error), field="runtime") from None
        async with self._asking:
            return await asyncio.to_thread(self._lock, base, request.packages, uv, user)

    def _lock(self, base: Base, packages: Sequence[str], program: str, user: str) -> MadeLock:
        ids = self._force.ids(user)
        shelf = self._shelf_of(ids)
        rights = Rights.of(ids) if ids is not None else None
        # what people name is looked up with their own rights, files of this machine among it
        uv = Uv(program, self._variables_of(shelf, ids), limit_s=_LOCK_S, whose=rights)
        with acting_with(rights):
            return self._lock_on(shelf, base, packages, uv)

    def _lock_on(self, shelf: Shelf, base: Base, packages: Sequence[str], uv: Uv) -> MadeLock:
        try:
            lock, size = resolve(base, packages, uv, shelf.scratch(), may_build=False)
        except UvFailed as error:
            if is_final(str(error)):
                reason = explain(str(error), base, shelf.folder)
                raise BadRequest(reason.removeprefix(f"{START}: "), field="packages") from None
            return MadeLock()
        except OSError:
            return MadeLock()  # the disk: the submit tells
        return MadeLock(
            lock=lock.text,
            packages=[line.partition(" --hash=")[0] for line in lock.lines],
            size=size,
            built=shelf.card(lock.key(base)) is not None,
        )

    def tidy(self, now: float, dry_run: bool) -> KeptEnvironments:
        """Delete the environments that are too old or too much, or only tell which those are. Blocking."""
        program = self.uv()
        found = tidy(
            self.shelf,
            keep_s=self._keep_s,
            keep_bytes=self.settings.keep_bytes,
            now=now,
            uv=Uv(program, self.variables()) if program else None,
            dry_run=dry_run,
        )
        for shelf, rights in self._shelves_of_users():
            found = _sum(found, self._tidy_of(shelf, rights, now, dry_run))
        return found

    def _shelves_of_users(self) -> Iterator[tuple[Shelf, Rights]]:
        """Shelves of users, also of a time when jobs ran as these and now do not."""
        for folder in sorted(self.shelf.folder.glob(f"{_OF_USER}[0-9]*")):
            rights = Rights.of_owner(folder.lstat())
            if rights is not None and os.geteuid() == 0:
                yield Shelf(folder), rights

    def _tidy_of(self, shelf: Shelf, rights: Rights, now: float, dry_run: bool) -> KeptEnvironments:
        program, variables = self.uv(), {**self.variables(), "UV_CACHE_DIR": str(shelf.cache), "HOME": "/"}
        with acting_with(rights):
            return tidy(
                shelf,
                keep_s=self._keep_s,
                keep_bytes=self.settings.keep_bytes,
                now=now,
                uv=Uv(program, variables, whose=rights) if program else None,
                dry_run=dry_run,
            )

    def variables(self) -> dict[str, str]:
        """All variables of uv."""
        return uv_variables(self.settings, self._environ, self.shelf.cache, pip_settings(self._environ))


def _sum(one: KeptEnvironments, other: KeptEnvironments) -> KeptEnvironments:
    return KeptEnvironments(
        deleted=one.deleted + other.deleted,
        freed_bytes=one.freed_bytes + other.freed_bytes,
        kept=one.kept + other.kept,
        # what the first has counted lies around the others
        kept_bytes=max(0, one.kept_bytes - other.freed_bytes),
        keys=[*one.keys, *other.keys],
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
