"""What the agent does about environments: it says whether it can build them, and orders those that jobs need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
from cluster_agent.errors import BadRequest
from cluster_agent.folder import JobFolder
from cluster_agent.jobs.records import JobRecord
from cluster_agent.protocol import KeptEnvironments, LockRequest, MadeLock

#: Locks that are made at once for those who are about to submit, and how long each may take.
_AT_ONCE, _LOCK_S = 2, 8.0


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
    """

    def __init__(
        self,
        *,
        settings: PackageSettings,
        keep_s: float,
        shelf: Path,
        interpreters: Interpreters,
        environ: Mapping[str, str],
    ) -> None:
        self.settings = settings
        self._keep_s = keep_s
        self.shelf = Shelf(shelf)
        self._interpreters = interpreters
        self._environ = dict(environ)
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
        lock = await asyncio.to_thread(_text, folder.lock)
        return EnvironmentOrder(
            base=base,
            packages=tuple(record.packages),
            lock=lock,
            shelf=self.shelf.folder,
            uv=uv,
            uv_variables=await asyncio.to_thread(self.variables),
            timeout_s=self.settings.timeout_s,
        )

    async def lock(self, request: LockRequest) -> MadeLock:
        """The versions that a job with these packages would get now; none when only the job can find out.

        Raises
        ------
        BadRequest, NotFound
            When there is no such runtime, or nothing that could be installed.
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
            return await asyncio.to_thread(self._lock, base, request.packages, uv)

    def _lock(self, base: Base, packages: Sequence[str], program: str) -> MadeLock:
        try:
            uv = Uv(program, self.variables(), limit_s=_LOCK_S)
            lock, size = resolve(base, packages, uv, self.shelf.scratch(), may_build=False)
        except UvFailed as error:
            if is_final(str(error)):
                reason = explain(str(error), base, self.shelf.folder)
                raise BadRequest(reason.removeprefix(f"{START}: "), field="packages") from None
            return MadeLock()
        except OSError:
            return MadeLock()  # the disk: the submit tells
        return MadeLock(
            lock=lock.text,
            packages=[line.partition(" --hash=")[0] for line in lock.lines],
            size=size,
            built=self.shelf.card(lock.key(base)) is not None,
        )

    def tidy(self, now: float, dry_run: bool) -> KeptEnvironments:
        """Delete the environments that are too old or too much, or only tell which those are. Blocking."""
        program = self.uv()
        return tidy(
            self.shelf,
            keep_s=self._keep_s,
            keep_bytes=self.settings.keep_bytes,
            now=now,
            uv=Uv(program, self.variables()) if program else None,
            dry_run=dry_run,
        )

    def variables(self) -> dict[str, str]:
        """All variables of uv."""
        return uv_variables(self.settings, self._environ, self.shelf.cache, pip_settings(self._environ))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
