"""What one kernel (or command) knows: the attachments, a client for each, its own jobs, its notebook."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError, BadRequest, Gone, NotFound, Unauthorized
from mlmagics.cluster.connecting import client_of
from mlmagics.cluster.folders import config_folder, local_home
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.names import LOCAL, unknown_cluster
from mlmagics.cluster.packages import KnownPackages
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import BadValue, ClusterError, UnknownCluster, UserError
from mlmagics.job.journal import Journal

if TYPE_CHECKING:
    from mlmagics.job.handle import Job


class Session:
    """One kernel's view of its clusters. Safe to use from several threads."""

    def __init__(self, store: AttachmentStore, local: LocalAgent, *, notebook: str = "") -> None:
        self.store = store
        self.local = local
        #: opaque id of the notebook, empty when there is none
        self.notebook = notebook
        self.journal = Journal(store.folder / "submits")
        #: what jobs find installed
        self.packages = KnownPackages(self)
        #: jobs that this kernel has submitted or looked at
        self.known: dict[tuple[str, int], Job] = {}
        self._submitted: Job | None = None
        self._named: Job | None = None
        #: the cluster whose project is this notebook's, by ``%attachments use``
        self.used: str | None = None
        #: options that cells of this kernel need not write, by cluster, by ``%NAME config``
        self.defaults: dict[str, list[str]] = {}
        self.closed = False
        self._clients: dict[str, tuple[object, AgentClient]] = {}
        #: clients of agents and tokens that were replaced since
        self._retired: list[AgentClient] = []
        self._lock = threading.Lock()

    def clusters(self) -> list[str]:
        """Names of the clusters a cell can be sent to."""
        return [*self.store.all(), LOCAL]

    def attachment(self, cluster: str) -> Attachment:
        """The attachment of ``cluster``; for ``local`` one as its agent stands now.

        Raises
        ------
        UnknownCluster
            With what exists, and the nearest name.
        """
        if cluster == LOCAL:
            return self.local.attachment()
        known = self.store.all()
        if cluster not in known:
            raise UnknownCluster(unknown_cluster(cluster, known), field="on")
        return known[cluster]

    def choose(self, on: str | None) -> str:
        """The cluster to submit to: ``on``, else the only one there is.

        Raises
        ------
        BadValue
            When there are several and none was named, or there is none of that name.
        """
        if on is not None:
            return self.attachment(on).name
        known = list(self.store.all())
        if len(known) > 1:
            raise BadValue(f"several clusters are attached, say which: {', '.join(known)}", field="on")
        return known[0] if known else LOCAL

    def use(self, cluster: str) -> None:
        """Make the project of ``cluster`` the one that ``project://`` means in this kernel."""
        self.used = self.attachment(cluster).name

    def client(self, cluster: str, *, start: bool = True) -> AgentClient:
        """A client of ``cluster``'s agent, kept for the next call.

        Parameters
        ----------
        cluster
            Name of an attachment, or ``local``.
        start
            Whether to start the agent of one's own when it does not run.

        Raises
        ------
        UserError
            When there is no such cluster, no token, or ``local`` cannot be started.
        """
        key: object
        if cluster == LOCAL:
            ready = self.local.ensure() if start else self.local.require()
            key = (ready.url, ready.socket, ready.pid)
            return self._kept(cluster, key, lambda: AgentClient(ready.url, uds=ready.socket))
        attachment = self.attachment(cluster)
        token = self.store.token(attachment)
        key = (attachment.url, attachment.ca, attachment.pin, attachment.own_only, token)
        return self._kept(cluster, key, lambda: client_of(attachment, token))

    def close(self) -> None:
        """Close all connections. Questions that are under way have no answer then."""
        self.closed = True
        with self._lock:
            clients = [*self._retired, *(client for _, client in self._clients.values())]
            self._retired, self._clients = [], {}
        for client in clients:
            client.close()

    def _kept(self, cluster: str, key: object, make: Callable[[], AgentClient]) -> AgentClient:
        with self._lock:
            kept = self._clients.get(cluster)
            if kept is not None and kept[0] == key:
                return kept[1]
            if kept is not None:
                # a thread may be following a job with it
                self._retired.append(kept[1])
            try:
                client = make()
            except ValueError as error:
                raise UserError(f"{cluster}: {error}", field="ca") from None
            self._clients[cluster] = (key, client)
            return client

    @property
    def last(self) -> Job | None:
        """The job that this kernel submitted last; the one it named last where it has submitted none."""
        return self._submitted or self._named

    def remember(self, job: Job, *, submitted: bool = False) -> Job:
        """``job``, or the handle that this kernel has for it already, brought up to date."""
        with self._lock:
            known = self.known.setdefault((job.cluster, job.job_id), job)
            known.info = job.info
            self._named = known
            if submitted:
                self._submitted = known
                known.notes = job.notes
            return known


@contextlib.contextmanager
def told(cluster: str, what: str = "") -> Iterator[None]:
    """Turn what an agent's client raises into one line for people that names the cluster.

    ``what`` names the job or thing that was asked for.
    """
    try:
        yield
    except AgentError as error:
        line = _line(error, cluster, what)
        raise ClusterError(
            line, cluster=cluster, code=error.code, field=error.field, nearest=error.nearest
        ) from None


def _line(error: AgentError, cluster: str, what: str) -> str:
    if isinstance(error, Unauthorized):
        return (
            f"{cluster} does not accept this token: ask whoever runs it for a new one, then "
            f"%attachments remove {cluster} and add it again"
        )
    if isinstance(error, NotFound) and what:
        return f"{cluster} has no {what} of yours"
    if isinstance(error, Gone) and what and not error.nearest:
        return f"{what} was on {cluster} and has been deleted"
    if isinstance(error, BadRequest) and error.field in _ASKED_FOR:
        asked = _ASKED_FOR[error.field]
        return (
            f"{cluster}: {error.message} (ask for less with {asked}, or see %attachments for another cluster)"
        )
    return f"{cluster}: {error.message}"


#: Options behind the fields of a request that only what a box has can refuse.
_ASKED_FOR = {"gpus": "--gpus", "cpus": "--cpus", "memory_bytes": "--memory"}


def notebook_id(shell_variables: dict[str, object] | None = None) -> str:
    """An opaque id of the notebook that this kernel belongs to; empty when it has none.

    JupyterLab tells a kernel its notebook by a variable of the environment, VS Code by one in the shell. It
    may be a path or a UUID, and is nobody else's business: only a hash of it leaves this machine.
    """
    name = os.environ.get("JPY_SESSION_NAME") or (shell_variables or {}).get("__vsc_ipynb_file__")
    if not isinstance(name, str) or not name:
        return ""
    return hashlib.sha256(f"mlmagics notebook {name}".encode()).hexdigest()[:16]


_current: tuple[int, Session] | None = None


@atexit.register
def _close() -> None:
    if _current is not None and _current[0] == os.getpid():
        _current[1].close()


def current() -> Session:
    """The session of this process. A forked child gets its own: connections cannot be shared."""
    global _current
    if _current is None or _current[0] != os.getpid():
        session = Session(
            AttachmentStore(config_folder()), LocalAgent(local_home()), notebook=notebook_id(_shell())
        )
        _current = (os.getpid(), session)
    return _current[1]


def _shell() -> dict[str, object]:
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return dict(shell.user_ns) if shell is not None else {}
