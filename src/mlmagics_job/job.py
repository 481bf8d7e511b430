"""The course of a job's process: order in, cell run, figures out, exit code."""

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(kit: str) -> Any:
    """Run the job that the supervisor orders; return what ``sys.exit`` takes."""
    fd = os.environ.pop("MLMAGICS_CONTROL_FD", "")
    if not fd.isdigit():
        return "mlmagics_job/run.py is started by the supervisor of a job, not by hand"
    if os.environ.pop("MLMAGICS_UNBLOCK", ""):
        import signal

        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    job = _prepare(int(fd), os.path.join(kit, "shim"))

    from mlmagics_job import cell

    code: Any
    try:
        code = cell.run(job)
    except SystemExit as ended:
        code = ended.code
    try:
        return _finish(job, code)
    except KeyboardInterrupt:
        return 130


def _prepare(fd: int, shim: str) -> Any:
    import faulthandler

    from mlmagics_job import late, state
    from mlmagics_job.channel import Channel
    from mlmagics_job.streams import Pair

    streams = Pair()
    streams.install()
    faulthandler.enable(2)
    channel = Channel(fd)
    late.install(streams)
    order = _receive(channel, streams)

    main_module = type(sys)("__main__")
    main_module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main_module
    sys.argv = [""]
    if os.path.isdir(shim):
        sys.path.append(shim)
    job = state.Job(order, channel, streams, main_module)
    state.current = streams.job = job
    if "linecache" in sys.modules:
        job.remember_source()
    builtins.display = _display  # type: ignore[attr-defined]
    builtins.input = late.refuse_input
    return job


def _receive(channel: Any, streams: Any) -> Any:
    """The order; before it comes this process may be asked to make itself ready."""
    given = os.environ.pop("MLMAGICS_ORDER_FD", "")
    order = channel.receive(int(given) if given else None)
    if "imports" in order:
        from mlmagics_job import ahead

        return ahead.wait(channel, order["imports"], streams)
    return order


def _display(*objs: Any, **options: Any) -> Any:
    """Show objects in the job's output, as :func:`mlmagics_job.display.display` does."""
    from mlmagics_job.display import display

    return display(*objs, **options)


def _finish(job: Any, code: Any) -> Any:
    if "mlmagics_job.figures" in sys.modules:
        code = _show_figures(job) or code
    if not job.in_child and (code is None or (isinstance(code, int) and code == 0)):
        _send_results(job)
    return code


def _send_results(job: Any) -> None:
    # a cell that nobody asked anything of, and that has made no data, pays for no import
    if job.fetch or (job.keep_each and _has_data(job)):
        from mlmagics_job import results

        results.send_all(job)


def _has_data(job: Any) -> bool:
    if len(job.main.__dict__) <= len(job.given):
        return False
    from mlmagics_job.made import made_here

    return bool(made_here(job))


def _show_figures(job: Any) -> int:
    from mlmagics_job import errors, pictures

    try:
        pictures.finish()
    except Exception as error:
        # A figure that cannot be drawn is the cell's failure, as it would be in plt.show().
        errors.report(job, error)
        return 1
    return 0
