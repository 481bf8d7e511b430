"""What the agent writes to stderr about itself: lines for people, or JSON for programs; never a secret."""

from __future__ import annotations

import logging
import re
from typing import Any

import msgspec

_SECRET = re.compile(r"\b(mlm_|mlv_|mli1)[\w.-]{8,}|(?i:bearer)\s+\S+")
_MOST = 8192


def set_up(log_format: str, level: str) -> None:
    """Write to stderr from now on, in ``log_format`` (``text`` or ``json``), what is of ``level`` or above."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def without_secrets(text: str) -> str:
    """``text`` with tokens and codes made unreadable."""
    return _SECRET.sub("(secret)", text)


class _Text(logging.Formatter):
    """``2026-01-21 14:02:11,123 WARNING cluster_agent.storage: words``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        return without_secrets(super().format(record))[: 4 * _MOST]


class _Json(logging.Formatter):
    """One JSON object for each record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object: ``at``, ``level``, ``logger``, ``message``, ``error`` with a traceback, and more."""
        told: dict[str, Any] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage())[:_MOST],
        }
        told |= getattr(record, "facts", {})
        if record.exc_info:
            told["error"] = without_secrets(self.formatException(record.exc_info))[-_MOST:]
        return msgspec.json.encode(told).decode()
