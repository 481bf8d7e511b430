"""Fixtures of the documentation's tests: a reader with a new home directory for each page."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# the front end of the notebook tests reads these pages too
sys.path.append(str(Path(__file__).parent.parent / "notebook"))

from doc_session import DocSession


@pytest.fixture
def reader() -> Iterator[DocSession]:
    # a short path: a Unix socket's address holds about 100 bytes
    home = Path(tempfile.mkdtemp(prefix="docs-"))
    session = DocSession(home)
    try:
        yield session
    finally:
        session.close()
        shutil.rmtree(home, ignore_errors=True)
