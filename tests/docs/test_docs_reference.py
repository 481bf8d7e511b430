"""The reference says all that there is, and nothing that there is not."""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec
import pytest
from doc_pages import ROOT, code_in, first_codes, rows, section
from IPython.core.interactiveshell import InteractiveShell

import mlmagics
from cluster_agent import protocol
from cluster_agent.cli import _parser
from cluster_agent.config import default_of, settings
from cluster_agent.errors import BY_CODE
from cluster_agent.jobs.submit import OWN_VARIABLES
from cluster_agent.server.routes import ROUTES
from cluster_agent.supervisor.environment import INHERITED
from mlmagics.cli.main import _COMMANDS
from mlmagics.cluster import session
from mlmagics.errors import ClusterError, UserError
from mlmagics.lab.git import tasks
from mlmagics.lab.git.asked import Credentials
from mlmagics.lab.git.calls import CALLS
from mlmagics.magics import attachments, config, options, registry, verbs
from mlmagics.magics.words import LineParser
from mlmagics.preflight.finding import Code

REFERENCE = ROOT / "docs" / "reference"
GIT = REFERENCE / "git.md"
HTTP, EVENTS, ERRORS = REFERENCE / "http.md", REFERENCE / "events.md", REFERENCE / "errors.md"
MAGICS, CONFIGURATION, PYTHON = (
    REFERENCE / "magics.md",
    REFERENCE / "configuration.md",
    REFERENCE / "python.md",
)


def submodules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def kinds(cls: type) -> list[type]:
    return [cls, *(kind for sub in cls.__subclasses__() for kind in kinds(sub))]


# --- HTTP ---------------------------------------------------------------------------------------------------


def test_docs_http_has_every_route() -> None:
    documented = [tuple(cell.strip("`") for cell in row[:4]) for row in rows(section(HTTP, "Routes"))]
    expected = []
    for route in ROUTES:
        body = route.takes.__name__ if route.takes else "bytes" if route.sink else ""
        gives = route.gives if isinstance(route.gives, str) else route.gives.__name__ if route.gives else ""
        expected.append((f"{route.method} {route.path}", route.role or "open", body, gives))
    assert documented == expected


def test_docs_http_has_every_query_parameter() -> None:
    documented = {(code_in(row[0])[0], code_in(row[1])[0]) for row in rows(section(HTTP, "Query parameters"))}
    assert documented == {(f"{route.method} {route.path}", name) for route in ROUTES for name in route.query}


def wire_types() -> dict[str, type[msgspec.Struct]]:
    found = [route.takes for route in ROUTES if route.takes]
    found += [route.gives for route in ROUTES if isinstance(route.gives, type)]
    found += [
        protocol.Limits,
        protocol.Usage,
        protocol.Project,
        protocol.Runtime,
        protocol.KeptEnvironments,
        protocol.FileEntry,
        protocol.ResultEntry,
        protocol.TokenInfo,
    ]
    return {kind.__name__: kind for kind in found}


@pytest.mark.parametrize("name", sorted(wire_types()))
def test_docs_http_has_every_field(name: str) -> None:
    kind = wire_types()[name]
    assert sorted(first_codes(section(HTTP, name))) == sorted(kind.__struct_fields__)


def test_docs_http_has_no_other_type() -> None:
    text = section(HTTP, "Requests") + section(HTTP, "Replies")
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == set(wire_types())


@pytest.mark.parametrize("kind", [route.takes for route in ROUTES if route.takes])
def test_docs_http_tells_the_defaults(kind: type[msgspec.Struct]) -> None:
    for row in rows(section(HTTP, kind.__name__)):
        field = next(f for f in msgspec.structs.fields(kind) if f.name == code_in(row[0])[0])
        if field.required:
            assert row[1] == "(required)", field.name
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            assert row[1].strip("`") == msgspec.json.encode(default).decode(), field.name


# --- events -------------------------------------------------------------------------------------------------


def event_types() -> dict[str, set[str]]:
    """Types and fields as the docstring of Event has them."""
    lines = (inspect.getdoc(protocol.Event) or "").splitlines()
    table = [line for line in lines if re.match(r"^[a-z]+ +\S", line)]
    body = table[[line.split()[0] for line in table].index("type") + 1 :]
    return {
        line.split()[0]: set(re.findall(r"\w+", " ".join(re.findall(r"``([^`]*)``", line)))) for line in body
    }


