"""One question to all clusters at once, with a limit: a dead one costs its answer, not the others' time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

from cluster_agent.client import AgentClient
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import Session, told
from mlmagics.errors import ClusterError, UserError

#: Nobody waits longer than this for a list.
LIMIT_S = 2.0
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer(Generic[T]):
    """What one cluster said: ``value``, or ``problem`` where it said nothing of use."""

    cluster: str
    value: T | None = None
    problem: UserError | None = None
    #: seconds from question to answer
    seconds: float = 0.0


def ask_all(
    session: Session,
    question: Callable[[AgentClient], T],
    *,
    only: Collection[str] | None = None,
    limit_s: float = LIMIT_S,
    into: dict[str, Answer[T]] | None = None,
) -> list[Answer[T]]:
    """The answers of all attached clusters, or those in ``only``, in their order, then of ``local`` if it runs.

    Those that come later than ``limit_s`` find their way ``into`` a dictionary, by cluster, as all others do.
    """
    names = [*session.store.all()]
    if session.local.ready() is not None:
        names.append(LOCAL)
    names = [name for name in names if only is None or name in only]
    answers: dict[str, Answer[T]] = {} if into is None else into
    threads = [
        threading.Thread(
            target=_ask, args=(session, name, question, answers), name=f"mlmagics-ask-{name}", daemon=True
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    # a late answer must not change what is returned now
    given = dict(answers)
    late = ClusterError(f"no answer within {limit_s:g} s", cluster="", code="unreachable")
    found = [given.get(name, Answer(cluster=name, problem=late)) for name in names]
    return [answer for answer in found if answer.cluster != LOCAL or answer.value is not None]


def _ask(
    session: Session, cluster: str, question: Callable[[AgentClient], T], answers: dict[str, Answer[T]]
) -> None:
    try:
        client = session.client(cluster, start=False)
        with told(cluster):
            began = time.monotonic()
            value = question(client)
            seconds = time.monotonic() - began
    except RuntimeError:
        # connections that were closed meanwhile: nobody waits for this answer any more
        if not session.closed:
            raise
    except UserError as error:
        answers[cluster] = Answer(cluster=cluster, problem=error)
    else:
        answers[cluster] = Answer(cluster=cluster, value=value, seconds=seconds)
