"""Tokens as they are kept: one word in a file that nobody else can read. Never shown, never in an error."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path

from mlmagics.errors import UserError


def read_token(path: Path) -> str:
    """The token in the file ``path``; empty when the file is.

    Raises
    ------
    UserError
        When the file cannot be read or holds something else than one token.
    """
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UserError(f"the token file {path} cannot be read: {reason}", field="token") from None
    return clean_token(text, str(path)) if text else ""


def clean_token(text: str, origin: str) -> str:
    """``text`` without the blanks around it, when it can be a token.

    Raises
    ------
    UserError
        When it cannot be one; the text itself is not told.
    """
    token = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]{1,4096}", token):
        raise UserError(f"{origin} does not hold a token: one word, without blanks", field="token")
    return token


def replace_file(path: Path, data: bytes) -> None:
    """Replace ``path`` as a whole; the new file is 0600 from its first byte."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _rename(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


if sys.platform == "win32":

    def _rename(new: Path, path: Path) -> None:
        deadline = time.monotonic() + 1.0
        while True:
            try:
                new.replace(path)
            except PermissionError:
                # somebody reads the old file at this moment
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

else:

    def _rename(new: Path, path: Path) -> None:
        new.replace(path)
