"""What a command says: its result on stdout, what we say about it on stderr."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlmagics.display.tables import Table

_MAGIC = re.compile(r"(?<![%\w])%(?=(?:attachments|cancel|extend|fetch|jobs|logs|resubmit|wait)\b)")
_CONFIG = re.compile(r"(?<![%\w])%([a-z][\w.-]*) config\b")


def out(line: str) -> None:
    """One line of a command's result on stdout."""
    sys.stdout.write(f"{line}\n")


def out_table(table: Table) -> None:
    """A table on stdout; its remarks may name magics."""
    out(as_commands(table.as_text()))


def out_json(value: object) -> None:
    """A command's result for programs."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def tell(line: str) -> None:
    """One line of ours on stderr."""
    write_error(as_commands(line))


def write_error(text: str) -> None:
    """``text`` as it is, after what went to stdout before."""
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def as_commands(line: str) -> str:
    """``line`` with the commands of this program in place of the magics that it names."""
    line = _CONFIG.sub(r"mlmagics config \1", line)
    return _MAGIC.sub("mlmagics ", line)
