"""The one place where git is started: through GitPython, with a time limit, and ended with all that it has started.

The caller gives fixed words and checked values; nothing here is built from text, and no shell is used.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from mlmagics.lab.git.cancelling import Cancel
from mlmagics.lab.git.environment import Environment
from mlmagics.lab.git.refusals import Cancelled, GitMissing, TookTooLong

#: From asking git to end until it is killed; asked, it removes its locks.
GRACE_S = 5.0
#: What somebody who has left git's group holds open is not waited for any longer.
_DRAIN_S = 2.0
_LOOK_S = 0.02
_CHUNK = 65536
#: Of what git writes to its standard error.
_ERRORS_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a call."""

    status: int
    out: bytes
    #: the end of what it wrote to standard error
    err: bytes
    #: whether there was more output than was asked for
    cut: bool = False

    @property
    def text(self) -> str:
        """The output without the line end."""
        return self.out.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def errors(self) -> str:
        """What it wrote to standard error."""
        return self.err.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a call is made."""

    folder: Path
    environment: Environment
    limit_s: float
    stdin: bytes | None = None
    cancel: Cancel | None = None
    #: output beyond ends the call
    most_bytes: int = 256 << 20
    #: gets what is written to standard error, as it comes
    watch: Callable[[bytes], None] | None = None


def run_git(words: Sequence[str], way: Way) -> Done:
    """What ``git`` with these ``words`` says.

    Raises
    ------
    GitMissing
        When there is no git.
    Cancelled, TookTooLong
        When it was ended before its end.
    """
    if way.cancel is not None and way.cancel.is_set():
        raise Cancelled()
    run = _Run(_start(words, way), way)
    with contextlib.ExitStack() as stack:
        if way.cancel is not None:
            stack.enter_context(way.cancel.on(run.cancel))
        limit = threading.Timer(way.limit_s, run.run_out)
        limit.daemon = True
        limit.start()
        stack.callback(limit.cancel)
        return run.finish()


def _start(words: Sequence[str], way: Way) -> Any:
    # here, because importing it looks for git
    try:
        from git.cmd import Git
        from git.exc import GitCommandNotFound
    except ImportError:
        raise GitMissing() from None
    program = shutil.which("git", path=way.environment.variables["PATH"])
    if program is None:
        raise GitMissing()
    command = [program, "--no-pager", *words]
    if way.environment.unset:
        # GitPython adds to the environment of this process, and takes nothing away
        flags = [word for name in way.environment.unset for word in ("-u", name)]
        command = [shutil.which("env") or "env", *flags, *command]
    try:
        return Git(way.folder).execute(
            command,
            istream=None if way.stdin is None else subprocess.PIPE,
            as_process=True,
            shell=False,
            env=way.environment.variables,
            start_new_session=True,
        )
    except (GitCommandNotFound, OSError) as error:
        raise GitMissing(f"git cannot be started: {error}") from None


class _Run:
    """A process of git under way."""

    def __init__(self, handle: Any, way: Way) -> None:
        # GitPython ends the process once nobody has this any more; threads that still read have it
        self._handle = handle
        self._process: subprocess.Popen[bytes] = handle.proc
        self._way = way
        self._out: list[bytes] = []
        self._err = b""
        self._cut = False
        self._why: Cancelled | TookTooLong | None = None
        #: held while the process is signalled or reaped, so that no signal meets another process
        self._lock = threading.Lock()
        self._gone = False
        self._kill: threading.Timer | None = None

    def cancel(self) -> None:
        """End it: that was asked for."""
        self._end(Cancelled())

    def run_out(self) -> None:
        """End it: its time is over."""
        self._end(TookTooLong(f"git took longer than {self._way.limit_s:g} s and was stopped"))

    def finish(self) -> Done:
        """Wait for its end."""
        threads = [
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True),
        ]
        if self._way.stdin is not None:
            threads.append(threading.Thread(target=self._feed, args=(self._process.stdin,), daemon=True))
        for thread in threads:
            thread.start()
        self._await_end()
        deadline = time.monotonic() + _DRAIN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        why, self._why = self._why, None
        if why is not None:
            raise why
        return Done(self._process.returncode, b"".join(self._out), self._err, self._cut)

    def _await_end(self) -> None:
        if hasattr(os, "waitid"):
            # not reaped yet: its number, and that of its group, cannot be anybody else's
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        if self._why is not None or self._cut:
            self._await_family()
        with self._lock:
            if self._why is not None or self._cut:
                self._signal("SIGKILL")
            self._gone = True
            if self._kill is not None:
                self._kill.cancel()
            self._process.wait()

    def _await_family(self) -> None:
        """Let what git has started clean up, too, before it is killed."""
        deadline = time.monotonic() + GRACE_S
        while _family(self._process.pid) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)

    def _end(self, why: Cancelled | TookTooLong | None) -> None:
        with self._lock:
            if self._gone or self._kill is not None:
                return
            self._why = why
            self._kill = threading.Timer(GRACE_S, self._kill_now)
            self._kill.daemon = True
            self._kill.start()
            self._signal("SIGTERM")

    def _kill_now(self) -> None:
        with self._lock:
            if not self._gone:
                self._signal("SIGKILL")

    def _signal(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.Signals[name])
                return
            family = psutil.Process(self._process.pid)
            for process in (*family.children(recursive=True), family):
                process.kill()

    def _read(self, stream: IO[bytes]) -> None:
        size = 0
        for chunk in _chunks(stream):
            size += len(chunk)
            if not self._cut:
                self._out.append(chunk)
            if size > self._way.most_bytes and not self._cut:
                self._cut = True
                self._end(None)

    def _listen(self, stream: IO[bytes]) -> None:
        for chunk in _chunks(stream):
            self._err = (self._err + chunk)[-_ERRORS_BYTES:]
            if self._way.watch is not None:
                self._way.watch(chunk)

    def _feed(self, stream: IO[bytes]) -> None:
        # git may end without having read all
        with contextlib.suppress(OSError), stream:
            stream.write(self._way.stdin or b"")


def _family(group: int) -> bool:
    """Whether others than its leader are alive in a process group."""
    if not hasattr(os, "getpgid"):
        return False
    for process in psutil.process_iter(["status"]):
        if process.pid != group and process.info["status"] != psutil.STATUS_ZOMBIE:
            with contextlib.suppress(OSError):
                if os.getpgid(process.pid) == group:
                    return True
    return False


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    with stream, contextlib.suppress(OSError):
        while chunk := os.read(stream.fileno(), _CHUNK):
            yield chunk
