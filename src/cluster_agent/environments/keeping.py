"""Environments that nobody has used for long, or that take too much room with what uv keeps, are deleted. Blocking."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from cluster_agent.environments.shelf import Entry, Shelf, expired
from cluster_agent.environments.uv import Uv, UvFailed
from cluster_agent.protocol import KeptEnvironments

_log = logging.getLogger(__name__)
#: How many keys a report names.
_NAMED = 1000


def tidy(
    shelf: Shelf, *, keep_s: float, keep_bytes: int, now: float, uv: Uv | None, dry_run: bool
) -> KeptEnvironments:
    """Delete what has to go, or only tell what that is.

    Parameters
    ----------
    keep_s
        How long an environment is kept after its last use.
    keep_bytes
        What all of them and the cache may take; those go first that were used longest ago.
    uv
        Empties the cache of what no environment has any more.
    """
    if not dry_run:
        shelf.sweep()
    entries = shelf.entries()
    total = disk_bytes(shelf.folder)
    going = expired(entries, keep_s=keep_s, keep_bytes=keep_bytes, total_bytes=total, now=now)
    names = {name for entry in going for name in _names(shelf, entry)}
    gone = [entry for entry in going if (_is_free(shelf, entry) if dry_run else shelf.delete(entry.key))]
    kept = [entry for entry in entries if entry not in gone]
    if gone and not dry_run:
        _empty_cache(uv, sorted(names - {name for entry in kept for name in _names(shelf, entry)}))
    left = disk_bytes(shelf.folder) if gone and not dry_run else total
    if left > keep_bytes and not dry_run and shelf.cache.is_dir():
        _forget_all(uv)
        left = disk_bytes(shelf.folder)
    return KeptEnvironments(
        deleted=len(gone),
        freed_bytes=total - left if not dry_run else sum(entry.size for entry in gone),
        kept=len(kept),
        kept_bytes=left,
        keys=[entry.key for entry in gone[:_NAMED]],
    )


def disk_bytes(folder: Path) -> int:
    """What a folder takes on disk, a file of several names once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path, names, files in os.walk(folder):
        for name in (*names, *files):
            try:
                status = Path(path, name).lstat()
            except OSError:
                continue  # it has just gone
            if status.st_nlink > 1 and not Path(path, name).is_dir():
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
    return total


def _is_free(shelf: Shelf, entry: Entry) -> bool:
    hold = shelf.hold(entry.key, exclusive=True)
    if hold is not None:
        hold.give_back()
    return hold is not None


def _names(shelf: Shelf, entry: Entry) -> list[str]:
    card = shelf.card(entry.key)
    return card.names if card is not None else []


def _empty_cache(uv: Uv | None, names: list[str]) -> None:
    """Delete what uv has kept of packages that no environment has any more."""
    if uv is None:
        return
    try:
        if names:
            uv.run("cache", "clean", *names)
        uv.run("cache", "prune")
    except UvFailed as error:
        _log.warning("what uv keeps cannot be tidied at present: %s", str(error).strip().partition("\n")[0])


def _forget_all(uv: Uv | None) -> None:
    """Delete all that uv has kept: what is in use is in environments."""
    if uv is None:
        return
    try:
        uv.run("cache", "clean")
    except UvFailed as error:
        _log.warning("what uv keeps cannot be deleted at present: %s", str(error).strip().partition("\n")[0])
