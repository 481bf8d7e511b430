"""Resources that a cluster never has, so that its job would never start. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster_agent.protocol import Info, Submit
from cluster_agent.units import format_duration, format_size
from mlmagics.preflight.finding import Finding


def asks(request: Submit) -> bool:
    """Whether ``request`` says what it needs, so that there is something to check."""
    return any(
        value is not None for value in (request.gpus, request.cpus, request.memory_bytes, request.timeout_s)
    )


def check_resources(request: Submit, info: Info, cluster: str) -> Iterator[Finding]:
    """What is said about the resources of ``request``, which ``cluster`` has or not."""
    limit = info.limits.gpus if info.limits else None
    if request.gpus is not None and request.gpus > info.gpus:
        yield _never("gpus", f"--gpus {request.gpus}: {cluster} has {_gpus(info.gpus)}")
    elif request.gpus is not None and limit is not None and request.gpus > limit:
        yield _never("gpus", f"--gpus {request.gpus}: your limit on {cluster} is {limit} at once")
    if request.cpus is not None and request.cpus > info.cpus:
        yield _never("cpus", f"--cpus {request.cpus}: {cluster} has {info.cpus}")
    if request.memory_bytes is not None and request.memory_bytes > info.memory_bytes:
        asked, has = format_size(request.memory_bytes), format_size(info.memory_bytes)
        yield _never("memory", f"--memory {asked}: {cluster} has {has}")
    if request.timeout_s is not None and request.timeout_s > info.max_timeout_s:
        asked, most = format_duration(request.timeout_s), format_duration(info.max_timeout_s)
        yield _never("timeout", f"--timeout {asked}: at most {most} for you on {cluster}")


def _never(name: str, message: str) -> Finding:
    return Finding(level="error", code="never_there", message=message, name=name)


def _gpus(count: int) -> str:
    return "no GPU" if not count else f"{count} GPU{'s' * (count != 1)}"
