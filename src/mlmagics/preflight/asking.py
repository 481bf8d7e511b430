"""The checks of a cell that is about to be sent: with this kernel's variables and files, and what its cluster answers."""

from __future__ import annotations

import dataclasses
import time
import weakref
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError, NotFound
from cluster_agent.protocol import ACTIVE, Info, Inputs, Packages, Submit
from mlmagics.cluster.names import LOCAL
from mlmagics.errors import UserError
from mlmagics.preflight.checking import check, refuse, remarks
from mlmagics.preflight.finding import Finding
from mlmagics.preflight.here import here
from mlmagics.preflight.resources import asks, check_resources
from mlmagics.preflight.secrecy import check_secrets
from mlmagics.preflight.target import Target

if TYPE_CHECKING:
    from mlmagics.cluster.session import Session
    from mlmagics.cluster.store import Attachment
    from mlmagics.sending.choosing import Luggage

#: how long the size of a cluster is believed
_INFO_S = 60.0
#: how many files of the project are asked for
_FILES = 5

#: what is told once in a kernel
_ONCE = frozenset({"module_version", "value_skew", "agent_version"})

_infos: weakref.WeakKeyDictionary[AgentClient, tuple[float, Info]] = weakref.WeakKeyDictionary()
_told: weakref.WeakKeyDictionary[Session, set[str]] = weakref.WeakKeyDictionary()


def look_at(
    session: Session, attachment: Attachment, request: Submit, luggage: Luggage, again: Inputs | None = None
) -> list[str]:
    """The lines to show with the job of ``request``, which may be sent.

    Parameters
    ----------
    luggage
        What travels with it.
    again
        What travels in its place, as it did with the job that this one repeats.

    Raises
    ------
    BadCell
        When the job would surely fail, or give a secret away; with what to type.
    """
    names, modules = set(luggage.names), {module.partition(".")[0] for module in luggage.modules}
    if again is not None:
        names = {part.name for part in again.sources} | {part.name for part in again.values}
        modules = {file.path.partition("/")[0].removesuffix(".py") for file in again.files}
    asking = _Asking(session, attachment, request, modules)
    at_hand = dataclasses.replace(here(), names=luggage.space, has_module=_is_local(luggage))
    found = [
        *check_secrets(request, [part.text for part in luggage.definitions.values()]),
        # an agent says itself what it never has, but only when what goes ahead has arrived
        *(asking.resources() if luggage.values else ()),
        *check(request.source, sent={*names, *request.params}, here=at_hand, target=asking.target()),
    ]
    refuse(found, attachment.name)
    return remarks(new_ones(session, attachment.name, found))


def _is_local(luggage: Luggage) -> Callable[[str], bool]:
    # `mlmagics run` does not look for modules beside its files, but they are what is meant
    return lambda name: luggage.local.has(name) or here().exists(f"{name}.py")


class _Asking:
    """What is asked of a cluster about one request: nothing before it is needed, and nothing that must be answered."""

    def __init__(
        self, session: Session, attachment: Attachment, request: Submit, sent_modules: Collection[str]
    ) -> None:
        self._session = session
        self._cluster = attachment.name
        self._attachment = attachment
        self._request = request
        self._sent_modules = sent_modules
        self._files = 0
        #: whether it has left a question unanswered: one wait for a box that is away is enough
        self._silent = False

    def target(self) -> Target:
        """What is known of the cluster, and how to know more."""
        request, own = self._request, self._cluster == LOCAL and not self._request.runtime
        return Target(
            cluster=self._cluster,
            python=self._python(),
            own_python=own,
            ask_packages=self._packages,
            more_packages=bool(request.packages),
            project_has=self._project_has,
            sent_modules=self._sent_modules,
            busy=any(
                job.cluster == self._cluster and job.info.state in ACTIVE
                for job in list(self._session.known.values())
            ),
        )

    def resources(self) -> list[Finding]:
        """What is said about the resources; a cluster that has grown is asked again."""
        if not asks(self._request):
            return []
        for most_s in (_INFO_S, 0.0):
            info = self._info(most_s)
            found = list(check_resources(self._request, info, self._cluster)) if info else []
            if not found:
                return []
        return found

    def _python(self) -> str:
        if self._request.runtime:
            packages = self._packages(False)
            return packages.version if packages else ""
        return self._attachment.python_version

    def _packages(self, again: bool) -> Packages | None:
        if self._silent:
            return None
        found = self._session.packages.of(self._cluster, self._request.runtime, fresh=again)
        self._silent = found is None
        return found

    def _info(self, most_s: float) -> Info | None:
        if self._silent:
            return None
        try:
            return known_info(self._session.client(self._cluster), most_s)
        except (AgentError, UserError):
            self._silent = True  # whoever submits will be told
            return None

    def _project_has(self, path: str) -> bool | None:
        self._files += 1
        if self._files > _FILES or self._silent:
            return None
        try:
            self._session.client(self._cluster).file_info(self._request.project, path)
        except NotFound as error:
            return None if error.field == "project" else False
        except (AgentError, UserError):
            self._silent = True
            return None
        return True


def known_info(client: AgentClient, most_s: float = _INFO_S) -> Info:
    """What an agent has told of itself at most ``most_s`` ago; asked now where that is longer.

    Raises
    ------
    AgentError
        When it does not answer.
    """
    known = _infos.get(client)
    if known is None or time.monotonic() - known[0] > most_s:
        known = _infos[client] = time.monotonic(), client.info()
    return known[1]


def new_ones(session: Session, cluster: str, found: list[Finding]) -> list[Finding]:
    """``found`` without what this kernel was told before and cannot change from cell to cell."""
    told = _told.setdefault(session, set())
    new = []
    for finding in found:
        key = f"{cluster} {finding.code} {finding.name}"
        if finding.code not in _ONCE or key not in told:
            new.append(finding)
        if finding.code in _ONCE:
            told.add(key)
    return new
