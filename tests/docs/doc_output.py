"""Compares what a page shows with what really came: what differs from run to run is made equal on both sides."""

from __future__ import annotations

import getpass
import re
from pathlib import Path

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
#: Said only when the job has not ended yet, which nobody can know.
_PERHAPS = re.compile(r"^Waiting for .*\n", re.MULTILINE)
#: Longest first: the name of a file is not yet the name of an agent.
_PLACEHOLDERS = [
    (r"mlm_[\w-]{20,}", "TOKEN"),
    (r"#mli1\w+", "#CODE"),
    (r"code=[\w-]{16,}", "code=CODE"),
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r"\b[0-9a-f]{32}\b", "MARKER"),
    (r"\b[0-9a-f]{16}\b", "ID"),
    (r"\b[0-9a-f]{8}\.(\d+)\b", r"TAG.\1"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", "ID"),
    (r"\b(https?)://[\w.-]+:\d+", "URL"),
    (r"\blocalhost:\d+ takes connections \([^)]*\)", "HOST takes connections"),
    (r"\bgpu-box:\d+ takes connections \([^)]*\)", "HOST takes connections"),
    (r"attachments add [\w-]+ URL#CODE", "attachments add NAME URL#CODE"),
    (r"(?:/[\w.~+-]+)+/python[\d.]*", "PYTHON"),
    (r"\b\d+\.\d+\.\d+(?:[a-z.]+\d+)?\b(?![.\d])", "VERSION"),
    (r"\b\d\d [A-Z][a-z][a-z] \d\d:\d\d(:\d\d)?\b", "TIME"),
    (r"\b\d\d:\d\d:\d\d on \d{1,2} [A-Z][a-z][a-z] \d{4}\b", "TIME on DAY"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    (r"\b17\d{8}\.\d+\b", "AT"),
    (r"\b\d+ d \d+ h\b", "DURATION"),
    (r"\b\d+ min \d+ s\b", "DURATION"),
    (r"\b\d+(?:\.\d+)? m?s\b", "DURATION"),
    (r"\b\d+(\.\d+)? (KiB|MiB|GiB|TiB)\b", "SIZE"),
    (r"\b\d+\.\d of \d+ CPUs?\b", "CPUS in use"),
    (r"\b\d+ CPUs?\b", "CPUS"),
    (r"\bCPUs +\d+ of \d+ free", "CPUS free"),
    (r"\bprocess \d+\b", "process PID"),
]


def normalised(text: str, home: Path | None = None) -> str:
    """``text`` without colours, with placeholders for what differs from run to run."""
    text = _PERHAPS.sub("", _ESCAPE.sub("", text))
    if home is not None:
        text = text.replace(str(home), "/home/ada")
    # on the pages the person is ada, on the box too
    text = re.sub(rf"\b{re.escape(getpass.getuser())}\b", "ada", text)
    for pattern, placeholder in _PLACEHOLDERS:
        text = re.sub(pattern, placeholder, text)
    # columns are as wide as what stands in them
    lines = [re.sub(r"(?<=\S)[ ]{2,}", "  ", line).rstrip() for line in text.strip("\n").splitlines()]
    lines = [re.sub(r"-{10,}", "-----", line) for line in lines]
    return "\n".join(lines)


def agrees(shown: str, real: str) -> bool:
    """Whether normalised ``real`` is what ``shown`` says; ``...`` there stands for anything."""
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.split("...")) + r"[ ]*\n"
    return re.fullmatch(pattern, real + "\n") is not None
