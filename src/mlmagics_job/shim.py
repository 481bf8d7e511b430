"""What ``import mlmagics`` gives in a job whose environment has no mlmagics of its own: ``log`` and ``project``."""

from __future__ import annotations

from mlmagics_job.metrics import log as log

__all__ = ["log", "project"]  # noqa: F822


def __getattr__(name: str) -> object:
    if name == "project":
        from mlmagics_job import project

        return project
    raise AttributeError(
        "in this job's environment mlmagics has only log and project, not %r: install mlmagics there" % name
    )
