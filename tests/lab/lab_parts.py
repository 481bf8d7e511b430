"""What the tests of cards and of the sidebar share: a box, a person who uses it, a page, a job that takes orders."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import Notebook

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess

PATIENCE_MS = 60_000
#: a script for the browser: texts that are hard to read
CONTRAST = (Path(__file__).parents[1] / "browser" / "contrast.js").read_text()
THEMES = ("Light", "Dark", "Dark High Contrast")

BAR = "sys.stderr.write('\\rtrain:  {0}%|###  | {0}/100 [00:10<00:06, 6.13it/s]'); sys.stderr.flush()"
METRICS = (
    "import mlmagics; [mlmagics.log(step=n, loss=1 / (n + 1), val_loss=1.2 / (n + 1)) for n in range(20)]"
)
PLOT = "import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show()"
COLOURS = "print(*(f'\\x1b[{c}mcolour{c}\\x1b[0m' for c in [*range(30, 38), *range(90, 98)]), '\\x1b[38;5;28mgreen\\x1b[0m')"

_JOB = """\
import pathlib, sys, time
done, orders = 0, pathlib.Path({orders!r})
while True:
    lines = orders.read_text().split("\\n")[:-1]
    for line in lines[done:]:
        exec(line)
    done = len(lines)
    time.sleep(0.02)
"""
#: JupyterLab's own trouble: when its theme is changed soon after another change, on a machine that is busy, without
#: a language, when a kernel goes
_ITS_OWN = re.compile(
    r"Failed to execute 'removeChild'|^Plugin \S+ .*(took .*|taking too long) to activate"
    r"|^Language pack 'C' not valid|^Canceled future for debug_request"
)


class Orders:
    """What a job is to do: lines of Python, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        #: the job that takes them
        self.source = _JOB.format(orders=str(path))

    def __call__(self, *lines: str) -> None:
        with self._path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def cell(self, magic: str) -> str:
        """A cell that begins with ``magic`` and takes orders."""
        return f"{magic}\n{self.source}"


@contextlib.contextmanager
def serving(home: Path) -> Iterator[AgentProcess]:
    """An agent with its home there, gone with all its jobs at the end."""
    agent = AgentProcess(home)
    try:
        agent.start()
        yield agent
    finally:
        agent.destroy()


def attached(home: Path, box: AgentProcess) -> dict[str, str]:
    """Attach ``box`` as ``gpu-box`` for the person whose home that is; the variables that say so."""
    AttachmentStore(home / "mlmagics").put(
        Attachment(name="gpu-box", url=box.url, credential="file", credential_from=str(box.home / "token"))
    )
    return {"MLMAGICS_CONFIG_DIR": str(home / "mlmagics"), "MLMAGICS_LOCAL_HOME": str(home / "local")}


@contextlib.contextmanager
def page_of(
    chromium: Any,
    size: tuple[int, int],
    *,
    listens: bool = False,
    lets: Callable[[str], bool] = lambda _: False,
) -> Iterator[Any]:
    """A page in a profile of its own; it is a fault when a script in it breaks.

    Parameters
    ----------
    chromium : Browser
        Where to open it.
    size : (int, int)
        Width and height.
    listens : bool
        Whether what a browser warns of is a fault as well.
    lets : callable
        Says of a warning that it is none.
    """
    troubles: list[str] = []
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    if listens:
        page.on(
            "console", lambda said: troubles.append(said.text) if said.type in ("warning", "error") else None
        )
    yield page
    context.close()
    found = [line for line in troubles if not _ITS_OWN.search(line) and not lets(line)]
    assert found == [], "\n".join(found)


def job_of(notebook: Notebook, cell: int) -> str:
    """What the job is called that a cell has started: ``gpu-box/42``."""
    expect = pytest.importorskip("playwright.sync_api").expect
    output = notebook.outputs(cell)
    expect(output).to_contain_text(re.compile(r"Job gpu-box/\d+: "), timeout=PATIENCE_MS)
    found = re.search(r"gpu-box/\d+", output.inner_text())
    assert found is not None
    return found[0]


def number(ref: str) -> int:
    """The number in the name of a job."""
    return int(ref.partition("/")[2])
