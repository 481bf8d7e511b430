"""What git or ssh starts to ask for credentials: passes the question to the Jupyter server, and the answer back.

Run as a program of its own, with Python's standard library only. The socket is one of this call alone, in a folder
that only its owner can enter; nothing secret is in the arguments or the environment.
"""

from __future__ import annotations

import json
import os
import socket
import sys

_PATIENCE_S = 30.0


def main() -> int:
    """Ask."""
    action = sys.argv[1] if len(sys.argv) > 1 else ""
    if action == "ssh":
        answer = _ask({"action": "ssh", "prompt": sys.argv[2] if len(sys.argv) > 2 else ""})
        if "passphrase" not in answer:
            return 1
        sys.stdout.write(answer["passphrase"] + "\n")
        return 0
    if action in ("get", "store", "erase"):
        lines = (line.rstrip("\n").partition("=") for line in sys.stdin)
        # a password that is to be stored or erased is known to whom it would be told
        question = {name: value for name, _, value in lines if name in ("protocol", "host", "username")}
        for name, value in _ask({**question, "action": action}).items():
            sys.stdout.write(f"{name}={value}\n")
    return 0


def _ask(question: dict[str, str]) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(_PATIENCE_S)
        server.connect(os.environ["SIDEBAR_GIT_SOCKET"])
        server.sendall(json.dumps(question).encode() + b"\n")
        with server.makefile("r", encoding="utf-8") as answers:
            found: dict[str, str] = json.loads(answers.readline() or "{}")
    return found


if __name__ == "__main__":
    sys.exit(main())
