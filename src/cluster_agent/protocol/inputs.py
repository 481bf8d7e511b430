"""What travels with a cell: definitions as source, local modules as files, values as data.

Files and values are blobs: bytes that are named by their SHA-256 and sent before the job that needs them.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class SourceInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A definition that is run in ``__main__`` before the cell."""

    #: what it defines
    name: str
    #: where it stands in the notebook, such as ``In [4]``: the name that tracebacks give it
    origin: str
    text: str
    #: number of its first line there
    line: int = 1


class FileInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A module that the job can import; it lies in a folder of its own, not in the working folder."""

    #: below that folder: ``helpers.py``, ``pkg/__init__.py``
    path: str
    sha256: str
    size: int


class ValueInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A variable that the cell finds with its value."""

    name: str
    #: name of its Python type
    kind: str
    sha256: str
    size: int
    format: Literal["cloudpickle"] = "cloudpickle"
    #: number of the source, from 0, that needs it when it runs; none does unless told
    before: int | None = None


class Inputs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that travels with one cell beside its parameters."""

    sources: list[SourceInput] = []
    files: list[FileInput] = []
    values: list[ValueInput] = []

    @property
    def blobs(self) -> dict[str, int]:
        """Size by SHA-256 of what has to be there before the job is taken in."""
        sizes = {part.sha256: part.size for part in self.files}
        return sizes | {part.sha256: part.size for part in self.values}


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``PUT /v1/blobs/{sha256}``."""

    sha256: str
    size: int
    #: it stays until then, and for as long as a job that names it
    kept_until: float
