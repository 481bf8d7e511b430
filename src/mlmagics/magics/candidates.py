"""What Tab offers of jobs, results and projects: what this kernel knows, and what agents say within a blink."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from cluster_agent.client import AgentClient
from cluster_agent.protocol import ACTIVE, Runtime, word
from cluster_agent.protocol import Job as JobInfo
from mlmagics.cluster.asking import Answer, ask_all
from mlmagics.cluster.session import current
from mlmagics.environments.runtimes import runtime_words

#: Nobody waits longer for a list that opens while one types.
LIMIT_S = 0.3
#: Answers, and their absence, are good for so long.
_FRESH_S = 5.0
_LAST = 30
T = TypeVar("T")


class Candidates:
    """Asks each cluster at most every few seconds. One that is slow costs a blink; what it says then is for the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at: dict[tuple[str, str], float] = {}
        self._answers: dict[str, dict[str, Answer[Any]]] = {}

    def jobs(self, typed: str, *, active_first: bool) -> list[tuple[str, str]]:
        """References of jobs and what each is, the newest first; of one cluster when ``typed`` has it already."""
        session = current()
        cluster, slash, _ = typed.partition("/")
        found = {job.ref: job.info for job in [*session.known.values()]}
        names = [cluster] if slash else [name for name in session.clusters() if name.startswith(typed)]
        for name, infos in self._ask("jobs", names, _jobs).items():
            found.update({f"{name}/{info.job_id}": info for info in infos})

        def order(ref: str) -> tuple[bool, float]:
            info = found[ref]
            return active_first and info.state not in ACTIVE, -info.submitted_at

        return [(ref, _told(found[ref])) for ref in sorted(found, key=order)]

    def results(self, ref: str) -> list[tuple[str, str]]:
        """Names of the results that the job ``ref`` has, and what each is."""
        cluster, _, number = ref.partition("/")
        if not number.isdecimal():
            return []
        job_id = int(number)
        answers = self._ask(f"results {job_id}", [cluster], lambda client: client.results(job_id))
        return [(entry.name, entry.kind) for entry in answers.get(cluster, []) if entry.format]

    def projects(self, cluster: str | None) -> list[str]:
        """Names of the projects of ``cluster``."""
        answers = self._ask("projects", [cluster] if cluster else [], _projects)
        return answers.get(cluster or "", [])

    def runtimes(self, cluster: str | None) -> list[tuple[str, str]]:
        """Names of the interpreters of ``cluster`` that a job may ask for, and what each is."""
        answers = self._ask("runtimes", [cluster] if cluster else [], _runtimes)
        return [(item.name, runtime_words(item)) for item in answers.get(cluster or "", [])]

    def _ask(
        self, what: str, clusters: list[str], question: Callable[[AgentClient], list[T]]
    ) -> dict[str, list[T]]:
        now, known = self._clock(), self._answers.setdefault(what, {})
        stale = [name for name in clusters if now - self._asked_at.get((what, name), -_FRESH_S) >= _FRESH_S]
        if stale:
            self._asked_at.update(dict.fromkeys(((what, name) for name in stale), now))
            ask_all(current(), question, only=stale, limit_s=LIMIT_S, into=known)
        found = {name: known[name].value for name in clusters if name in known}
        return {name: value for name, value in found.items() if value is not None}


def _jobs(client: AgentClient) -> list[JobInfo]:
    return client.jobs(user="me", limit=_LAST).jobs


def _projects(client: AgentClient) -> list[str]:
    return [project.name for project in client.info().projects]


def _runtimes(client: AgentClient) -> list[Runtime]:
    return client.info().runtimes


def _told(info: JobInfo) -> str:
    return f"{word(info.state, stopping=info.stopping)} {info.name}".rstrip()
