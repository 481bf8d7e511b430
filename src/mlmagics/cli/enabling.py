"""``mlmagics enable``: every new kernel and IPython terminal of this person loads the magics by itself.

By a file of its own among the profile's startup files: nobody's configuration is edited, and a kernel whose
environment has no mlmagics, or a broken one, starts all the same.
"""

from __future__ import annotations

import re
from pathlib import Path

from mlmagics.errors import BadValue, UserError

_FIRST_LINE = "# Written by `mlmagics enable`; `mlmagics disable` removes it."
_STARTUP = f"""\
{_FIRST_LINE}
def _load_mlmagics():
    from importlib.util import find_spec

    if find_spec("mlmagics"):
        try:
            get_ipython().extension_manager.load_extension("mlmagics")
        except Exception as error:
            print(f"mlmagics was not loaded ({{type(error).__name__}}: {{error}}); `mlmagics disable` ends the attempts")


_load_mlmagics()
del _load_mlmagics
"""


def enable(profile: str = "default") -> tuple[Path, bool]:
    """The startup file of ``profile`` that is there now, and whether it was there before.

    Raises
    ------
    UserError
        When it cannot be written, or somebody else's file is in its place.
    """
    path = _path(profile)
    before = _content(path)
    if before == _STARTUP:
        return path, True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_STARTUP, "utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path, False


def disable(profile: str = "default") -> tuple[Path, bool]:
    """Where the startup file of ``profile`` was or would be, and whether there was one; there is none now."""
    path = _path(profile)
    if _content(path) is None:
        return path, False
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be removed: {error.strerror}") from None
    return path, True


def builtin_magics() -> frozenset[str]:
    """Names of IPython's own magics, for where no shell runs that could be asked."""
    from IPython.core import magics

    # newer versions import them when they are asked for, so only dir() has them all
    kinds = [getattr(magics, name) for name in dir(magics) if name.endswith("Magics") and name != "Magics"]
    names = {name for kind in kinds for by_name in kind.magics.values() for name in by_name}
    # those that run a program of the same name exist in a shell only
    return frozenset(names) | {"sh", "bash", "perl", "ruby", "python", "python2", "python3", "pypy"}


def _content(path: Path) -> str | None:
    """What ``path`` holds, when it is ours; None when there is no such file."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UserError(f"{path} cannot be read: {reason}") from None
    if not text.startswith(_FIRST_LINE):
        raise UserError(f"{path} was not written by mlmagics enable: move it away")
    return text


def _path(profile: str) -> Path:
    from IPython.paths import get_ipython_dir

    if not re.fullmatch(r"\w[\w.-]*", profile):
        raise BadValue(f"--profile: {profile!r} is not the name of a profile", field="profile")
    return Path(get_ipython_dir()) / f"profile_{profile}" / "startup" / "50-mlmagics.py"