def test_docs_events_have_every_type_and_field() -> None:
    documented = {code_in(row[0])[0]: set(code_in(row[1])) for row in rows(section(EVENTS, "Types"))}
    known = event_types()
    assert set(documented) == set(known)
    for name, fields in known.items():
        missing = (fields & set(protocol.Event.__struct_fields__)) - {"tag", "version"} - documented[name]
        assert not missing, f"{name}: {missing}"


def test_docs_events_have_no_other_field() -> None:
    common = set(first_codes(section(EVENTS, "Common fields")))
    documented = {field for row in rows(section(EVENTS, "Types")) for field in code_in(row[1])}
    assert common | documented == set(protocol.Event.__struct_fields__)


def test_docs_events_examples_are_events() -> None:
    found = [line for line in EVENTS.read_text(encoding="utf-8").splitlines() if line.startswith('{"seq"')]
    assert found
    for number, line in enumerate(found, start=1):
        raw = msgspec.json.decode(line)
        assert protocol.decode_event(line).seq == number
        assert set(raw) <= set(protocol.Event.__struct_fields__), line


# --- errors -------------------------------------------------------------------------------------------------


def test_docs_errors_have_every_code_of_an_agent() -> None:
    documented = {code_in(row[0])[0]: row[1] for row in rows(section(ERRORS, "From an agent"))}
    assert documented == {code: str(kind.http_status or "none") for code, kind in BY_CODE.items()}


def test_docs_errors_have_every_code_of_the_notebook_side() -> None:
    list(submodules(mlmagics))
    # by both: a class of git's has the name of another one
    documented = {(code_in(row[1])[0], row[0]) for row in rows(section(ERRORS, "In Python"))}
    known = {(kind.__name__, f"`{kind.code}`") for kind in {*kinds(UserError)} - {ClusterError}}
    assert documented == {*known, (ClusterError.__name__, "the agent's")}


# --- git in the sidebar -------------------------------------------------------------------------------------


def test_docs_magics_have_every_finding_about_a_cell() -> None:
    assert set(first_codes(section(MAGICS, "What a cell is checked for"))) == set(get_args(Code))


def test_docs_git_has_every_call_and_field() -> None:
    documented = {code_in(row[0])[0]: code_in(row[1]) for row in rows(section(GIT, "Calls"))}
    known = {}
    for name, call in CALLS.items():
        body = Credentials if name == "credentials" else call.takes  # type: ignore[attr-defined]
        known[name] = [field.name for field in msgspec.structs.fields(body)]
    assert documented == {name: documented[name] for name in known}
    for name, fields in known.items():
        assert sorted(documented[name]) == sorted(fields), name


def test_docs_git_has_every_state_of_a_task() -> None:
    states = first_codes(section(GIT, "Tasks"))
    told = inspect.getdoc(tasks) or ""
    assert set(states) == set(re.findall(r"\b[a-z_]+\b", told.partition("::")[2].partition("all of")[0]))


# --- configuration ------------------------------------------------------------------------------------------


def test_docs_configuration_has_every_setting_with_its_default() -> None:
    table = [row for row in rows(section(CONFIGURATION, "Agent")) if len(row) == 3]
    assert [code_in(row[0])[0] for row in table] == [item.name for item in settings()]
    for row, item in zip(table, settings(), strict=True):
        if row[1]:
            assert item.metadata["parse"](code_in(row[1])[0]) == default_of(item), item.name
        else:
            assert default_of(item) in (None, "", ()) or item.name in {"home", "python"}, item.name


def test_docs_configuration_has_every_command_of_the_agent() -> None:
    documented = {code_in(row[0])[0]: row for row in rows(section(CONFIGURATION, "Commands of the agent"))}
    known = dict(agent_commands(_parser(), "cluster-agent"))
    assert {" ".join(word for word in line.split() if not word.isupper()) for line in documented} == set(
        known
    )
    for line, row in documented.items():
        parser = known[" ".join(word for word in line.split() if not word.isupper())]
        flags = {flag for action in parser._actions for flag in action.option_strings}
        told = set(re.findall(r"--[a-z-]+", row[1]))
        if line == "cluster-agent serve":
            assert told <= flags
        else:
            assert told == flags - {"-h", "--help", "--home"}, line


def agent_commands(
    parser: argparse.ArgumentParser, name: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for group in groups:
        for word, command in group.choices.items():
            yield from agent_commands(command, f"{name} {word}")


def test_docs_configuration_has_every_variable() -> None:
    of_jobs = section(CONFIGURATION, "Variables of a job")
    assert set(first_codes(of_jobs)) == OWN_VARIABLES - {"MLMAGICS_CONTROL_FD"}
    assert set(code_in(of_jobs)) >= INHERITED
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "mlmagics").glob("**/*.py"))
    read = set(re.findall(r"""environ(?:\.get\(|\[|\) ?)?"(MLMAGICS_\w+)""", source))
    read |= set(re.findall(r'"(MLMAGICS_\w+|PROJECT_URL|NO_COLOR)"', source))
    assert set(first_codes(section(CONFIGURATION, "Notebook side"))) == read


