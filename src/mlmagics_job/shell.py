"""An IPython shell inside a job: magics, ``!commands``, rich displays, with frames in place of a screen.

Importing this module imports IPython; :meth:`mlmagics_job.state.Job.shell` does so on first use.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from contextlib import contextmanager

from IPython.core import page
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.process import system as run_in_terminal
from traitlets import Type
from traitlets.config import Config

from mlmagics_job import display, errors, pictures, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from mlmagics_job.state import Job


class JobPublisher(DisplayPublisher):  # type: ignore[misc]  # IPython is not there when types are checked
    """Sends what is displayed to the reader of the job."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *_: Any,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **__: Any,
    ) -> None:
        """Send one bundle."""
        display_id = (transient or {}).get("display_id")
        display.publish(data, metadata, display_id=display_id, update=update)

    def clear_output(self, wait: bool = False) -> None:
        """Clear what was shown so far."""
        display.clear_output(wait)


class JobDisplayHook(DisplayHook):  # type: ignore[misc]
    """Sends the last expression of a cell."""

    def write_output_prompt(self) -> None:
        """A job has no prompts."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        """Send the bundle, unless a forked child came here: its parent sends it."""
        if not state.current or not state.current.in_child:
            display.publish(format_dict, md_dict, result=True)

    def log_output(self, format_dict: dict[str, Any]) -> None:
        """Keep nothing: the event log does."""

    def finish_displayhook(self) -> None:
        """Print no line after it."""
        self._is_active = False


class JobCompiler(CachingCompiler):  # type: ignore[misc]
    """Calls the cell by its job, in tracebacks."""

    #: file name for what is compiled next
    cell_name = ""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """The cell's own name once, IPython's for code that it runs later."""
        name: str = self.cell_name or super().get_code_name(raw_code, transformed_code, number)
        self.cell_name = ""
        return name

    def format_code_name(self, name: str) -> Any:
        """The label and name that a traceback shows."""
        job = state.current
        if job is not None and name == job.filename:
            return "Cell", job.title
        if job is not None and name in job.texts:
            return "Cell", name[1:-1]
        return super().format_code_name(name)


class JobShell(InteractiveShell):  # type: ignore[misc]
    """The shell of one job. Nothing outlives it: no history, no profile of the user's."""

    display_pub_class = Type(JobPublisher)
    displayhook_class = Type(JobDisplayHook)
    compiler_class = Type(JobCompiler)

    def __init__(self, job: Job, **options: Any) -> None:
        #: the exception that ended the cell, if one did
        self.failure: BaseException | None = None
        self._job = job
        super().__init__(**options)

    def init_user_ns(self) -> None:
        """Leave ``exit``, ``quit`` and ``open`` as Python has them: ``exit(3)`` ends a job with code 3."""
        super().init_user_ns()
        for name in ("exit", "quit", "open"):
            self.user_ns.pop(name, None)

    def init_builtins(self) -> None:
        """Add ``get_ipython`` and ``display``, hide nothing."""
        super().init_builtins()
        self.builtin_trap.auto_builtins = {"get_ipython": self.get_ipython}

    def init_display_formatter(self) -> None:
        """Let figures be shown as pictures also without ``%matplotlib``."""
        super().init_display_formatter()
        png = self.display_formatter.formatters["image/png"]
        png.for_type_by_name("matplotlib.figure", "Figure", pictures.png)

    def init_environment(self) -> None:
        """Let programs at the terminal that ``!command`` gives them wait for nobody who could press a key."""
        for name, value in (("TERM", "xterm-color"), ("PAGER", "cat"), ("GIT_PAGER", "cat")):
            os.environ.setdefault(name, value)

    def atexit_operations(self) -> None:
        """Leave the names of the cell where they are: what it has registered for the end needs them."""

    def system_piped(self, cmd: str) -> None:
        """Run ``!command``; what it asks is answered by the end of input, as in the cell itself."""
        self.user_ns["_exit_code"] = run_in_terminal("exec </dev/null; " + self.var_expand(cmd, depth=1))

    system = system_piped

    def enable_gui(self, gui: str | None = None) -> None:
        """Nothing to do for pictures; there is no screen for more."""
        if gui:
            raise UsageError("a job has no screen for %r: use %%matplotlib inline" % gui)

    @contextmanager
    def _tee(self, **_: Any) -> Iterator[None]:
        # IPython 9 would keep all that is printed in memory.
        yield

    def showtraceback(self, exc_tuple: Any = None, *_: Any, **__: Any) -> None:
        """Send the exception that ends the cell; print others, such as that of a failing ``__repr__``."""
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if error is None:
            return
        if exc_tuple and not isinstance(error, SyntaxError):
            errors.mention(self._job, error)
            return
        self.failure = error
        if not isinstance(error, SystemExit):
            errors.report(self._job, error)

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        """Send the syntax error."""
        self.showtraceback()

    def lines_of(self, error: BaseException) -> list[str]:
        """The coloured traceback of ``error``."""
        lines: list[str]
        if hasattr(error, "_render_traceback_"):
            lines = error._render_traceback_()
        elif isinstance(error, UsageError):
            lines = ["UsageError: %s" % error]
        elif isinstance(error, SyntaxError):
            frames = traceback.extract_tb(error.__traceback__)
            lines = self.SyntaxTB.structured_traceback(type(error), error, frames)
        else:
            trace = error.__traceback__
            lines = self.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
        return lines

    def run(self, source: str) -> BaseException | None:
        """Run a cell in full IPython syntax; return what ended it early, which is reported already."""
        self.compile.cell_name = self._job.filename
        result = self.run_cell(source, store_history=True)
        return self.failure or result.error_before_exec or result.error_in_exec


def create(job: Job) -> JobShell:
    """The shell of ``job``, which there may be one of."""
    folder = tempfile.mkdtemp(prefix="mlmagics-")
    atexit.register(_remove, folder, os.getpid())
    config = Config()
    config.HistoryAccessor.enabled = False
    config.HistoryManager.enabled = False
    config.InteractiveShell.warn_venv = False
    if os.environ.get("NO_COLOR"):
        config.InteractiveShell.colors = "nocolor"
    # IPython's advice for people at a prompt.
    warnings.filterwarnings("ignore", message="To exit: use", category=UserWarning)
    shell: JobShell = JobShell.instance(job=job, config=config, ipython_dir=folder, user_module=job.main)
    shell.set_hook("show_in_pager", page.as_hook(_show_page), 90)
    if "InlineBackend" in job.source:
        _offer_inline_settings(shell)
    return shell


def _offer_inline_settings(shell: JobShell) -> None:
    """Let ``%config InlineBackend.figure_format = ...`` choose how figures are shown."""
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    settings = InlineBackend.instance(parent=shell)
    settings.shell = shell
    shell.configurables.append(settings)


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _show_page(data: Any, *_: Any, **__: Any) -> None:
    # obj? and %page: a job has no pager, so the text becomes part of its output.
    display.publish(data if isinstance(data, dict) else {"text/plain": data})
