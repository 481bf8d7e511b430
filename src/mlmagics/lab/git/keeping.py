"""Where credentials for remotes are kept: in the memory of this server, or in the keyring of the person."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Literal, NamedTuple

from mlmagics.cluster.tokens import replace_file
from mlmagics.errors import BadValue, UserError

Keep = Literal["memory", "keyring"]
_SERVICE = "mlmagics git"


class Credential(NamedTuple):
    """What lets the person in at one host. Never printed."""

    username: str
    token: str

    def __repr__(self) -> str:
        return "Credential(...)"


class Vault:
    """Credentials by host, with the port where it is not that of https; by file for the passphrase of a key.

    Which of them lie in the keyring is written into a file in ``folder``: a keyring may ask the person something when
    it is opened, and does so for those only who have put something there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Credential] = {}
        self._path = folder / "git-keyring.json" if folder is not None else None

    def get(self, host: str) -> Credential | None:
        """What is kept for exactly ``host``."""
        with self._lock:
            known = self._known.get(host)
        if known is not None or host not in self._in_ring():
            return known
        text = _Ring.get(host) if _Ring.there() else None
        try:
            found = json.loads(text) if text else None
            return Credential(str(found["username"]), str(found["token"])) if found else None
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, host: str, credential: Credential, keep: Keep) -> None:
        """Keep it.

        Raises
        ------
        BadValue
            When it cannot be one.
        UserError
            When the keyring does not take it.
        """
        if not credential.token or any(ord(char) < 32 or ord(char) == 127 for char in "".join(credential)):
            raise BadValue("a user name and a token are one line each", field="token")
        self.forget(host)
        if keep == "memory":
            with self._lock:
                self._known[host] = credential
            return
        if not _Ring.there():
            raise BadValue("there is no keyring here: have the token kept in memory", field="keep")
        _Ring.put(host, json.dumps(credential._asdict()))
        self._note([*self._in_ring(), host])

    def forget(self, host: str) -> None:
        """Keep nothing for ``host``."""
        with self._lock:
            self._known.pop(host, None)
        noted = self._in_ring()
        if host in noted:
            if _Ring.there():
                _Ring.delete(host)
            self._note([other for other in noted if other != host])

    def _in_ring(self) -> list[str]:
        """Whose credentials are in the keyring."""
        try:
            found = json.loads(self._path.read_bytes()) if self._path is not None else []
        except (OSError, ValueError):
            return []
        return [host for host in found if isinstance(host, str)] if isinstance(found, list) else []

    def _note(self, hosts: list[str]) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, json.dumps(hosts).encode())
        except OSError as error:
            raise UserError(f"{self._path} cannot be written ({error.strerror})") from None


def keeps() -> list[Keep]:
    """Where credentials can be kept."""
    return ["memory", "keyring"] if _Ring.there() else ["memory"]


class _Ring:
    """The package keyring, which need not be installed, nor have anything to keep things in."""

    @staticmethod
    def there() -> bool:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            return False
        try:
            return float(keyring.get_keyring().priority) > 0
        except (RuntimeError, KeyringError):
            return False

    @staticmethod
    def get(host: str) -> str | None:
        import keyring
        from keyring.errors import KeyringError

        try:
            text: str | None = keyring.get_password(_SERVICE, host)
        except KeyringError:
            # locked, for one: the person is asked then
            return None
        return text

    @staticmethod
    def put(host: str, text: str) -> None:
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(_SERVICE, host, text)
        except KeyringError as error:
            raise UserError(f"the keyring did not take the token ({error}): have it kept in memory") from None

    @staticmethod
    def delete(host: str) -> None:
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.delete_password(_SERVICE, host)
        except KeyringError:
            # nothing was there, or nobody may know
            return
