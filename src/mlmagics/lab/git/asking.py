"""What git asks for credentials during one call, and the answers.

A credential is given for the hosts of the remote that the call is about, over https, and to nobody else: a redirect to
another host gets none. What is not known is remembered as wanted, and git told to stop asking. Of what ssh asks, only
the passphrase of a key of this person's is answered: never a password, never whether a host is the right one.
"""

from __future__ import annotations

import json
import os
import re
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mlmagics.lab.git import helper
from mlmagics.lab.git.configured import Configuration, Pairs
from mlmagics.lab.git.keeping import Credential, Vault

#: Fixed text: where things are comes by variables, so that nothing needs quoting.
_HELPER = '!"$SIDEBAR_GIT_PYTHON" -I "$SIDEBAR_GIT_HELPER"'
#: The same for ssh, which takes one program without arguments.
_ASKPASS = '#!/bin/sh\nexec "$SIDEBAR_GIT_PYTHON" -I "$SIDEBAR_GIT_HELPER" ssh "$1"\n'
#: Nothing that a host could word is asked; a network that is gone is noticed within a minute.
_SSH = (
    "ssh -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no "
    "-o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
)
_PASSPHRASE = re.compile(r"Enter passphrase for key '(/[^']+)': ")
_LINE_BYTES = 65536


class Wanted(NamedTuple):
    """Who let nobody in."""

    #: a host, or the file of a key
    host: str
    username: str
    #: whether what was tried was refused
    refused: bool
    kind: Literal["token", "passphrase"] = "token"


class Teller:
    """The answers for one call."""

    def __init__(self, hosts: frozenset[str], known: dict[str, Credential], vault: Vault) -> None:
        self._hosts = hosts
        self._known = known
        self._vault = vault
        #: keys whose passphrase was given
        self._given: set[str] = set()
        self.wanted: Wanted | None = None

    def answer(self, question: dict[str, Any]) -> dict[str, str]:
        """What git is told, as lines of its credential protocol; or ssh."""
        if question.get("action") == "ssh":
            return self._passphrase(str(question.get("prompt", "")))
        host, username = str(question.get("host", "")).lower(), str(question.get("username", ""))
        if question.get("protocol") != "https" or host not in self._hosts:
            return {"quit": "1"}
        known = self._known.get(host)
        if question.get("action") == "erase":
            self.wanted = Wanted(host, username, refused=True)
        elif question.get("action") == "get":
            if known is not None and username in ("", known.username):
                return {"username": known.username, "password": known.token}
            self.wanted = self.wanted or Wanted(host, username, refused=False)
            return {"quit": "1"}
        return {}

    def _passphrase(self, prompt: str) -> dict[str, str]:
        asked = _PASSPHRASE.fullmatch(prompt)
        if asked is None or not Path(asked[1]).is_file():
            return {}
        key = asked[1]
        known = self._vault.get(key)
        if known is not None and key not in self._given:
            self._given.add(key)
            return {"passphrase": known.token}
        self.wanted = Wanted(key, "", refused=key in self._given, kind="passphrase")
        return {}


class Answering(NamedTuple):
    """What a call of git gets so that it can ask."""

    teller: Teller
    settings: Pairs
    variables: dict[str, str]
    #: hosts for which the vault has a credential
    used: list[str]


@contextmanager
def answering(
    hosts: frozenset[str], vault: Vault, configuration: Configuration, *, trusted: bool
) -> Iterator[Answering]:
    """Answer questions about ``hosts`` while the block runs: by git's own helpers first, then from ``vault``.

    Where the vault has something, git's own helpers are not asked: they would be told to keep it, too.
    """
    found = {host: vault.get(host) for host in sorted(hosts)}
    known = {host: credential for host, credential in found.items() if credential is not None}
    teller = Teller(hosts, known, vault)
    settings: Pairs = [("credential.helper", "")]
    for key, value in configuration.helpers(trusted=trusted):
        of_one = key != "credential.helper"
        # an answer that is meant for everybody is given to the remote alone
        for host in hosts - set(known):
            settings.append((key if of_one else f"credential.https://{host}.helper", value))
    settings = list(dict.fromkeys(settings)) if len(hosts) > 1 else settings
    if not hasattr(socketserver, "ThreadingUnixStreamServer"):
        yield Answering(teller, settings, {}, [])
        return
    with tempfile.TemporaryDirectory(prefix="git-") as folder:
        path = Path(folder) / "s"
        askpass = Path(folder) / "askpass"
        askpass.write_text(_ASKPASS)
        askpass.chmod(0o700)
        with _serving(path, teller):
            variables = {
                # whoever has set an own way to ssh has it, without our answers
                **({} if own_ssh(configuration) else {"GIT_SSH_COMMAND": _SSH, "SSH_ASKPASS": str(askpass)}),
                "SIDEBAR_GIT_SOCKET": str(path),
                "SIDEBAR_GIT_PYTHON": sys.executable,
                "SIDEBAR_GIT_HELPER": str(Path(helper.__file__).absolute()),
            }
            yield Answering(teller, [*settings, ("credential.helper", _HELPER)], variables, sorted(known))


def own_ssh(configuration: Configuration) -> bool:
    """Whether the person has said how ssh is to be called."""
    if any(name in os.environ for name in ("GIT_SSH", "GIT_SSH_COMMAND")):
        return True
    return configuration.get("core.sshcommand") is not None


@contextmanager
def _serving(path: Path, teller: Teller) -> Iterator[None]:
    class Question(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                question = json.loads(self.rfile.readline(_LINE_BYTES))
            except ValueError:
                return
            if isinstance(question, dict):
                self.wfile.write(json.dumps(teller.answer(question)).encode() + b"\n")

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        block_on_close = False

    with Server(str(path), Question) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
