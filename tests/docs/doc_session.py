"""Does what a page says, as its reader would: a shell and a notebook in one new home directory.

On the pages the box is ``gpu-box``, the port 8900 and the person ``ada``; here it is this machine, a free port and
whoever runs the tests.
"""

from __future__ import annotations

import getpass
import os
import queue
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

from doc_output import agrees, normalised
from doc_pages import ROOT, Block
from front_end import FrontEnd, Shown

from mlmagics.cluster.local import LocalAgent
from running import AgentProcess

#: Commands that are run; of all others only the name is checked.
RUN = {"mlmagics", "cluster-agent", "curl", "cat", "cp", "ls"}
#: Commands of other projects and systems that pages may tell people to type.
FOREIGN = {
    *("pip", "uv", "pipx", "python", "python3", "python3.12", "git", "ssh", "scp", "rsync", "sudo"),
    *(
        "systemctl",
        "loginctl",
        "journalctl",
        "sqlite3",
        "docker",
        "papermill",
        "jupyter",
        "cd",
        "mkdir",
        "export",
    ),
}
_SHOWN_INVITE = re.compile(r"https?://gpu-box:8900#[\w.]+")
_SHOWN_URL = re.compile(r"(https?)://(?:gpu-box|127\.0\.0\.1|localhost):8900")
_CELL_FAILED = re.compile(r"^(?:Usage)?Error: ", re.MULTILINE)
_COMMAND_FAILED = re.compile(r"^(?:mlmagics|cluster-agent|curl): [^\n]*\Z", re.MULTILINE)
_DEADLINE_S = 60.0
#: What a card shows may come a moment after its cell.
_CARD_S = 15.0


class Mismatch(AssertionError):
    """A page shows something else than what comes."""

    def __init__(self, where: object, source: str, shown: str, real: str) -> None:
        parts = [f"{where}: {source.splitlines()[0]}", "shown:", textwrap.indent(shown, "    "), "came:"]
        super().__init__("\n".join([*parts, textwrap.indent(real, "    ")]))


