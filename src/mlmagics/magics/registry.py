"""The magics themselves: their names in IPython, kept in step with the attachments file."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand

from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import current
from mlmagics.display.writing import say
from mlmagics.errors import UserError
from mlmagics.magics import attachments as clusters
from mlmagics.magics import cells, one_cluster
from mlmagics.magics.candidates import Candidates
from mlmagics.magics.completion import Completion
from mlmagics.magics.verbs import LINE_MAGICS
from mlmagics.magics.words import HelpAskedFor, WrongUse, joined

Magic = Callable[..., None]


class Magics:
    """The magics of one shell, from :meth:`load` to :meth:`unload`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._watched = cells.Watched(shell)
        self._registered: dict[tuple[str, str], Magic] = {}
        self._stamp: object = object()
        self._clusters: list[str] = []
        self._told: set[str] = set()
        self._completion = Completion(self.clusters, Candidates())

    def clusters(self) -> list[str]:
        """Names of the clusters as they were when the last cell began."""
        return self._clusters

    def load(self) -> None:
        """Register everything."""
        shell = self._shell
        self._register("line", "attachments", lambda line: clusters.manage(shell, line, self._taken()))
        for name, verb in LINE_MAGICS.items():
            self._register("line", name, functools.partial(verb.run, shell))
        self._register("line", "on", functools.partial(one_cluster.on_cluster, shell))
        self._register("cell", "on", self._on)
        self._register("line", "%on", lambda _line: _raise(one_cluster.not_first("on NAME")))
        self._sync()
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        self._watched.load()
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
                raise HelpAskedFor(one_cluster.ON_HELP)
            raise WrongUse("%%on: say on which cluster, first of all: %%on NAME [options]")
        cells.run_cell(self._shell, self._watched, name, rest, cell)

    def _before_cell(self, *_info: object) -> None:
        if current().store.stamp() != self._stamp:
            self._sync()
        for name in self._clusters:
            ours = self._registered.get(("cell", name))
            if ours is not None and self._known("cell").get(name) is not ours:
                self._tell_once(name, f"Another extension has taken the magic %%{name}: use %%on {name}")

    def _after_cell(self, result: object = None) -> None:
        near = unknown_magic(getattr(result, "error_in_exec", None), self._clusters)
        if near is not None:
            say(f"Did you mean %%{near}?")
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
        self._register("line", name, functools.partial(one_cluster.show_cluster, self._shell, name))
        # IPython looks for a line magic called %NAME when %%NAME is not in the first line
        self._register("line", f"%{name}", lambda _line: _raise(one_cluster.not_first(name)))

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


def unknown_magic(error: object, clusters: list[str]) -> str | None:
    """The cluster that was probably meant when IPython knows no cell magic of the name that was written."""
    written = (
        re.match(r"Cell magic `%%(\S+)` not found", str(error)) if isinstance(error, UsageError) else None
    )
    if written is None:
        return None
    return next(iter(difflib.get_close_matches(written[1].lower(), clusters, n=1, cutoff=0.6)), None)


def greeting(names: list[str]) -> str:
    """The line that ``%load_ext mlmagics`` shows."""
    attached = [name for name in names if name != LOCAL]
    if not attached:
        return "mlmagics: a cell that begins with %%local runs as a job on this machine; clusters: %attachments add"
    return f"mlmagics: %%{attached[0]} runs a cell there. Attached: {', '.join(attached)}; %attachments lists them"


_loaded: dict[int, Magics] = {}


def load(shell: Any) -> None:
    """Register the magics in ``shell``, anew where they are there already, and say so."""
    unload(shell)
    magics = Magics(shell)
    _loaded[id(shell)] = magics
    magics.load()
    say(greeting(magics.clusters()))


def unload(shell: Any) -> None:
    """Take the magics out of ``shell``."""
    magics = _loaded.pop(id(shell), None)
    if magics is not None:
        magics.unload()
