"""What the kit does only when the cell gets there: after an import, or before another program starts.

So a cell that needs none of it pays for none of it.
"""

from __future__ import annotations

import os
import sys

from mlmagics_job import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Sequence

    from mlmagics_job.streams import Pair

NO_KEYBOARD = "a job has no keyboard: write the value into the cell, or pass it with --env NAME=VALUE"
NO_HIDDEN_INPUT = "a job has no keyboard: pass the secret with --env NAME"

#: Audit events after which another program writes into the same pipes.
_PROGRAM_STARTS = frozenset(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"))


def install(streams: Pair) -> None:
    """Arrange all that waits for its moment; the job itself may be known later."""
    actions: dict[str, Callable[[ModuleType], None]] = {
        "getpass": _replace_getpass,
        "matplotlib": _choose_backend,
        "pandas": _show_as_in_notebook,
        "IPython.core.interactiveshell": _offer_shell,
    }
    if "linecache" not in sys.modules:
        actions["linecache"] = _remember_source
    sys.meta_path.insert(0, AfterImport(actions))
    sys.addaudithook(_watcher(streams))


class AfterImport:
    """Finder that lets the others find, and calls an action when the named module has been executed."""

    def __init__(self, actions: dict[str, Callable[[ModuleType], None]]) -> None:
        self._actions = actions

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> Any:
        """The spec that the other finders give, with the action behind its loader; None for most names."""
        action = self._actions.pop(name, None)
        if action is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is not None and spec.loader is not None:
                spec.loader = _ThenCall(spec.loader, action)
                return spec
        # Not there yet: an installation in the cell may bring it.
        self._actions[name] = action
        return None


class _ThenCall:
    """Loader that hands over to the real one once that is done."""

    def __init__(self, loader: Any, action: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._action = action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._action(module)


def _replace_getpass(module: Any) -> None:
    def getpass(*_: Any, **__: Any) -> str:
        raise EOFError("getpass() was called, but " + NO_HIDDEN_INPUT)

    module.getpass = getpass


def _choose_backend(module: Any) -> None:
    # Not by MPLBACKEND: programs that the cell starts would inherit a backend which they cannot use.
    if "MPLBACKEND" not in os.environ:
        from mlmagics_job import pictures

        module.use(pictures.BACKEND)


def _show_as_in_notebook(module: Any) -> None:
    # pandas takes a Python without a kernel for a terminal, whose width then decides which columns are seen.
    if module.get_option("display.max_columns") == 0:
        module.set_option("display.max_columns", 20)


def _remember_source(_: Any) -> None:
    if state.current is not None:
        state.current.remember_source()


def _offer_shell(module: Any) -> None:
    """Let libraries that ask IPython for its shell find one, made when the first of them asks."""
    base = module.InteractiveShell

    def offer(name: str) -> None:
        def ask(cls: Any, *args: Any, **options: Any) -> Any:
            for offered in ("initialized", "instance"):
                if offered in base.__dict__:
                    delattr(base, offered)
            if state.current is not None:
                state.current.shell()
            return getattr(cls, name)(*args, **options)

        setattr(base, name, classmethod(ask))

    offer("initialized")
    offer("instance")


def _watcher(streams: Pair) -> Callable[[str, tuple[Any, ...]], None]:
    starts = _PROGRAM_STARTS
    native_code = False

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal native_code
        if event in starts:
            streams.flush()
        elif event == "import" and not native_code and args[1] and "site-packages" in str(args[1]):
            native_code = True
            _line_buffer_c()

    return watch


def _line_buffer_c() -> None:
    """Make ``printf`` of libraries show its lines as they come, like Python's."""
    try:
        import ctypes

        library = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        line_buffered = 0 if os.name == "nt" else 1
        library.setvbuf(ctypes.c_void_p.in_dll(library, name), None, line_buffered, ctypes.c_size_t(0))
    except (ImportError, OSError, AttributeError, ValueError):
        pass  # no ctypes, or another C library: its output then comes when its buffer is full, or at the end


def refuse_input(*_: object) -> str:
    """In place of ``input()``: waiting for a person would be waiting for ever."""
    raise EOFError("input() was called, but " + NO_KEYBOARD)
