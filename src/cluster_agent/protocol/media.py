"""The content types that agent and client speak."""

from __future__ import annotations

JSON = "application/json"
#: a stream of events, one on each line
NDJSON = "application/x-ndjson"
BYTES = "application/octet-stream"
