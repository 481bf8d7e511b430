"""Whether what is sent from here can be loaded there: versions of both sides compared. Pure."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cluster_agent.protocol import Packages, Runtime

#: Distributions whose pickles an older major version of them does not read; a newer one does (tried with numpy 1.26,
#: 2.2 and 2.3, pandas 2.2 and 3.0).
_MAJOR_MATTERS = ("numpy", "pandas")


@dataclass(frozen=True, kw_only=True)
class Side:
    """The Python that pickles, or the one that loads."""

    #: such as ``3.11.9``
    python: str
    implementation: str = "cpython"
    #: version of cloudpickle; empty when there is none
    cloudpickle: str = ""
    #: version by name, as names are compared
    distributions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def there(cls, packages: Packages) -> Side:
        """A job's side."""
        return cls(
            python=packages.version,
            implementation=packages.implementation,
            cloudpickle=packages.cloudpickle,
            distributions=packages.distributions,
        )


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What the pickles that are about to travel hold."""

    #: names of values with code of the notebook in them, such as lambdas
    code: Sequence[str] = ()
    #: by distribution, the names of values that hold objects of it
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Skew:
    """A difference between both sides, in one line with what to type."""

    #: an error: what is sent would not load, or not as what it was
    level: Literal["error", "remark"]
    code: str
    message: str


def here(distributions: Collection[str]) -> Side:
    """This process's side, with the versions of ``distributions``."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in {*distributions, "cloudpickle"}:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return Side(
        python=".".join(map(str, sys.version_info[:3])),
        implementation=sys.implementation.name,
        cloudpickle=found.get("cloudpickle", ""),
        distributions=found,
    )


def compare(
    ours: Side,
    theirs: Side,
    sent: Sent,
    *,
    cluster: str,
    asked: Collection[str] = (),
    runtimes: Sequence[Runtime] = (),
) -> list[Skew]:
    """What stands between what is ``sent`` and the job that loads it; nothing, mostly.

    Parameters
    ----------
    cluster
        Its name, for messages.
    asked
        Distributions that the job gets beside what is there (``--with``), as names are compared.
    runtimes
        Other interpreters of the cluster, which may fit.
    """
    found: list[Skew] = []
    if sent.code or sent.needs:
        found += _too_old(theirs, cluster)
    if sent.code and not found:
        found += _code(ours, theirs, sent, cluster, runtimes)
    for name, values in sorted(sent.needs.items()):
        if name not in asked:
            found += _distribution(name, values, ours, theirs, cluster)
    return found


def _too_old(theirs: Side, cluster: str) -> list[Skew]:
    if _numbers(theirs.python)[:2] >= (3, 8):
        return []
    message = f"the jobs of {cluster} run in Python {theirs.python}, and values travel to 3.8 or later: see %{cluster}"
    return [Skew(level="error", code="python", message=f"{message} for its runtimes")]


def _code(ours: Side, theirs: Side, sent: Sent, cluster: str, runtimes: Sequence[Runtime]) -> list[Skew]:
    names = ", ".join(sent.code)
    if (ours.implementation, _numbers(ours.python)[:2]) != (
        theirs.implementation,
        _numbers(theirs.python)[:2],
    ):
        return [
            Skew(
                level="error",
                code="python",
                message=(
                    f"{names}: code that is sent as a value needs the same Python on both sides: here it is "
                    f"{_named(ours)}, on {cluster} {_named(theirs)}; {_other_python(ours, runtimes)}"
                ),
            )
        ]
    if ours.cloudpickle and theirs.cloudpickle and _major(ours.cloudpickle) != _major(theirs.cloudpickle):
        return [
            Skew(
                level="error",
                code="cloudpickle",
                message=(
                    f"{names}: cloudpickle is {ours.cloudpickle} here and {theirs.cloudpickle} on {cluster}, which "
                    f'does not read it: %pip install "cloudpickle=={theirs.cloudpickle}" and restart the kernel, or '
                    f'--with "cloudpickle=={ours.cloudpickle}"'
                ),
            )
        ]
    return []


def _other_python(ours: Side, runtimes: Sequence[Runtime]) -> str:
    minor = ".".join(ours.python.split(".")[:2])
    fitting = [item.name for item in runtimes if item.python_version.split(".")[:2] == minor.split(".")]
    if fitting:
        return f"add --runtime {fitting[0]}"
    return "define it in the cell itself, or as a function with def, which travels as source"


def _distribution(name: str, values: Sequence[str], ours: Side, theirs: Side, cluster: str) -> list[Skew]:
    mine, their = ours.distributions.get(name, ""), theirs.distributions.get(name, "")
    what = ", ".join(values)
    if not mine:
        return []
    if not their:
        message = f'{what}: {name} is not installed on {cluster}: add --with "{name}=={mine}"'
        return [Skew(level="error", code="missing", message=message)]
    if name in _MAJOR_MATTERS and _major(mine) > _major(their):
        message = (
            f"{what}: {name} is {mine} here and {their} on {cluster}, which does not read what the newer one has "
            f'pickled: add --with "{name}=={mine}"'
        )
        return [Skew(level="error", code=name, message=message)]
    if _numbers(mine)[:2] != _numbers(their)[:2]:
        message = f"{what}: {name} is {mine} here and {their} on {cluster}"
        return [Skew(level="remark", code=name, message=message)]
    return []


def _named(side: Side) -> str:
    name = "Python" if side.implementation == "cpython" else side.implementation
    return f"{name} {side.python}"


def _major(version: str) -> int:
    return _numbers(version)[0]


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, at least two: ``2.1.0rc1`` is 2, 1, 0."""
    found: list[int] = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        found.append(int(digits) if digits else 0)
        if digits != part:
            break
    return tuple(found + [0] * (2 - len(found)))
