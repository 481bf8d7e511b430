"""What the tests of the history page do again and again."""

from __future__ import annotations

import re
import struct
import time
import zlib
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api").expect
# The machine may be busy with other tests.
expect.set_options(timeout=15_000)
NETWORK = "Failed to load resource"


def enter(page: Any, agent: Any, token: str = "secret-token") -> None:
    page.goto(agent.page)
    page.get_by_label("Token of this agent").fill(token)
    page.get_by_role("button", name="Show the job").click()
    expect(page.locator("#job")).to_be_visible()


def state(page: Any, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#state-word")).to_have_text(text)


def lines(page: Any) -> list[str]:
    return page.locator("#log > .line").all_text_contents()


def beginnings(script: Any) -> list[str]:
    """Where each connection of the page began to read."""
    asked = [path.partition("?")[2] for _, path, _ in script.asked("GET", "/v1/jobs/42/events")]
    return [query for query in asked if "follow=1" in query]


def until(page: Any, expression: str, *, within_s: float = 15.0) -> Any:
    """The first true value of ``expression``; the page's policy forbids what Playwright has for this."""
    deadline = time.monotonic() + within_s
    while not (value := page.evaluate(expression)):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)
    return value


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, rows: bytes | None = None) -> bytes:
    """A picture; with ``rows`` of another size a broken one."""
    if rows is None:
        rows = b"".join(b"\0" + b"\x20\x60\xc0" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
