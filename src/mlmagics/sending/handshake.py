"""Whether a job can load what is about to travel: versions of both sides compared before anything has left.

What is compared, and what a difference means, is in :mod:`mlmagics.environments.skew`.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cluster_agent.errors import AgentError
from cluster_agent.protocol import Packages, Runtime, Submit
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.overview import other_version
from mlmagics.environments.skew import Sent, Side, Skew, compare, here
from mlmagics.errors import UserError
from mlmagics.preflight.asking import known_info, new_ones
from mlmagics.preflight.checking import refuse, remarks
from mlmagics.preflight.finding import Finding

if TYPE_CHECKING:
    from mlmagics.cluster.session import Session
    from mlmagics.sending.parcel import Parcel

_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
#: what the job has of ours, or is lent, or never needs
_OURS = frozenset({"__main__", "mlmagics", "mlmagics_job", "cluster_agent", "cloudpickle"})


def shake_hands(session: Session, cluster: str, request: Submit, parcel: Parcel) -> list[str]:
    """The lines to show with the job of ``request``, which can load the values of ``parcel``.

    Raises
    ------
    BadCell
        When it cannot; with what to type.
    """
    if not parcel.inputs.values:
        return []
    found = [*_agent_skew(session, cluster), *_value_skew(session, cluster, request, parcel)]
    refuse(found, cluster)
    return remarks(new_ones(session, cluster, found))


def _agent_skew(session: Session, cluster: str) -> list[Finding]:
    if cluster == LOCAL:
        return []
    try:
        remark = other_version(known_info(session.client(cluster)))
    except (AgentError, UserError):
        return []  # whoever sends will be told
    return [Finding(level="warning", code="agent_version", message=f"{cluster}: {remark}")] if remark else []


def _value_skew(session: Session, cluster: str, request: Submit, parcel: Parcel) -> list[Finding]:
    if cluster == LOCAL and not request.runtime:
        return []  # both sides are this interpreter
    found: list[Skew] = []
    # what is missing may have been installed since the last look
    for fresh in (False, True):
        there = session.packages.of(cluster, request.runtime, fresh=fresh)
        if there is None:
            return []  # an older agent, or none that answers
        found = _compared(session, cluster, request, parcel, there)
        if not any(skew.level == "error" for skew in found):
            break
    return [
        Finding(
            level="error" if skew.level == "error" else "warning",
            code="value_skew",
            message=skew.message,
            name=skew.code,
        )
        for skew in found
    ]


def _compared(session: Session, cluster: str, request: Submit, parcel: Parcel, there: Packages) -> list[Skew]:
    locked = {str(canonicalize_name(name)): version for name, version in _LOCKED.findall(request.lock)}
    sent = sent_in(parcel, there)
    if request.packages and not locked:
        # what comes with the job is chosen in the job: nothing is known of its versions
        sent = Sent(code=sent.code)
    side = Side(
        python=there.version,
        implementation=there.implementation,
        cloudpickle=locked.get("cloudpickle", there.cloudpickle),
        distributions={**there.distributions, **locked},
    )
    return compare(here(sent.needs), side, sent, cluster=cluster, runtimes=_runtimes(session, cluster, sent))


def _runtimes(session: Session, cluster: str, sent: Sent) -> list[Runtime]:
    if not sent.code:
        return []
    try:
        return known_info(session.client(cluster)).runtimes
    except AgentError:
        return []


def sent_in(parcel: Parcel, there: Packages) -> Sent:
    """What the values of ``parcel`` hold that the job must have, by distribution."""
    own = {file.path.partition("/")[0].removesuffix(".py") for file in parcel.inputs.files} | _OURS
    blobs = [(value.name, parcel.blobs[value.sha256]) for value in parcel.inputs.values]
    needs: dict[str, list[str]] = {}
    for name, blob in blobs:
        tops = {module.partition(".")[0] for module in blob.modules} - own - sys.stdlib_module_names
        for distribution in sorted({_distribution(top, there) for top in tops} - {""}):
            needs.setdefault(distribution, []).append(name)
    return Sent(code=[name for name, blob in blobs if blob.has_code], needs=needs)


def _distribution(top: str, there: Packages) -> str:
    """The distribution, as names are compared, that the module ``top`` is of; empty when that is not known."""
    if top in there.modules:
        return there.modules[top]
    names = _installed().get(top, ())
    return canonicalize_name(names[0]) if len(set(names)) == 1 else ""


@functools.lru_cache(maxsize=1)
def _installed() -> dict[str, Sequence[str]]:
    from importlib.metadata import packages_distributions

    return {top: tuple(dict.fromkeys(names)) for top, names in packages_distributions().items()}
