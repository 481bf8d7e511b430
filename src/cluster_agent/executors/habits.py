"""Which interpreters to hold ready, learnt from the jobs that came; and which of them a job may take. Pure.

An interpreter that waits has imported what a cell would import first. A job takes it only where nobody can tell:
same interpreter, same variables but for the few that each job has of its own, and no import that the cell does not
begin with. Everything else starts cold.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from cluster_agent.isolation.ids import Ids

#: Set when the job comes, as nothing looks at them before.
OF_ONE_JOB = frozenset({"PROJECT_URL", "MLMAGICS_JOB_ID", "CUDA_VISIBLE_DEVICES"})
#: Jobs that are remembered.
_MEMORY = 30
#: Imports that so many of them began with are worth holding ready.
_OFTEN = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells interpreters apart that hold ready, and what a job would take."""

    python: str
    #: without those in :data:`OF_ONE_JOB`, sorted
    variables: tuple[tuple[str, str], ...]
    #: modules as a cell names them, in its order
    imports: tuple[str, ...] = ()
    #: whose it is, where that is not the agent's own user: it has run nothing as anybody else
    ids: Ids | None = None

    def serves(self, wanted: Kind) -> bool:
        """Whether a job that begins as ``wanted`` does may take an interpreter of this kind."""
        return (
            self.python == wanted.python
            and self.ids == wanted.ids
            and self.variables == wanted.variables
            and set(self.imports) <= set(wanted.imports)
        )

    def bare(self) -> Kind:
        """The same with nothing imported."""
        return replace(self, imports=())


def kind_of(
    python: str,
    variables: Mapping[str, str],
    source: str,
    *,
    own_modules: Collection[str],
    ids: Ids | None = None,
) -> Kind:
    """What the job would take.

    Parameters
    ----------
    own_modules
        Top-level names of modules that travel with the job, and so are not those of the interpreter.
    """
    shared = tuple(sorted((name, value) for name, value in variables.items() if name not in OF_ONE_JOB))
    imports = tuple(name for name in first_imports(source) if name.partition(".")[0] not in own_modules)
    return Kind(python, shared, imports, ids)


def first_imports(source: str) -> tuple[str, ...]:
    """What a cell imports before it does anything else, each once; without the standard library, which is quick."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        body = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(dict.fromkeys(name for name in _leading(body) if not _is_standard(name)))


def _leading(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                return
            yield node.module
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


class Habits:
    """The jobs that came lately."""

    def __init__(self) -> None:
        self._seen: deque[Kind] = deque(maxlen=_MEMORY)
        self._useless: set[Kind] = set()

    def note(self, kind: Kind) -> None:
        """A job has come that would take ``kind``."""
        self._seen.append(kind)

    def give_up(self, kind: Kind) -> None:
        """An interpreter of ``kind`` could not be made ready."""
        self._useless.add(kind)

    def wanted(self, count: int) -> list[Kind]:
        """Kinds of the ``count`` interpreters to hold ready, for jobs like the latest.

        The first has nothing imported, so that it serves any cell; the next has what cells begin with most often.
        """
        bare = self._seen[-1].bare() if self._seen else None
        if bare is None or bare in self._useless or not count:
            return []
        often = Counter(kind for kind in reversed(self._seen) if kind.bare() == bare and kind.imports)
        loaded = [
            kind for kind, times in often.most_common() if times >= _OFTEN and kind not in self._useless
        ]
        kinds = [bare, *loaded[: count - 1]]
        return kinds + [bare] * (count - len(kinds))


def choose(waiting: Collection[Kind], wanted: Kind) -> Kind | None:
    """Of the kinds that wait the one that saves a job most; None when it has to start cold."""
    fitting = [kind for kind in waiting if kind.serves(wanted)]
    return max(fitting, key=lambda kind: len(kind.imports), default=None)
