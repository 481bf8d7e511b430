"""What a cell says that it needs: the block of PEP 723 in its comments, and ``--with``. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from cluster_agent.protocol import Runtime
from mlmagics.errors import BadValue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: As PEP 723 has it.
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_BEGINNING = re.compile(r"(?m)^# /// script\s*$")
#: A comma before the next package, and not one within the brackets or behind the versions of this one.
_NEXT = re.compile(r",(?![^\[]*\])\s*(?=[A-Za-z0-9])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a cell needs installed."""

    #: requirements as in ``pyproject.toml``, each once
    packages: tuple[str, ...] = ()
    #: such as ``>=3.11``; empty when any Python will do
    requires_python: str = ""
    #: lines for whoever submits
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The distributions, as names are compared."""
        return frozenset(canonicalize_name(Requirement(text).name) for text in self.packages)


def wanted(source: str, packages: str | Iterable[str] = ()) -> Wanted:
    """What the cell ``source`` says in its block, and the ``packages`` of its first line.

    Raises
    ------
    BadValue
        When one of both cannot be understood; it says what to write.
    """
    block = _block(source)
    given = [_checked(text, "--with", "packages") for text in _split(packages)]
    if block is None:
        return Wanted(packages=tuple(dict.fromkeys(given)))
    listed = _texts(block, "dependencies")
    listed = [_checked(text, "dependencies", "source") for text in listed]
    notes = ("[tool] in the block is not used: ops say where packages come from",) if "tool" in block else ()
    return Wanted(
        packages=tuple(dict.fromkeys([*listed, *given])), requires_python=_python(block), notes=notes
    )


def check_python(asked: Wanted, version: str, cluster: str, runtimes: Sequence[Runtime]) -> None:
    """Nothing, when the cell runs in Python ``version``.

    Raises
    ------
    BadValue
        When it needs another one; with a runtime of the ``cluster`` that fits.
    """
    wants = SpecifierSet(asked.requires_python)
    if wants.contains(Version(version)):
        return
    fitting = [
        runtime
        for runtime in runtimes
        if runtime.python_version and wants.contains(Version(runtime.python_version))
    ]
    if fitting:
        advice = f"add --runtime {fitting[0].name} (Python {fitting[0].python_version})"
    else:
        advice = "change requires-python, or see %attachments for another cluster"
    raise BadValue(
        f"this cell needs Python {asked.requires_python}, and jobs of {cluster} have {version}: {advice}",
        field="source",
    )


def _block(source: str) -> dict[str, Any] | None:
    found = [match for match in _BLOCK.finditer(source) if match["type"] == "script"]
    if not found:
        if _BEGINNING.search(source):
            raise BadValue(
                "the block that begins with `# /// script` has no end: each of its lines begins with #, and the last"
                " is `# ///`",
                field="source",
            )
        return None
    if len(found) > 1:
        raise BadValue("the cell has two blocks `# /// script`: keep one of them", field="source")
    lines = found[0]["content"].splitlines()
    content = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    try:
        return cast(dict[str, Any], tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"the block `# /// script` is not TOML: {error}", field="source") from None


def _texts(block: dict[str, Any], key: str) -> list[str]:
    value = block.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadValue(
            f'{key} in the block `# /// script` is a list of texts: {key} = ["pandas>=2", "rich"]',
            field="source",
        )
    return value


def _python(block: dict[str, Any]) -> str:
    text = block.get("requires-python", "")
    try:
        SpecifierSet(text)
    except (InvalidSpecifier, TypeError, AttributeError):
        raise BadValue(
            f'requires-python in the block `# /// script` is a text such as ">=3.11", not {text!r}',
            field="source",
        ) from None
    return str(text)


def _split(packages: str | Iterable[str]) -> list[str]:
    texts = [packages] if isinstance(packages, str) else list(packages)
    return [part.strip() for text in texts for part in _NEXT.split(text) if part.strip()]


def _checked(text: str, where: str, field: str) -> str:
    try:
        Requirement(text)
    except InvalidRequirement:
        raise BadValue(
            f"{where}: {text[:100]!r} is no package: write a name, perhaps with a version, such as pandas>=2",
            field=field,
        ) from None
    return text
