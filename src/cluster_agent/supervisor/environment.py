"""The variables of a job: an allow-list, ops' own, the spec's, then ours; nothing else of the agent's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Taken over from the agent. Credentials, proxies and PYTHON* are not: ops name what jobs shall have.
INHERITED = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PATH"})
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def build_variables(
    inherited: Mapping[str, str],
    ops_env: Mapping[str, str],
    job_env: Mapping[str, str],
    ours: Mapping[str, str],
    python: str,
) -> dict[str, str]:
    """All variables of a job that runs in the interpreter ``python``; later arguments win over earlier ones.

    PATH begins with the interpreter's own folder, so that ``!pip`` and console scripts are its own, unless
    the job gives a PATH itself. VIRTUAL_ENV is set when the interpreter lies in a virtual environment.
    """
    variables = {name: value for name, value in inherited.items() if _is_inherited(name) and _is_text(value)}
    variables |= ops_env
    folder = Path(python).parent
    variables["PATH"] = f"{folder}:{variables.get('PATH') or _DEFAULT_PATH}"
    if (folder.parent / "pyvenv.cfg").is_file():
        variables["VIRTUAL_ENV"] = str(folder.parent)
    return {**variables, **job_env, **ours}


def _is_inherited(name: str) -> bool:
    return name in INHERITED or name.startswith("LC_")


def _is_text(value: str) -> bool:
    """Whether ``value`` can be handed over as JSON; the few that are not UTF-8 are left out."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