# --- magics -------------------------------------------------------------------------------------------------

PARSERS: dict[str, Callable[[], LineParser]] = {
    "%%NAME: run a cell": lambda: options.cell_parser("%%gpu-box"),
    "%NAME config: what cells need not say": lambda: config.config_parser("%gpu-box config"),
    "%attachments": attachments.add_parser,
    **{f"%{name}": verb.parser for name, verb in verbs.LINE_MAGICS.items()},
}


@pytest.mark.parametrize("title", PARSERS)
def test_docs_magics_have_every_option(title: str) -> None:
    text = section(MAGICS, title)
    documented = {code.split()[0] for code in first_codes(text) if code.startswith("-")}
    parser = PARSERS[title]()
    assert documented == {flag for action in parser._actions for flag in action.option_strings}


@pytest.mark.parametrize("title", PARSERS)
def test_docs_magics_tell_what_an_option_takes(title: str) -> None:
    for action in PARSERS[title]()._actions:
        for flag in action.option_strings:
            code = next(c for c in first_codes(section(MAGICS, title)) if c.split()[0] == flag)
            takes = action.nargs != 0
            assert (len(code.split()) == 2) is takes, code
            assert ("[" in code.replace("[=VALUE]", "")) is (action.nargs in ("?", "*")), code


def test_docs_magics_have_every_magic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLMAGICS_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    # what is attached here is nobody else's business, and the other way round
    monkeypatch.setattr(session, "_current", None)
    shell: Any = InteractiveShell()
    magics = registry.Magics(shell)
    magics.load()
    try:
        registered = {("%%" if kind == "cell" else "%") + name for kind, name in magics._registered}
    finally:
        magics.unload()
        shell.history_manager.end_session()
    titles = re.findall(r"^## (%\S+?):?(?: .*)?$", MAGICS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {title.replace("NAME", "local") for title in titles} == registered


def test_docs_magics_have_every_verb_of_attachments() -> None:
    documented = {code for code in first_codes(section(MAGICS, "%attachments")) if code.startswith("%")}
    assert {code.split()[1] for code in documented if " " in code} == set(attachments.verb_parsers())


def test_docs_magics_have_every_command() -> None:
    documented = {code.split()[0] for code in first_codes(section(MAGICS, "The command mlmagics"))}
    assert documented == set(_COMMANDS)


# --- Python -------------------------------------------------------------------------------------------------


def test_docs_python_has_every_name() -> None:
    text = PYTHON.read_text(encoding="utf-8")
    titles = set(re.findall(r"^#{2,3} (\w+)$", text, re.MULTILINE)) - {"Functions"}
    internal = {"__version__", "load_ipython_extension", "unload_ipython_extension"}
    assert titles == set(mlmagics.__all__) - internal


@pytest.mark.parametrize("name", ["submit", "jobs"])
def test_docs_python_has_every_parameter(name: str) -> None:
    taken = set(inspect.signature(getattr(mlmagics, name)).parameters) - {"session"}
    assert set(first_codes(section(PYTHON, name))) == taken


@pytest.mark.parametrize("name", ["wait", "cancel", "logs", "log"])
def test_docs_python_has_every_parameter_of_short_calls(name: str) -> None:
    (call,) = (c for c in code_in(section(PYTHON, name)) if c.startswith(f"mlmagics.{name}("))
    taken = set(inspect.signature(getattr(mlmagics, name)).parameters) - {"session"}
    assert {
        word.split("=")[0].lstrip("*") for word in call.partition("(")[2].rstrip(")").split(", ")
    } == taken


def test_docs_python_has_every_attribute_of_a_job() -> None:
    documented = {code.partition("(")[0]: code for code in first_codes(section(PYTHON, "Job"))}
    public = {name for name in dir(mlmagics.Job) if not name.startswith("_")}
    assert set(documented) == public | {"cluster", "info", "notes", "session"}
    for name, code in documented.items():
        if "(" in code:
            told = {word.split("=")[0].lstrip("*") for word in code.partition("(")[2].rstrip(")").split(", ")}
            taken = set(inspect.signature(getattr(mlmagics.Job, name)).parameters)
            assert told - {""} == taken - {"self", "on_trouble", "stop", "hook"}, name
