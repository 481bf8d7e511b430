"""Installs packages: by uv, which takes a third of the time, with pip's settings; by pip where that does not succeed.

``python tools/install.py [--into PYTHON] ARGUMENTS`` takes what ``pip install`` takes.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

_PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
_UV = [sys.executable, "-m", "uv"]
#: pip's settings, uv's variable for each, and what stands between several values there
_SAME = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}


def main(arguments: list[str]) -> int:
    """Install; the exit status."""
    into = sys.executable
    if arguments[:1] == ["--into"]:
        into, arguments = arguments[1], arguments[2:]
    if _has_uv():
        install = [*_UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", into]
        done = subprocess.run([*install, *arguments], env=_uv_settings(), capture_output=True, check=False)
        if done.returncode == 0:
            return 0
    return subprocess.run([*_PIP, "--python", into, "install", *arguments], check=False).returncode


def _has_uv() -> bool:
    look = [*_UV, "--version"]
    if subprocess.run(look, capture_output=True, check=False).returncode:
        subprocess.run([*_PIP, "install", "uv"], capture_output=True, check=False)
    return subprocess.run(look, capture_output=True, check=False).returncode == 0


def _uv_settings() -> dict[str, str]:
    """The variables of this process, and pip's settings as uv's variables where those are not set."""
    found = {}
    told = subprocess.run([*_PIP, "config", "list"], capture_output=True, text=True, check=False).stdout
    # `global.NAME='VALUE'`, `install.NAME=...` and, last, `:env:.NAME=...`, which counts
    for line in told.splitlines():
        name, _, value = line.partition("=")
        variable, between = _SAME.get(name.rpartition(".")[2], ("", ""))
        if variable:
            found[variable] = between.join(ast.literal_eval(value).split())
    # as pip does, which takes the best version of all indexes
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **found, **os.environ}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
