"""What is done to disks, and to agents that cannot use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import AgentProcess

MIB = 2**20


def fill(folder: Path) -> Path:
    """Take all that is left of a disk."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return filler


def refused_start(agent: AgentProcess) -> str:
    """The line with which an agent refuses to start."""
    with pytest.raises(AssertionError) as caught:
        agent.start()
    text = str(caught.value)
    assert "Traceback" not in text
    assert agent.exit_code == 1
    return text
