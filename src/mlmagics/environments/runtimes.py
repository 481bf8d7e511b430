"""How people are told of the interpreters that ops have defined. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cluster_agent.protocol import Runtime


def runtime_words(runtime: Runtime) -> str:
    """What a runtime is, without its name."""
    if runtime.remark:
        return runtime.remark
    python = f"Python {runtime.python_version}" if runtime.python_version else ""
    return ", ".join(part for part in (python, runtime.description) if part)


def runtime_lines(runtimes: Sequence[Runtime]) -> list[str]:
    """A line for each runtime, such as ``--runtime dl   Python 3.11.9, PyTorch 2.9``."""
    width = max((len(runtime.name) for runtime in runtimes), default=0)
    return [f"--runtime {runtime.name:<{width}}   {runtime_words(runtime)}".rstrip() for runtime in runtimes]
