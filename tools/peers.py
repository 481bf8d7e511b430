"""Makes the environment of the systems that ``make bench`` measures beside ours: ``python tools/peers.py FOLDER``.

What does not install here is named and left out, and the table of the benchmarks says the same; so this never fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "benchmarks" / "peers" / "requirements.txt"


def needed() -> list[str]:
    """The lines that are requirements."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def main(folder: Path) -> None:
    """Install all at once, or, where that fails, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = _failure([sys.executable, "-m", "venv", "--clear", str(folder)])
    if failed:
        _tell(folder, "no environment for other systems can be made here", failed)
    elif _install(folder, needed()):
        for line in needed():
            if failed := _install(folder, [line]):
                _tell(folder, f"{line} does not install here and is left out", failed)


def _install(folder: Path, lines: list[str]) -> str:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    return _failure([*pip, "install", "--prefer-binary", "--retries", "1", *lines])


def _failure(command: list[str]) -> str:
    """The last line that a command which failed has said; empty when it did not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    return (done.stderr or done.stdout).strip().rpartition("\n")[2] or f"it ended with {done.returncode}"


def _tell(folder: Path, what: str, why: str) -> None:
    print(f"{what} ({why}); delete {folder} to try again", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
