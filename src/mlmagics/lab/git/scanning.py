"""Secrets in what a push would send: looked for in the added lines of its commits, within bounds that are told."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlmagics.lab.git.grammar import shown
from mlmagics.lab.git.hunks import LINE_CHARS
from mlmagics.lab.git.refusals import TookTooLong
from mlmagics.lab.git.repository import Repository

#: Of all differences together.
_BYTES = 64 << 20
#: For git, and then for the rules.
_LIMIT_S = 20.0
_FINDINGS = 100
_COMMIT = "\x01commit "
_HEADER = re.compile(r"(@@+) .*\+(\d+)(?:,\d+)? @@")
#: Images and the like inside of notebooks, which no rule could tell from a secret.
_BASE64 = re.compile(r"^\s*\"(?:image|application|audio|video)/[\w.+-]+\": ?\"[A-Za-z0-9+/=\\n]+\",?$")


@dataclass(frozen=True, slots=True)
class Added:
    """Lines that one commit adds to one file."""

    commit: str
    path: str
    lines: list[str] = field(default_factory=list)
    #: their numbers in the file
    numbers: list[int] = field(default_factory=list)


def scan(repository: Repository, branch: str, remote: str) -> dict[str, Any]:
    """What ``git/scan`` answers about a push of ``branch`` to ``remote``."""
    words = (
        "log",
        "--patch",
        "--unified=0",
        "--diff-merges=dense-combined",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--no-renames",
        "--no-show-signature",
        "--no-relative",
        "--ignore-submodules=all",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        f"--format={_COMMIT}%h",
    )
    known = repository.git(
        "for-each-ref", "--format=^%(refname)", "--end-of-options", f"refs/remotes/{remote}/"
    )
    sent = f"refs/heads/{branch}\n{known.text}\n".encode("utf-8", "surrogateescape")
    unscanned = []
    try:
        done = repository.git(*words, "--stdin", stdin=sent, limit_s=_LIMIT_S, most_bytes=_BYTES)
    except TookTooLong:
        told = "not looked through: git took longer than 20 s to tell what would be sent"
        return {"findings": [], "commits": None, "unscanned": told}
    if done.cut:
        unscanned.append("what is beyond the first 64 MB of changes")
    commits = 0
    findings: list[dict[str, Any]] = []
    until = time.monotonic() + _LIMIT_S
    long_lines = 0
    for added in read_added(done.out):
        if added.path == "":
            commits += 1
            continue
        if time.monotonic() > until:
            unscanned.append("what could not be looked through within 20 s")
            break
        found, cut = _scan_one(added)
        findings += found
        long_lines += cut
        if len(findings) >= _FINDINGS:
            unscanned.append(f"what comes after the first {_FINDINGS} findings")
            break
    if long_lines:
        unscanned.append(f"the ends of {long_lines} very long lines")
    sentence = f"not looked through: {', and '.join(unscanned)}" if unscanned else None
    return {"findings": findings[:_FINDINGS], "commits": commits, "unscanned": sentence}


def read_added(data: bytes) -> Iterator[Added]:
    """The lines that each commit adds to each file; a commit itself comes with an empty path."""
    added: Added | None = None
    commit, path, number, parents = "", "", 0, 0
    # only in a hunk is a line one of a file
    left = False
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith(_COMMIT):
            yield from _whole(added)
            added, left = None, False
            commit = line[len(_COMMIT) :]
            yield Added(commit, "")
        elif line.startswith("diff --"):
            yield from _whole(added)
            added, left = None, False
        elif not left and line.startswith("+++ "):
            path = _path(line[4:])
            added = Added(commit, path)
        elif line.startswith("@@") and (found := _HEADER.match(line)):
            left, number, parents = True, int(found[2]), len(found[1]) - 1
        elif left and added is not None and line[:parents].strip("+ ") == "" and len(line) >= parents:
            if line[:parents] == "+" * parents:
                added.lines.append(line[parents:])
                added.numbers.append(number)
            number += 1
    yield from _whole(added)


def _whole(added: Added | None) -> Iterator[Added]:
    if added is not None and added.lines and added.path:
        yield added


def _path(text: str) -> str:
    """The name behind ``+++``; quoted by git where it has characters of its own."""
    text = text.removesuffix("\t").removesuffix("\r")
    if text.startswith('"') and text.endswith('"'):
        text = (
            text[1:-1]
            .encode("latin-1", "replace")
            .decode("unicode_escape")
            .encode("latin-1", "replace")
            .decode("utf-8", "replace")
        )
    return "" if text == "/dev/null" else shown(text.removeprefix("b/"))


def _scan_one(added: Added) -> tuple[list[dict[str, Any]], int]:
    # here, because it is slow to import and seldom needed
    from mlmagics.secrets import scan_text

    cut = 0
    lines = []
    for line in added.lines:
        picture = len(line) > LINE_CHARS and _BASE64.match(line)
        cut += len(line) > LINE_CHARS and not picture
        lines.append("" if picture else line[:LINE_CHARS])
    text = "\n".join(lines).encode("utf-8", "replace").decode()
    rows = []
    for found in scan_text(text, path=added.path):
        index = min(max(found.line, 1), len(lines)) - 1
        rows.append(
            {
                "path": added.path,
                "line": added.numbers[index],
                "column": found.column,
                "rule": found.rule,
                "preview": found.preview,
                "commit": added.commit,
                "fingerprint": fingerprint(added.path, found.rule, lines[index]),
            }
        )
    return rows, cut


def fingerprint(path: str, rule: str, line: str) -> str:
    """A name for a finding that stays the same in another commit."""
    return hashlib.sha256(f"{path}\0{rule}\0{line.strip()}".encode("utf-8", "replace")).hexdigest()[:24]


def not_allowed(findings: Sequence[dict[str, Any]], allowed: Sequence[str]) -> list[dict[str, Any]]:
    """Those findings to which nobody has said yes."""
    return [found for found in findings if found["fingerprint"] not in set(allowed)]
