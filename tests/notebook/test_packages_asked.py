"""Packages and runtimes of a cell, as people ask for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from front_end import FrontEnd

from running import AgentProcess, until
from wheels import make_wheel

VERSION = ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def links(tmp_path: Path) -> Path:
    folder = tmp_path / "links"
    make_wheel(folder, "apple", "1.0")
    make_wheel(folder, "apple", "2.0", requires=["core-thing"])
    make_wheel(folder, "core-thing", "1.5")
    return folder


@pytest.fixture
def agent(start_agent: Callable[..., AgentProcess], tmp_path: Path, links: Path) -> AgentProcess:
    home = tmp_path / "box"
    home.mkdir()
    (home / "agent.toml").write_text(
        f"""
[runtimes.dl]
python = "{sys.executable}"
description = "Deep learning"
[packages]
find_links = ["{links}"]
offline = true
"""
    )
    return start_agent("--gpus", "0", home=home)


def test_packages_come_with_a_cell_and_the_same_ones_again(lab: FrontEnd, links: Path) -> None:
    ran = lab.run(
        '%%gpu-box --wait --with "apple>=1,core-thing" --as job\nimport apple\nprint(apple.version)'
    )
    lines = ran.text.splitlines()
    assert "with apple>=1, core-thing" in lines[2]
    assert lines[-1] == "2.0"
    locked = lab.run("print(job.lock())").text
    assert "apple==2.0 --hash=sha256:" in locked
    environment = lab.run("print(job.info.environment)").text.strip()
    assert environment
    assert f"environment {environment}" in lab.run("%jobs").text
    lab.run("import mlmagics")
    again = "job = mlmagics.submit('1', packages='apple').wait()\nprint(bool(job.info.environment))"
    assert lab.run(again).text == "True\n"
    make_wheel(links, "apple", "3.0")
    assert lab.run(f"%resubmit {_ref(ran)} --wait").text.splitlines()[-1] == "2.0"
    assert lab.run(f"%resubmit {_ref(ran)} --wait --with apple").text.splitlines()[-1] == "3.0"


def _ref(ran: object) -> str:
    return str(getattr(ran, "text")).split()[1].rstrip(":")  # noqa: B009


def test_packages_stand_in_the_cell_itself(lab: FrontEnd) -> None:
    cell = '# /// script\n# requires-python = ">=3.8"\n# dependencies = ["apple"]\n# ///\nimport apple\nprint(apple.version)'
    assert lab.run(f"%%gpu-box --wait\n{cell}").text.splitlines()[-1] == "2.0"


REFUSED = [
    (
        "--with pear",
        "1",
        "Error: gpu-box: pear is not on this box, which does not ask the network for packages",
    ),
    ("--with apple>7", "1", "only apple<=2.0 is available and you require apple>7"),
    ("--with=--index-url", "1", "'--index-url' is no package"),
    ("--runtime tf", "1", "Error: gpu-box: there is no runtime 'tf' here; there is dl"),
    (
        "",
        '# /// script\n# requires-python = "<3"\n# ///\n1',
        f"needs Python <3, and jobs of gpu-box have {VERSION}",
    ),
    ("", "# /// script\n# dependencies = [\n# ///\n1", "is not TOML"),
]


def test_what_cannot_be_had_is_refused_before_anything_is_queued(lab: FrontEnd, agent: AgentProcess) -> None:
    for line, cell, says in REFUSED:
        told = lab.run(f"%%gpu-box {line}\n{cell}").text
        assert says in told
        assert told.startswith("Error: ")
        assert len(told.strip().splitlines()) == 1
    assert agent.client().jobs().jobs == []


def test_runtimes_are_listed_completed_and_used(lab: FrontEnd, agent: AgentProcess) -> None:
    until(lambda: agent.client().info().runtimes[0].python_version)
    assert f"--runtime dl   Python {VERSION}, Deep learning" in lab.run("%gpu-box").text
    assert "runtimes: dl" in lab.run("%attachments").text
    until(lambda: lab.complete("%%gpu-box --runtime ") == ["%%gpu-box --runtime dl"])
    ran = lab.run("%%gpu-box --wait --runtime dl --as job\nprint('ran')")
    assert "runtime dl" in ran.text.splitlines()[2]
    assert lab.run("print(job.info.environment)").text == "dl\n"


def test_a_value_of_a_variable_is_shown_nowhere(lab: FrontEnd, agent: AgentProcess, tmp_path: Path) -> None:
    canary = f"canary{os.urandom(8).hex()}"
    refused = lab.run(f"%%gpu-box --env DB=postgres://ada:{canary}@host/db\n1").text
    assert "--env DB=...: this looks like a secret" in refused
    assert canary not in refused
    lab.run(f"import os\nos.environ['DB'] = {canary!r}")
    ran = lab.run(
        "%%gpu-box --wait --env DB --with apple --as job\nimport os, apple\nprint(len(os.environ['DB']))\nraise ValueError('no')"
    )
    assert f"{len(canary)}\n" in ran.text
    assert canary not in ran.text
    assert (
        canary
        not in lab.run("print(job, job.info, job.logs(), list(job.events(follow=False)), job.lock())").text
    )
    held = [
        path
        for folder in (agent.home, tmp_path / "config")
        for path in folder.rglob("*")
        if _holds(path, canary.encode())
    ]
    assert held == []


def _holds(path: Path, text: bytes) -> bool:
    """Whether it is a file with that in it; bytecode that is being written has another name a moment later."""
    try:
        return path.is_file() and text in path.read_bytes()
    except FileNotFoundError:
        return False
