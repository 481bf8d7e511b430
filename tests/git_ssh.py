"""A remote repository over ssh: a local sshd, and an ssh that knows nothing of who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path

from running import until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class SshServer:
    """Lets in who has the key in ``key``, whose passphrase is given."""

    def __init__(self, folder: Path, passphrase: str = "") -> None:
        self.folder = folder
        self.key = folder / "key"
        self.known_hosts = folder / "known_hosts"
        #: to be put before other folders of PATH
        self.programs = folder / "bin"
        self.port = 0
        folder.mkdir()
        self.programs.mkdir()
        for name, words in (("key", passphrase), ("host", "")):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", words, "-f", str(folder / name)]
            subprocess.run(command, check=True)
        wrapper = self.programs / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder / "config"} "$@"\n')
        wrapper.chmod(0o755)

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def start(self, *, known: bool = True) -> None:
        assert SSHD is not None
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = self.folder / "sshd_config"
        settings.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder / 'host'}\n"
            f"AuthorizedKeysFile {self.folder / 'key.pub'}\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        )
        (self.folder / "config").write_text(
            f"Host *\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile none\n  UpdateHostKeys no\n"
        )
        key = (self.folder / "host.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key}" if known else "")
        log = (self.folder / "log").open("wb")
        with log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(settings)], stderr=log)
        until(lambda: b"listening" in (self.folder / "log").read_bytes() or self._process.poll() is not None)
        assert self._process.poll() is None, (self.folder / "log").read_text()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
