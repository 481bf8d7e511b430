"""A cell shows as a job what it shows in a notebook: output by output, from a real kernel and a real agent.

Both are brought into one form first (:func:`parity.normalised`): neighbouring texts of a stream are one; stdout stands
before stderr between two other outputs, because a kernel keeps no order between them (a job does); execution counts,
addresses, folders, ids of scikit-learn's HTML and, where a cell shows durations, numbers are replaced; of pictures the
kind and the size are compared.

What differs on purpose is in :data:`DIFFERENCES`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from parity import Cell, LocalKernel, Output, normalised, outputs_of_job, read_cells

from cluster_agent.client import AgentClient
from cluster_agent.protocol import Submit
from running import AgentProcess

CELLS = read_cells(Path(__file__).with_name("cells.ipy"))


@dataclass(frozen=True)
class Difference:
    """A cell whose outputs differ, and how they are told apart."""

    name: str
    reason: str
    source: str
    #: what only the kernel shows, and only the job
    kernel: str
    job: str


DIFFERENCES = [
    Difference(
        "exception_group",
        "a kernel prints it, with a frame of IPython; a job fails by it as by any other",
        "raise ExceptionGroup('several', [ValueError(1)])",
        "interactiveshell.py",
        "error ExceptionGroup several (1 sub-exception)",
    ),
    Difference(
        "error_within_exec",
        "frames of IPython are no news to the author",
        "exec('x = = 1')",
        "interactiveshell.py",
        "",
    ),
    Difference(
        "error_in_a_representation",
        "the cell goes on after it, and an error event says that a cell has failed",
        "class Broken:\n    def _repr_html_(self):\n        raise ValueError('no html')\nBroken()",
        "error ValueError no html",
        "stderr \x1b[31m-----",
    ),
    Difference(
        "unclosed_bracket",
        "a prompt waits for more; a job says what is wrong",
        "y = (2",
        "incomplete input",
        "'(' was never closed",
    ),
    Difference(
        "syntax_warning",
        "a kernel compiles a cell several times, and says it each time",
        "x = 5\nprint(x is 5)",
        "<>:2: SyntaxWarning",
        "",
    ),
    Difference(
        "usage_error",
        "a magic that cannot run fails the job",
        "%nosuchmagic",
        "stderr UsageError: Line magic",
        "error UsageError Line magic",
    ),
    Difference(
        "exit",
        "a job ends with the code that it says",
        "import sys\nprint('before')\nsys.exit(3)",
        "To exit: use 'exit', 'quit', or Ctrl-D",
        "",
    ),
    Difference(
        "input",
        "nobody sits before a job",
        "input('name? ')",
        "error StdinNotImplementedError",
        "error EOFError input() was called, but a job has no keyboard: write the value into the cell",
    ),
    Difference(
        "getpass",
        "nobody sits before a job",
        "import getpass\ngetpass.getpass()",
        "error StdinNotImplementedError",
        "error EOFError getpass() was called, but a job has no keyboard: pass the secret with --env",
    ),
    Difference(
        "error_in_a_thread",
        "a kernel tells every program that it may colour; a job's stderr is a file to read later",
        "import threading\nthread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()",
        "\x1b[1;35mZeroDivisionError\x1b[0m",
        "\nZeroDivisionError: division by zero",
    ),
    Difference(
        "no_unicode",
        "no character is lost",
        "print('bad \\udce4 end')",
        "bad \N{REPLACEMENT CHARACTER} end",
        "bad \\udce4 end",
    ),
    Difference(
        "history",
        "a job is one cell, and has seen no other",
        "len(In) > 1",
        "result True",
        "error NameError name 'In' is not defined",
    ),
    Difference(
        "asyncio_run",
        "a job has no event loop of its own that would be in the way",
        "import asyncio\nwork = asyncio.sleep(0, 5)\ntry:\n    print(asyncio.run(work))\nfinally:\n    work.close()",
        "asyncio.run() cannot be called from a running event loop",
        "stdout 5",
    ),
    Difference(
        "figure_of_text_alone",
        "a kernel takes it for empty",
        "import matplotlib.pyplot as plt\nplt.figtext(0.5, 0.5, 'only text')\nplt.show()",
        "",
        "image/png",
    ),
]


@pytest.fixture(scope="module")
def kernel() -> Iterator[LocalKernel]:
    # Whoever builds the cache of fonts says so on stderr.
    pytest.importorskip("matplotlib.font_manager")
    hidden = ("PYTHON", "CLUSTER_AGENT_", "JPY_", "VSCODE_", "NO_COLOR", "MPLBACKEND")
    kernel = LocalKernel({name: value for name, value in os.environ.items() if not name.startswith(hidden)})
    try:
        yield kernel
    finally:
        kernel.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentClient]:
    agent = AgentProcess(tmp_path_factory.mktemp("parity") / "agent")
    try:
        agent.start()
        yield agent.client()
    finally:
        agent.destroy()


def run_both(
    kernel: LocalKernel, client: AgentClient, source: str, *, numbers: bool = False
) -> tuple[list[Output], list[Output]]:
    """What the kernel showed, and what the job."""
    job = client.submit(Submit(source=source), os.urandom(8).hex())
    shown = kernel.run(source)
    told = outputs_of_job(client.follow(job.job_id))
    return normalised(shown, numbers=numbers), normalised(told, numbers=numbers)


@pytest.mark.parametrize("cell", CELLS, ids=[cell.name for cell in CELLS])
def test_a_job_shows_what_a_notebook_shows(kernel: LocalKernel, client: AgentClient, cell: Cell) -> None:
    for module in cell.needs:
        pytest.importorskip(module)
    shown, told = run_both(kernel, client, cell.source, numbers=cell.numbers)
    assert told == shown


@pytest.mark.parametrize("case", DIFFERENCES, ids=[case.name for case in DIFFERENCES])
def test_a_job_differs_on_purpose(kernel: LocalKernel, client: AgentClient, case: Difference) -> None:
    shown, told = (as_text(outputs) for outputs in run_both(kernel, client, case.source))
    assert case.kernel in shown
    assert case.job in told
    assert not case.kernel or case.kernel not in told
    assert not case.job or case.job not in shown


def test_an_error_of_the_project_shows_the_authors_lines_and_no_library(kernel: LocalKernel) -> None:
    pytest.importorskip("pandas")
    try:
        *_, error = normalised(
            kernel.run(
                "import os\nos.environ['PROJECT_URL'] = 'data:x'\nimport pandas as pd\n\n"
                "def load(name):\n    return pd.read_csv(f'project://{name}')\n\nload('a.csv')"
            )
        )
    finally:
        kernel.run("import os\ndel os.environ['PROJECT_URL']")
    assert error["ename"] == "NoProjectError"
    assert "data:x" in error["evalue"]
    assert "site-packages" not in error["traceback"]
    assert error["traceback"].count("----> ") == 2
    assert len(error["traceback"].splitlines()) < 20


def as_text(outputs: list[Output]) -> str:
    parts = []
    for output in outputs:
        if output["type"] == "stream":
            parts.append(f"{output['name']} {output['text']}")
        elif output["type"] == "error":
            parts.append(f"error {output['ename']} {output['evalue']}\n{output['traceback']}")
        else:
            parts.append(f"{output['type']} {output['data'].get('text/plain')} {sorted(output['data'])}")
    return "\n".join(parts)
