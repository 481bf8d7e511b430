"""``mlmagics enable``: every new kernel and IPython terminal of this person loads the magics by itself.

By a file of its own among the profile's startup files: nobody's configuration is edited, and a kernel whose
environment has no mlmagics starts without a word.
"""

from __future__ import annotations

from pathlib import Path

from mlmagics.errors import UserError

_STARTUP = """\
# Written by `mlmagics enable`; `mlmagics disable` removes it.
from importlib.util import find_spec as _find_spec

if _find_spec("mlmagics"):
    get_ipython().extension_manager.load_extension("mlmagics")
del _find_spec
"""


def enable() -> Path:
    """The startup file that is there now."""
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_STARTUP, "utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path


def disable() -> bool:
    """Whether there was a startup file; there is none now."""
    try:
        _path().unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"{_path()} cannot be removed: {error.strerror}") from None
    return True


def builtin_magics() -> frozenset[str]:
    """Names of IPython's own magics, for where no shell runs that could be asked."""
    from IPython.core import magics

    # newer versions import them when they are asked for, so only dir() has them all
    kinds = [getattr(magics, name) for name in dir(magics) if name.endswith("Magics") and name != "Magics"]
    names = {name for kind in kinds for by_name in kind.magics.values() for name in by_name}
    # those that run a program of the same name exist in a shell only
    return frozenset(names) | {"sh", "bash", "perl", "ruby", "python", "python2", "python3", "pypy"}


def _path() -> Path:
    from IPython.paths import get_ipython_dir

    return Path(get_ipython_dir()) / "profile_default" / "startup" / "50-mlmagics.py"