class DocSession:
    """One reader of one page, from :meth:`run` to :meth:`close`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.local_home = home / "local"
        self.url = ""
        self._token = "typed"
        #: the line that somebody was sent last
        self.invite = ""
        self._front_end: FrontEnd | None = None
        self._serving: list[tuple[subprocess.Popen[str], Path]] = []
        self._env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLMAGICS_", "CLUSTER_AGENT_", "XDG_", "VSCODE_", "PROJECT_URL"))
        } | {
            "HOME": str(home),
            "IPYTHONDIR": str(home / ".ipython"),
            "MLMAGICS_CONFIG_DIR": str(home / ".config" / "mlmagics"),
            "MLMAGICS_LOCAL_HOME": str(self.local_home),
            "CLUSTER_AGENT_HOME": str(home / ".local" / "share" / "cluster-agent"),
            "CLUSTER_AGENT_PORT": "0",
            # the box of the pages has two
            "CLUSTER_AGENT_GPUS": "2",
            "NO_COLOR": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            # nothing may open a browser
            "BROWSER": "false",
        }

    def run(self, block: Block) -> None:
        """Do what ``block`` says and compare what comes with what it shows.

        Raises
        ------
        Mismatch
            When something else comes, or an error that is not shown.
        """
        if block.language in ("ipython", "python"):
            self._cell(block)
        elif block.language == "console":
            for command, shown in _commands(block.text):
                self._command(block, command, shown)

    def attach_box(self, page: Path) -> None:
        """Arrange what a page takes for granted: the magics are loaded and ``gpu-box`` is attached."""
        attach = "%attachments add gpu-box https://gpu-box:8900 --ca cert.pem --token-file "
        for language, text in [
            ("console", "$ cluster-agent init && cluster-agent serve"),
            ("ipython", "%load_ext mlmagics"),
            ("ipython", f"{attach}~/.local/share/cluster-agent/token"),
        ]:
            self.run(Block(page, 0, language, text, None))

    # --- the notebook -------------------------------------------------------------------------------------

    def _cell(self, block: Block) -> None:
        cell = self._notebook().send(self._translated(block.text))
        self._notebook().wait(lambda: self._answer() or (cell.status and cell.idle), within_s=_DEADLINE_S)
        if block.shows is None:
            if cell.status != "ok":
                raise Mismatch(block, block.text, "(no error)", cell.text)
            return
        shown = normalised(block.shows)
        if any("application/vnd.mlmagics.job+json" in data for data in cell.displays):
            self._wait_for_card(cell, shown)
        real = normalised(cell.text, self.home)
        failed = bool(_CELL_FAILED.search(shown))
        if not agrees(shown, real) or failed != (cell.status == "error"):
            raise Mismatch(block, block.text, shown, real)

    def _wait_for_card(self, cell: Shown, shown: str) -> None:
        deadline = time.monotonic() + _CARD_S
        self._notebook().wait(
            lambda: agrees(shown, normalised(cell.text, self.home)) or time.monotonic() > deadline
        )

    def _notebook(self) -> FrontEnd:
        if self._front_end is None:
            # as in JupyterLab, but that each cell waits for its job: a slow machine must not turn it into a card
            env = {**self._env, "JPY_SESSION_NAME": "page.ipynb", "MLMAGICS_WAIT": "1"}
            self._front_end = FrontEnd(env)
            assert self._front_end.run(f"import os; os.chdir({str(self.home)!r}); del os").status == "ok"
        return self._front_end

    def _answer(self) -> bool:
        """Paste the last token when the cell asks for one."""
        client = self._notebook()._client
        try:
            client.get_stdin_msg(timeout=0)
        except queue.Empty:
            return False
        client.input(self._token)
        return False

    # --- the shell ----------------------------------------------------------------------------------------

    def _command(self, block: Block, command: str, shown: str) -> None:
        *first, last = command.split(" && ")
        for part in first:
            self._check_or_run(block, part, "")
        self._check_or_run(block, last, shown)

    def _check_or_run(self, block: Block, command: str, shown: str) -> None:
        words = shlex.split(command, comments=True)
        name = Path(words[0]).name
        if name == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
            return
        if name not in RUN:
            assert name in FOREIGN, f"{block}: who has a command {name}?"
            return
        if words[:2] == ["cluster-agent", "serve"]:
            real, failed = self._serve(command)
        elif shutil.which(name, path=self._env["PATH"]) is None:
            return
        else:
            done = self._shell(command)
            real, failed = done.stdout, done.returncode != 0
        self._remember(words, real)
        real, shown = normalised(real, self.home), normalised(shown)
        if failed != bool(_COMMAND_FAILED.search(shown)) or (shown and not agrees(shown, real)):
            raise Mismatch(block, command, shown or "(no error)", real)

    def _shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", self._translated(command)],
            cwd=self.home,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )

    def _serve(self, command: str) -> tuple[str, bool]:
        """What an agent says that begins to serve, in the background, and whether it refuses.

        A second one in the same home is a restart.
        """
        words = self._expanded(command)
        home = Path(
            words[words.index("--home") + 1] if "--home" in words else self._env["CLUSTER_AGENT_HOME"]
        )
        for process, served in self._serving:
            if served == home:
                _stop(process)
        process = subprocess.Popen(
            words, cwd=self.home, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._serving.append((process, home))
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _DEADLINE_S)
        assert ready, f"{command}: it says nothing"
        line = process.stdout.readline()
        if "ready: " not in line:
            return line + process.stdout.read(), True
        address = urlsplit(line.split()[2])
        self.url = f"{address.scheme}://localhost:{address.port}"
        return line, False

    def _expanded(self, command: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", f"printf '%s\\0' {self._translated(command)}"],
            env=self._env, cwd=self.home, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split("\0")[:-1]

    def _remember(self, words: list[str], output: str) -> None:
        if words[:3] == ["cluster-agent", "token", "create"] and output.startswith("mlm_"):
            self._token = output.strip()
        if words[:2] == ["cluster-agent", "invite"] and (code := re.search(r"#mli1\w+", output)):
            self.invite = f"{self.url}{code[0]}"
        if words[:2] == ["cluster-agent", "init"]:
            # somebody carries the certificate to where the notebook is
            shutil.copy(Path(self._env["CLUSTER_AGENT_HOME"]) / "cert.pem", self.home / "cert.pem")

    def _translated(self, text: str) -> str:
        text = _SHOWN_INVITE.sub(lambda found: self.invite or found[0], text)
        text = _SHOWN_URL.sub(lambda found: self.url or found[0], text)
        text = text.replace("--port 8900", "--port 0")
        return re.sub(r"\bada\b", getpass.getuser(), text)

    def close(self) -> None:
        """End everything that was begun."""
        if self._front_end is not None:
            self._front_end.close()
        for process, _ in self._serving:
            _stop(process)
        if self.local_home.exists():
            LocalAgent(self.local_home).stop()
        for instance in self.home.glob("**/instance.json"):
            AgentProcess(instance.parent).destroy()


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.stdout is not None
    process.stdout.close()


def _commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it."""
    found: list[tuple[str, str]] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = command[:-1] + next(lines).strip()
            found.append((command, ""))
        else:
            assert found, f"a console block begins with '$ ', not {line!r}"
            command, shown = found[-1]
            found[-1] = (command, f"{shown}{line}\n")
    return found
