"""What git says when it fails, as one of our refusals with a next step. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from mlmagics.lab.git.grammar import redacted
from mlmagics.lab.git.progress import lines_of
from mlmagics.lab.git.refusals import (
    AccessDenied,
    AddressRefused,
    ForeignOwner,
    GitRefusal,
    IndexLocked,
    InProgress,
    NoIdentity,
    NothingStaged,
    PushRejected,
    Unreachable,
    WouldOverwrite,
)

_OVERWRITE = re.compile(
    r"(?:would be overwritten|not uptodate|would be removed|would lose untracked files)[^\n]*\n((?:\t[^\n]+\n?)+)"
)
_OVERWRITE_ONE = re.compile(r"file '([^'\n]+)' would be (?:overwritten|removed)")
_LABEL = re.compile(r"^(fatal|error|warning|remote|hint): ?")
_LINES = 3


def _plain(kind: type[GitRefusal], message: str = "") -> Callable[[str], GitRefusal]:
    return lambda _said: kind(message)


def _overwrite(said: str) -> GitRefusal:
    paths = [line.strip() for block in _OVERWRITE.findall(said) for line in block.splitlines()]
    paths += _OVERWRITE_ONE.findall(said)
    return WouldOverwrite(paths=paths)


_HTTP = re.compile(r"The requested URL returned error: (\d{3})")
_RULES: tuple[tuple[str, Callable[[str], GitRefusal]], ...] = (
    (r"detected dubious ownership", _plain(
        ForeignOwner,
        "the repository belongs to another user of this machine, and could run programs of theirs: if you trust "
        "them, git config --global --add safe.directory FOLDER in a terminal lets git in",
    )),
    (r"Unable to create '.*\.lock': File exists|could not lock|Another git process seems", _plain(
        IndexLocked,
        "another git process is at work in this repository, or one was killed there: wait for its end; "
        "when none runs any more, remove the file index.lock in its folder .git",
    )),
    (r"would be overwritten|not uptodate|would be removed by|would lose untracked", _overwrite),
    (r"cannot rebase: |cannot pull with rebase|Please commit or stash them", _plain(WouldOverwrite)),
    (r"Please tell me who you are|no email was given|empty ident name|user\.useConfigOnly", _plain(NoIdentity)),
    (r"nothing to commit|nothing added to commit|no changes added", _plain(NothingStaged)),
    (r"You have not concluded your|rebase is already|there is already a rebase|in the middle of", _plain(InProgress)),
    (r"\(fetch first\)|\(non-fast-forward\)|\(stale info\)", _plain(PushRejected)),
    (r"promisor remote", _plain(
        GitRefusal,
        "this is a partial clone, and what that needs was not fetched yet: use git in a terminal for it",
    )),
    (r"transport '([^']*)' not allowed", _plain(
        AddressRefused, "the address of the remote is not used from here: only https:// and ssh addresses are"
    )),
    (r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", _plain(
        AccessDenied,
        "the host is not known to ssh, or its key has changed: connect to it once in a terminal, and compare "
        "the fingerprint with the one that its owner has published",
    )),
    (r"Permission denied \(|Too many authentication failures|[Pp]ermission denied, please try again", _plain(
        AccessDenied,
        "the host refused your ssh key: give its public half to the host; a key with a passphrase needs "
        "ssh-add in a terminal first",
    )),
    (r"Authentication failed|could not read (Username|Password)|HTTP Basic: Access denied", _plain(
        AccessDenied, "the remote refused the user name or token"
    )),
    (r"returned error: 403|protected branch|not allowed to push|denied to ", _plain(
        AccessDenied, "you are not allowed to do that on the remote: ask its owner for the right, or use another token"
    )),
    (r"returned error: 404|[Rr]epository not found|repository '[^']*' not found|does not appear to be a git repository", _plain(
        AccessDenied, "the remote has no such repository, or does not show it to you: check the address and the token"
    )),
    ((r"Could not resolve host|Failed to connect|Connection (refused|timed out|reset|closed)|[Nn]etwork is unreachable|"
     r"Operation too slow|unexpected disconnect|early EOF|hung up unexpectedly|Couldn't connect|No route to host|"
     r"returned error: 5\d\d|Empty reply from server|Could not resolve hostname"), _plain(Unreachable)),
    (r"SSL certificate|certificate verify failed|server certificate|SSL: ", _plain(
        Unreachable,
        "the certificate of the remote is not one that git trusts: have its owner's certificate file named by "
        "git config --global http.sslCAInfo FILE",
    )),
    (r"No space left on device|Disk quota exceeded", _plain(
        GitRefusal, "the disk of the Jupyter server is full: make room, and try again"
    )),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), make) for pattern, make in _RULES)


def refusal(said: str) -> GitRefusal:
    """The refusal that ``said``, all that git has written, amounts to."""
    for pattern, make in _COMPILED:
        if pattern.search(said):
            return make(said)
    return GitRefusal(f"git refused: {words(said)}" if said.strip() else "git failed, and did not say why")


def words(said: str) -> str:
    """The lines of git that tell most, as one line of text."""
    lines = [redacted(line) for line in lines_of(said)]
    loud = [line for line in lines if line.startswith(("fatal: ", "error: ", "! [", "CONFLICT"))]
    return "; ".join(_LABEL.sub("", line.strip()) for line in (loud or lines)[-_LINES:])
