"""Which jobs do the same work: equal cells with equal values, packages and variables. Pure.

What decides when and with how much of the box a job runs does not count, nor does how people call it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from cluster_agent.jobs.records import JobRecord
from cluster_agent.protocol import Submit


def work_digest(body: Submit, python: str) -> str:
    """What tells apart what jobs do: those of equal digests do the same in the interpreter ``python``."""
    work = (
        body.project,
        python,
        body.runtime,
        sorted(set(body.packages)),
        body.env,
        body.params,
        # where a definition stood in its notebook changes each time that its cell is run
        [(part.name, part.text) for part in body.sources],
        sorted((part.path, part.sha256) for part in body.files),
        sorted((part.name, part.sha256, part.before) for part in body.values),
        body.source,
    )
    return hashlib.sha256(msgspec.json.encode(work, order="sorted")).hexdigest()


def standing_in(records: Iterable[JobRecord], fetch: Iterable[str]) -> JobRecord | None:
    """The first of ``records``, jobs that do the same, that can stand in for one that keeps the names ``fetch``."""
    wanted = set(fetch)
    return next(
        (record for record in records if wanted <= set(record.fetch) and record.cancel_by is None), None
    )
