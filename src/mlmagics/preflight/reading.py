"""A cell as a tree of plain Python: IPython's syntax translated, and the code inside its magics unwrapped. Pure.

``%time x = f()`` binds ``x`` and uses ``f``; translated by IPython alone it is a call with a text. So magics that
run code are replaced by that code. Magics that may bind any name make a cell *dynamic*: what it lacks cannot be
told for sure.
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

Lines = dict[str, tuple[int, ...]]

#: options with a value of the magics that run code here and now
_RUN_HERE = {"time": "", "prun": "lsTD", "memit": "rti", "lprun": "fmDTsu", "mprun": "fmT"}
_TIMEIT_VALUES = "nrp"
#: cell magics whose text is not Python
_OTHER_TEXT = frozenset({
    "!", "HTML", "SVG", "bash", "cmd", "file", "html", "javascript", "js", "latex", "markdown", "perl", "pypy",
    "python", "python2", "python3", "ruby", "script", "sh", "svg", "sx", "system", "writefile",
})  # fmt: skip
#: line magics that bind no names
_HARMLESS = frozenset({
    "!", "alias", "autoawait", "autocall", "automagic", "autoreload", "bookmark", "cat", "cd", "clear", "code_wrap",
    "colors", "conda", "config", "cp", "dhist", "dirs", "doctest_mode", "env", "hist", "history", "killbgscripts",
    "ldir", "less", "lf", "lk", "ll", "load_ext", "ls", "lsmagic", "lx", "magic", "mamba", "man", "matplotlib",
    "micromamba", "mkdir", "more", "mv", "notebook", "page", "pdef", "pdoc", "pfile", "pinfo", "pinfo2", "pip", "popd",
    "pprint", "precision", "psearch", "psource", "pushd", "pwd", "pycat", "quickref", "rehashx", "reload_ext",
    "reset_selective", "rm", "rmdir", "save", "set_env", "sx", "system", "tb", "unalias", "unload_ext", "uv", "who",
    "who_ls", "whos", "xmode",
})  # fmt: skip
_WORD = re.compile(r"[^\W\d]\w*")
_IN_BRACES = re.compile(r"\{\s*([^\W\d]\w*)[^{}]*\}")
_IN_SHELL = re.compile(r"(?<!\$)\$([^\W\d]\w*)")
_IN_QUERY = re.compile(r"@([^\W\d]\w*)")
_BOUND_BY_SCRIPT = re.compile(r"--(?:out|err|proc)[ =]([^\W\d]\w*)")


@dataclass(frozen=True)
class Cell:
    """A cell that has been read."""

    tree: ast.Module
    #: plain Python with the same names as ``tree``; None where the tree has to be written down first
    plain: str | None
    #: names that texts for IPython and pandas may mean (``!echo {x}``, ``df.query("a > @t")``), with their lines
    mentioned: Lines
    #: whether a magic may bind names that cannot be seen
    dynamic: bool
    #: how many lines of the source stand before the first of the tree
    above: int = 0

    @cached_property
    def text(self) -> str:
        """Plain Python with the same names as the tree."""
        return ast.unparse(self.tree) if self.plain is None else self.plain

    def line(self, node: ast.AST) -> int:
        """The line of the source in which ``node`` begins."""
        return int(getattr(node, "lineno", 1)) + self.above


def read(source: str) -> Cell:
    """``source`` as a tree.

    Raises
    ------
    SyntaxError
        When neither Python nor IPython understands it here; a newer Python may.
    ValueError
        For null bytes.
    """
    with warnings.catch_warnings():
        # an invalid escape is the job's to warn about
        warnings.simplefilter("ignore")
        unwrap = _Unwrap()
        tree, plain, above = unwrap.code(source)
        for node in ast.walk(tree):
            unwrap.query(node)
    mentioned = {
        name: tuple(sorted({line + above for line in lines})) for name, lines in unwrap.mentioned.items()
    }
    return Cell(tree, None if unwrap.changed else plain, mentioned, unwrap.dynamic, above)


@dataclass
class _Unwrap(ast.NodeTransformer):
    """Replaces calls of magics by the code that these run."""

    changed: bool = False
    dynamic: bool = False
    mentioned: dict[str, list[int]] = field(default_factory=dict)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def code(self, source: str) -> tuple[ast.Module, str, int]:
        """Tree and text of ``source``, and how many of its lines stand above them."""
        try:
            return ast.parse(source), source, 0
        except SyntaxError:
            plain, above = _translated(source)
        tree = self.visit(ast.parse(plain))
        return ast.fix_missing_locations(tree), plain, above

    def query(self, node: ast.AST) -> None:
        """Note what the text of ``df.query("a > @t")`` means by names."""
        match node:
            case ast.Call(
                func=ast.Attribute(attr="query" | "eval"), args=[ast.Constant(value=str(text)), *_]
            ):
                self._mention(_IN_QUERY, text, node.lineno)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        """A magic that is a statement of its own."""
        match _call_of_ipython(node.value):
            case ("run_line_magic", [name, text]):
                return self._line_magic(name, text, node)
            case ("run_cell_magic", [name, line, body]):
                return self._cell_magic(name, line, body, node)
            case (_, texts):
                self._shell(texts, node)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """``x = %magic`` and ``x = !command``."""
        match _call_of_ipython(node.value):
            case ("run_line_magic", [name, text]) if name in _RUN_HERE:
                code = self._body(_without_options(text, _RUN_HERE[name]), node)
                if len(code) == 1 and isinstance(code[0], ast.Expr):
                    node.value = code[0].value
                    self.changed = True
            case (_, texts):
                self._shell(texts, node)
        return self.generic_visit(node)

    def _line_magic(self, name: str, text: str, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        if name in _RUN_HERE:
            return self._instead(self._body(_without_options(text, _RUN_HERE[name]), node))
        if name == "timeit":
            return self._instead(self._timed(_without_options(text, _TIMEIT_VALUES), "", node))
        self._shell([text], node)
        self.dynamic |= name not in _HARMLESS
        return node

    def _cell_magic(self, name: str, line: str, body: str, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        if name in _RUN_HERE:
            first = _without_options(line, _RUN_HERE[name])
            return self._instead([*self._body(first, node), *self._body(body, node, below=1)])
        if name == "timeit":
            return self._instead(self._timed(_without_options(line, _TIMEIT_VALUES), body, node))
        if name == "capture":
            words = [word for word in line.split() if _WORD.fullmatch(word)]
            return self._instead([*self._body(body, node, below=1), *_bound(words, node)])
        if name in _OTHER_TEXT:
            return self._instead([node, *_bound(_BOUND_BY_SCRIPT.findall(line), node)])
        self.dynamic = True
        return node

    def _instead(self, code: list[ast.stmt]) -> list[ast.stmt] | ast.Pass:
        self.changed = True
        return code or ast.Pass()

    def _body(self, text: str, node: ast.stmt, below: int = 0) -> list[ast.stmt]:
        if not text.strip():
            return []
        try:
            tree, _, above = self.code(text)
        except (SyntaxError, ValueError):
            return []
        ast.increment_lineno(tree, node.lineno - 1 + below + above)
        return tree.body

    def _timed(self, setup: str, body: str, node: ast.stmt) -> list[ast.stmt]:
        # what is timed runs in a function: it binds nothing outside
        code = [*self._body(setup, node), *self._body(body, node, below=1)]
        if not code:
            return []
        (function,) = ast.parse(f"def __timed_{next(self._number)}(): pass").body
        assert isinstance(function, ast.FunctionDef)
        function.body = code
        return [ast.copy_location(function, node)]

    def _shell(self, texts: list[str], node: ast.stmt) -> None:
        for text in texts:
            self._mention(_IN_BRACES, text, node.lineno)
            self._mention(_IN_SHELL, text, node.lineno)

    def _mention(self, pattern: re.Pattern[str], text: str, line: int) -> None:
        for name in pattern.findall(text):
            self.mentioned.setdefault(name, []).append(line)


def _translated(source: str) -> tuple[str, int]:
    from IPython.core.inputtransformer2 import TransformerManager

    above = sum(1 for _ in itertools.takewhile(lambda line: not line.strip(), source.split("\n")))
    return TransformerManager().transform_cell(source), above


def _call_of_ipython(node: ast.expr) -> tuple[str, list[str]] | None:
    """Method and texts of a call that IPython's translation has made."""
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr=method), args=args
        ):
            return method, [
                arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
    return None


def _without_options(text: str, valued: str) -> str:
    text = text.lstrip()
    while option := re.match(r"-(\w)(\S*)(\s+|$)", text):
        text = text[option.end() :]
        if option[1] in valued and not option[2]:
            text = text.partition(" ")[2].lstrip()
    return text


def _bound(names: list[str], node: ast.stmt) -> list[ast.stmt]:
    return [
        ast.copy_location(
            ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=ast.Constant(value=None)), node
        )
        for name in names
    ]
