"""Locks: exactly which packages a job gets, chosen before it is sent, so that what cannot be is told at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cluster_agent.errors import AgentError, BadRequest, NotFound
from cluster_agent.protocol import Submit
from mlmagics.cluster.names import LOCAL
from mlmagics.environments.wanted import Wanted, check_python
from mlmagics.errors import BadValue

if TYPE_CHECKING:
    from mlmagics.cluster.session import Session


def check_needs(needs: Wanted, session: Session, cluster: str, runtime: str) -> None:
    """Nothing, when the Python of the job is one that the cell runs in.

    Raises
    ------
    BadValue
        When it needs another one, or there is no such runtime.
    """
    if not needs.requires_python:
        return
    there = session.packages.of(cluster, runtime)
    if there is None:
        return  # whoever sends will be told that nobody answers
    try:
        runtimes = session.client(cluster).info().runtimes
    except AgentError:
        runtimes = []
    check_python(needs, there.version, cluster, runtimes)


def made_lock(session: Session, cluster: str, request: Submit) -> str:
    """The text of a lock for what ``request`` asks for; empty when only the job can find out.

    Raises
    ------
    BadValue
        When there is nothing that could be installed.
    """
    python = sys.executable if cluster == LOCAL and not request.runtime else ""
    try:
        return session.client(cluster).make_lock(request.packages, request.runtime, python).lock
    except (BadRequest, NotFound) as error:
        if error.field in ("packages", "runtime"):
            raise BadValue(f"{cluster}: {error.message}", field=error.field) from None
        return ""
    except AgentError:
        return ""  # an older agent, or none that answers: the submit tells
