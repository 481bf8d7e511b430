"""What is done to disks, and to agents that cannot use them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from running import AgentProcess, NotReady

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


def use_up_files(folder: Path) -> Path:
    """Make all the files that a disk takes; a folder that holds them."""
    holder = folder / "files"
    holder.mkdir()
    try:
        for number in itertools.count():
            (holder / str(number)).touch()
    except OSError:
        return holder


def refused_start(agent: AgentProcess) -> str:
    """The line with which an agent refuses to start."""
    with pytest.raises(NotReady) as caught:
        agent.start()
    text = str(caught.value)
    assert "Traceback" not in text
    assert agent.exit_code == 1
    return text
