"""Where a cell is to run, as far as it is known here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from cluster_agent.protocol import Packages


@dataclass(frozen=True, kw_only=True)
class Target:
    """The cluster that a cell is for. What nobody could tell is None or empty, and is not checked."""

    #: its name
    cluster: str
    #: version of the Python that runs the cell, such as ``3.11.9``
    python: str = ""
    #: whether the job runs in this kernel's own interpreter
    own_python: bool = False
    #: asks what is installed there; again where something may have changed
    ask_packages: Callable[[bool], Packages | None] = lambda _again: None
    #: whether the job gets packages of its own beside; what these bring nobody knows yet
    more_packages: bool = False
    #: whether a file of the job's project exists; None when that cannot be told
    project_has: Callable[[str], bool | None] = lambda _path: None
    #: names of modules that travel with the cell
    sent_modules: Collection[str] = ()
    #: whether jobs of this kernel may be about to write to the project
    busy: bool = False

    @cached_property
    def packages(self) -> Packages | None:
        """What is installed there, as it was known before."""
        return self.ask_packages(False)

    @cached_property
    def packages_now(self) -> Packages | None:
        """What is installed there now, for who is about to say that something is not."""
        return self.ask_packages(True)

    @property
    def version(self) -> tuple[int, int] | None:
        """The first two numbers of its Python's version."""
        numbers = self.python.split(".")
        if len(numbers) < 2 or not all(number.isdigit() for number in numbers[:2]):
            return None
        return int(numbers[0]), int(numbers[1])
