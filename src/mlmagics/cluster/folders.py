"""Where a person's own files lie on this machine."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

import platformdirs


def config_folder() -> Path:
    """Folder of the attachments and tokens; ``MLMAGICS_CONFIG_DIR`` decides when set."""
    chosen = os.environ.get("MLMAGICS_CONFIG_DIR")
    return (
        Path(chosen).absolute() if chosen else Path(platformdirs.user_config_dir("mlmagics", appauthor=False))
    )


def local_home() -> Path:
    """Home of the agent of one's own; ``MLMAGICS_LOCAL_HOME`` decides when set.

    Named after the machine: home directories are often shared by several.
    """
    chosen = os.environ.get("MLMAGICS_LOCAL_HOME")
    if chosen:
        return Path(chosen).absolute()
    return Path(platformdirs.user_data_dir("mlmagics", appauthor=False)) / f"local-{_machine()}"


def _machine() -> str:
    """A short name of this machine that tells nothing about it."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        try:
            text = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            break
    else:
        text = platform.node()
    return hashlib.sha256(f"mlmagics local {text}".encode()).hexdigest()[:12]
