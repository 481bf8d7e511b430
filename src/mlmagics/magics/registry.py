"""The magics themselves: their names in IPython, kept in step with the attachments file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from IPython.core.magic import no_var_expand

from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import current
from mlmagics.display.writing import say
from mlmagics.errors import UserError
from mlmagics.magics import attachments as clusters
from mlmagics.magics import cells, commands
from mlmagics.magics import logs as log_command
from mlmagics.magics.completion import Completion
from mlmagics.magics.words import HelpAskedFor, WrongUse, joined

Magic = Callable[..., None]


class Magics:
    """The magics of one shell, from :meth:`load` to :meth:`unload`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._watched = cells.Watched()
        self._registered: dict[tuple[str, str], Magic] = {}
        self._stamp: object = object()
        self._clusters: list[str] = []
        self._told: set[str] = set()
        self._completion = Completion(self.clusters)

    def clusters(self) -> list[str]:
        """Names of the clusters as they were when the last cell began."""
        return self._clusters

    def load(self) -> None:
        """Register everything."""
        shell = self._shell
        for name, magic in {
            "attachments": lambda line: clusters.manage(shell, line, self._taken()),
            "logs": lambda line: log_command.show_logs(shell, line),
            "wait": commands.wait_for,
            "jobs": lambda line: commands.list_jobs(shell, line),
            "cancel": commands.cancel_jobs,
            "extend": commands.extend_job,
            "fetch": lambda line: commands.fetch(shell, line),
        }.items():
            self._register("line", name, magic)
        self._register("cell", "on", self._on)
        self._register("line", "%on", lambda _line: _raise(clusters.not_first("on NAME")))
        self._sync()
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        self._completion.load(shell)

    def unload(self) -> None:
        """Take everything back; jobs go on."""
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        self._shell.events.unregister("post_run_cell", self._after_cell)
        self._completion.unload(self._shell)
        self._watched.stop()
        for kind, name in [*self._registered]:
            self._unregister(kind, name)

    def _on(self, line: str, cell: str) -> None:
        line, cell = joined(line, cell)
        name, _, rest = line.partition(" ")
        if not name or name.startswith("-"):
            if name in ("-h", "--help"):
                raise HelpAskedFor("usage: %%on NAME [options]\n\nThe options of %%NAME; see %NAME help.\n")
            raise WrongUse("%%on: say on which cluster, first of all: %%on NAME [options]")
        cells.run_cell(self._shell, self._watched, name, rest, cell)

    def _before_cell(self, *_info: object) -> None:
        if current().store.stamp() != self._stamp:
            self._sync()
        for name in self._clusters:
            ours = self._registered.get(("cell", name))
            if ours is not None and self._known("cell").get(name) is not ours:
                self._tell_once(name, f"Another extension has taken the magic %%{name}: use %%on {name}")

    def _after_cell(self, *_info: object) -> None:
        for line in self._watched.ends.take():
            say(line)

    def _sync(self) -> None:
        """Make the magics named after clusters those of the attachments file."""
        session = current()
        self._stamp = session.store.stamp()
        try:
            names = session.clusters()
        except UserError as error:
            # the names that are known stay; the next change of the file is looked at again
            self._tell_once(error.message, f"The attachments were not read: {error.message}")
            names = self._clusters or [LOCAL]
        for name in self._clusters:
            if name not in names:
                for kind, magic in (("cell", name), ("line", name), ("line", f"%{name}")):
                    self._unregister(kind, magic)
        for name in names:
            self._register_cluster(name)
        self._clusters = names

    def _register_cluster(self, name: str) -> None:
        if ("cell", name) in self._registered:
            return
        if any(name in self._known(kind) for kind in ("line", "cell")):
            self._tell_once(name, f"{name} is the name of another magic: use %%on {name}")
            return
        run = functools.partial(cells.run_cell, self._shell, self._watched, name)
        self._register("cell", name, run)
        self._register("line", name, lambda line: clusters.show_cluster(self._shell, name, line))
        # IPython looks for a line magic called %NAME when %%NAME is not in the first line
        self._register("line", f"%{name}", lambda _line: _raise(clusters.not_first(name)))

    def _taken(self) -> frozenset[str]:
        ours = {name for _kind, name in self._registered}
        return frozenset(name for kind in ("line", "cell") for name in self._known(kind)) - ours

    def _known(self, kind: str) -> dict[str, Any]:
        known: dict[str, Any] = self._shell.magics_manager.magics[kind]
        return known

    def _register(self, kind: str, name: str, magic: Magic) -> None:
        """Register ``magic`` unless something of this name is there: replacing a magic is silent in IPython."""
        if name in self._known(kind):
            self._tell_once(
                name, f"{'%' if kind == 'line' else '%%'}{name} is another extension's: it stays so"
            )
            return
        wrapped = _as_magic(magic, name)
        self._shell.magics_manager.register_function(wrapped, magic_kind=kind, magic_name=name)
        self._registered[kind, name] = self._known(kind)[name]

    def _unregister(self, kind: str, name: str) -> None:
        magic = self._registered.pop((kind, name), None)
        if magic is not None and self._known(kind).get(name) is magic:
            del self._known(kind)[name]

    def _tell_once(self, about: str, line: str) -> None:
        if about not in self._told:
            self._told.add(about)
            say(line)


def _as_magic(magic: Magic, name: str) -> Magic:
    """``magic`` as IPython wants it: no expansion of ``$`` and ``{}``, help shown instead of raised."""

    def run(*given: str) -> None:
        try:
            magic(*given)
        except HelpAskedFor as asked:
            say(asked.text.rstrip("\n"))

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"mlmagics: %{name} --help tells more."
    no_var_expand(run)
    return run


def _raise(error: UserError) -> None:
    raise error from None


def greeting(names: list[str]) -> str:
    """The line that ``%load_ext mlmagics`` shows."""
    attached = [name for name in names if name != LOCAL]
    if not attached:
        return "mlmagics: a cell that begins with %%local runs as a job on this machine; clusters: %attachments add"
    return f"mlmagics: %%{attached[0]} runs a cell there. Attached: {', '.join(attached)}; %attachments lists them"


_loaded: dict[int, Magics] = {}


def load(shell: Any) -> None:
    """Register the magics in ``shell`` and say so."""
    magics = Magics(shell)
    _loaded[id(shell)] = magics
    magics.load()
    say(greeting(magics.clusters()))


def unload(shell: Any) -> None:
    """Take the magics out of ``shell``."""
    magics = _loaded.pop(id(shell), None)
    if magics is not None:
        magics.unload()
