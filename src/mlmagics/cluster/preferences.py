"""The defaults that a person has set for each cluster: ``<config>/defaults.json``, 0600, replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mlmagics.cluster.locks import locked
from mlmagics.cluster.tokens import replace_file
from mlmagics.errors import UserError

FILE_VERSION = 1
_LOCK_S = 10.0


class _File(msgspec.Struct, frozen=True, kw_only=True):
    version: int = FILE_VERSION
    #: options as they are written in a cell, by cluster
    clusters: dict[str, list[str]] = {}


class Preferences:
    """The defaults in one folder. Reading needs no lock: the file is always whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "defaults.json"

    def all(self) -> dict[str, list[str]]:
        """Options by cluster, as words such as ``--gpus=2``.

        Raises
        ------
        UserError
            When the file cannot be understood; it is left as it is.
        """
        try:
            content = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror}") from None
        except msgspec.DecodeError as error:
            raise UserError(f"{self.path} is damaged ({error}): repair it, or remove it") from None
        if content.version != FILE_VERSION:
            raise UserError(f"{self.path} was written by a newer mlmagics: upgrade the one in use here")
        return content.clusters

    def of(self, cluster: str) -> list[str]:
        """The options of ``cluster``; none where nothing was set."""
        return self.all().get(cluster, [])

    def change(self, cluster: str, changed: Callable[[list[str]], Sequence[str]]) -> None:
        """Keep what ``changed`` makes of the options of ``cluster``, which no other process changes meanwhile.

        No options forget the cluster.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.folder / "defaults.lock", timeout_s=_LOCK_S):
                clusters = self.all()
                clusters[cluster] = [*changed(clusters.get(cluster, []))]
                kept = {name: words for name, words in clusters.items() if words}
                data = msgspec.json.format(msgspec.json.encode(_File(clusters=kept)), indent=2)
                replace_file(self.path, data + b"\n")
        except OSError as error:
            raise UserError(f"{self.path} was not changed: {error.strerror or error}") from None
