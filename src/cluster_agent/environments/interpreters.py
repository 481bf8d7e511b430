"""The interpreters in which jobs of this agent may run, and what each of them has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster_agent.environments.base import Base, fingerprint
from cluster_agent.environments.inspecting import Inspector, NoInterpreter, Told
from cluster_agent.environments.settings import RuntimeSettings
from cluster_agent.errors import BadRequest, NotFound
from cluster_agent.protocol import Packages, Runtime
from cluster_agent.supervisor.environment import build_variables


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of the box, and the variables that ops have set for its jobs."""

    python: str
    env: Mapping[str, str]


class Interpreters:
    """The agent's default Python, the runtimes, and for an agent of one's own whatever its caller names.

    Parameters
    ----------
    any_python
        Whether callers may name an interpreter.
    kit
        Folder of the job's side, which is on the path of every job.
    """

    def __init__(
        self,
        *,
        python: str,
        env: Mapping[str, str],
        runtimes: Mapping[str, RuntimeSettings],
        any_python: bool,
        kit: Path,
    ) -> None:
        self._default = Interpreter(python, env)
        self._runtimes = runtimes
        self._env = env
        self._any_python = any_python
        self._kit = kit
        self._inspector = Inspector(kit)
        self._remarks: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def find(self, runtime: str, python: str | None = None) -> Interpreter:
        """The interpreter of a job that names ``runtime``, or that ``python``; the agent's default for neither.

        Raises
        ------
        NotFound, BadRequest
            When there is no such runtime, it cannot be used, or the caller may not choose.
        """
        if python and not self._any_python:
            raise BadRequest("this agent decides which Python its jobs use", field="python")
        if not runtime:
            return Interpreter(python, self._env) if python else self._default
        if runtime not in self._runtimes:
            known = ", ".join(self._runtimes)
            there = f"there is {known}" if known else "none has been defined"
            raise NotFound(f"there is no runtime {runtime[:50]!r} here; {there}", field="runtime")
        return Interpreter(self._runtimes[runtime].python, self.env_of(runtime))

    async def base(self, python: str, runtime: str) -> Base:
        """The interpreter ``python`` of the job of a ``runtime``, for an environment on top of it.

        Raises
        ------
        NoInterpreter
            When it cannot be started.
        """
        told = await self._told(Interpreter(python, self.env_of(runtime)))
        return Base(
            python=python,
            version=told.version,
            folders=tuple(told.site),
            fingerprint=fingerprint(told.distributions),
        )

    def env_of(self, runtime: str) -> Mapping[str, str]:
        """The variables that ops have set for jobs of ``runtime``; those for all where there is none of that name."""
        settings = self._runtimes.get(runtime)
        return {**self._env, **settings.env} if settings else self._env

    async def _told(self, interpreter: Interpreter) -> Told:
        return await self._inspector.told(interpreter.python, self._variables(interpreter))

    async def packages(self, runtime: str, python: str | None = None) -> Packages:
        """The same as it is told to clients; arguments and errors as those of :meth:`find`."""
        interpreter = self.find(runtime, python)
        try:
            return await self._inspector.packages(interpreter.python, self._variables(interpreter))
        except NoInterpreter as error:
            raise BadRequest(str(error), field="runtime" if runtime else "python") from None

    async def look(self) -> None:
        """Learn which Python each runtime has; one that cannot be started is told to whoever asks."""
        for name in self._runtimes:
            try:
                told = await self._told(self.find(name))
                self._versions[name] = told.version
                self._remarks.pop(name, None)
            except NoInterpreter as error:
                self._remarks[name] = str(error)

    def describe(self) -> list[Runtime]:
        """The runtimes."""
        return [
            Runtime(
                name=settings.name,
                python=settings.python,
                python_version=self._versions.get(settings.name, ""),
                description=settings.description,
                remark=self._remarks.get(settings.name, ""),
            )
            for settings in self._runtimes.values()
        ]

    def _variables(self, interpreter: Interpreter) -> dict[str, str]:
        ours = {"PYTHONPATH": str(self._kit)}
        return build_variables(os.environ, interpreter.env, {}, ours, interpreter.python)
