"""What jobs find installed on a cluster, asked once for each kernel and again when it matters."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from cluster_agent.errors import AgentError
from cluster_agent.protocol import Packages
from mlmagics.cluster.names import LOCAL
from mlmagics.errors import BadValue

if TYPE_CHECKING:
    from mlmagics.cluster.session import Session


class KnownPackages:
    """The packages of one session's clusters. Safe to use from several threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[str, str], Packages] = {}
        self._guard = threading.Lock()

    def of(self, cluster: str, runtime: str = "", *, fresh: bool = False) -> Packages | None:
        """What a job finds on ``cluster``, in its default Python or in ``runtime``; None when it cannot be told.

        Parameters
        ----------
        fresh
            Ask again, because something may have been installed meanwhile: before it is said that something is
            missing.

        Raises
        ------
        BadValue
            When there is no such runtime, or no job can use it.
        """
        key = (cluster, runtime)
        if not fresh:
            with self._guard:
                if key in self._known:
                    return self._known[key]
        try:
            found = self._ask(cluster, runtime)
        except AgentError as error:
            if runtime and error.field == "runtime":
                raise BadValue(f"{cluster}: {error.message}", field="runtime") from None
            return None  # an older agent, or none at all: whoever submits will be told
        with self._guard:
            self._known[key] = found
        return found

    def _ask(self, cluster: str, runtime: str) -> Packages:
        # jobs of an agent of one's own run in the interpreter of whoever submits them
        python = sys.executable if cluster == LOCAL and not runtime else ""
        return self._session.client(cluster).packages(runtime, python)
