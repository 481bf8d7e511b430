"""All that travels with one cell, packed: what the request says of it, and the bytes that go ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster_agent.protocol import FileInput, Inputs, SourceInput, ValueInput
from cluster_agent.units import format_size
from mlmagics.errors import BadValue
from mlmagics.sending.choosing import Luggage
from mlmagics.sending.pickling import Packed, packed, whole


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What is sent beside the cell itself."""

    inputs: Inputs = field(default_factory=Inputs)
    #: by SHA-256
    blobs: dict[str, Packed] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, str, str, int]]:
        """Of each part: its name, how it travels, where it comes from, its bytes."""
        for source in self.inputs.sources:
            yield source.name, "source", source.origin, len(source.text.encode())
        for file in self.inputs.files:
            yield file.path, "file", "", file.size
        for value in self.inputs.values:
            yield value.name, "value", value.kind, value.size


def pack(luggage: Luggage) -> Parcel:
    """``luggage``, packed: every value is pickled by now, and nothing was sent.

    Raises
    ------
    BadValue
        When something cannot travel; it is named.
    """
    values: dict[str, Packed] = {}
    # a value may need definitions, and these other values
    while missing := [name for name in luggage.values if name not in values]:
        for name in missing:
            if name in luggage.values:
                values[name] = packed(name, luggage.values[name], luggage)
    values = {name: value for name, value in values.items() if name in luggage.values}
    files = [whole(local.path, "file", (_read(local.path, local.file),)) for local in luggage.files()]
    order = luggage.order()
    sources = [luggage.definitions[name] for name in order if name in luggage.definitions]
    return Parcel(
        inputs=Inputs(
            sources=[
                SourceInput(name=part.name, origin=part.origin, text=part.text, line=part.line)
                for part in sources
            ],
            files=[FileInput(path=file.name, sha256=file.sha256, size=file.size) for file in files],
            values=[
                ValueInput(
                    name=name,
                    kind=value.kind,
                    sha256=value.sha256,
                    size=value.size,
                    before=_first_user(name, [part.name for part in sources], luggage),
                )
                for name, value in values.items()
            ],
        ),
        blobs={blob.sha256: blob for blob in (*files, *values.values())},
    )


def _first_user(name: str, sources: list[str], luggage: Luggage) -> int | None:
    """The number of the first source that needs the value ``name`` when it runs."""
    users = (number for number, source in enumerate(sources) if name in luggage.before(source))
    return next(users, None)


def _read(path: str, file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadValue(f"{path} cannot be read: {error.strerror}", field="send") from None
    if not content:
        # a blob has at least one byte, and a module with one is the same module
        return b"\n"
    return content


def told(parcel: Parcel) -> str:
    """``parcel`` in a few words: ``2 definitions, 1 file, 1 value, 512 MiB``."""
    inputs = parcel.inputs
    counts = ((len(inputs.sources), "definition"), (len(inputs.files), "file"), (len(inputs.values), "value"))
    parts = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts if count]
    size = sum(row[3] for row in parcel.rows())
    return ", ".join([*parts, format_size(size)]) if parts else "nothing beside the cell"
