"""The first section of the how-to for ops, done as it says: from nothing to a box with two people on two GPUs."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent.parent / name) for name in ("docs", "notebook")]

from doc_pages import ROOT, blocks
from doc_session import DocSession

from cluster_agent.client import AgentClient
from cluster_agent.config import load_config
from cluster_agent.home import Home
from cluster_agent.protocol import Submit
from mlmagics.cluster import attaching
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from running import until

PAGE = ROOT / "docs" / "howto-ops.md"
TITLE, NEXT = "## A box in ten minutes", "## Install"
OURS = "tests/agent/test_howto_ops.py"


@pytest.fixture
def admin():
    home = Path(
        tempfile.mkdtemp(prefix="box-")
    )  # a short path: a Unix socket's address holds about 100 bytes
    session = DocSession(home)
    try:
        yield session
    finally:
        session.close()
        shutil.rmtree(home, ignore_errors=True)


def steps():
    """The blocks of the section, in their order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin, end = lines.index(TITLE), lines.index(NEXT)
    return [block for block in blocks(PAGE) if begin < block.line <= end]


def make_python(home):
    """What the page's `python3 -m venv ~/jobs` makes: another Python, with IPython in it."""
    python = home / "jobs" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)


def set_lines(file, text):
    """Take the `#` from the lines of ``file`` that ``text`` sets, as the page says."""
    content = file.read_text()
    for line in text.splitlines():
        if "=" in line:
            name = line.split()[0]
            content, count = re.subn(rf"^# {name} = .*$", line, content, count=1, flags=re.MULTILINE)
            assert count == 1, f"{file} has no line for {name}"
    file.write_text(content)


def test_the_page_takes_an_admin_from_nothing_to_a_box_for_two(admin, tmp_path):
    place = admin.home / ".local" / "share" / "cluster-agent"
    make_python(admin.home)
    for block in steps():
        if block.language == "toml":
            set_lines(place / "agent.toml", block.text)
        elif block.not_run is None or OURS in block.not_run:
            admin.run(replace(block, not_run=None))
    config = load_config({"home": str(place)}, {})
    assert (config.shared_uid, config.gpus, config.python) == (True, 2, str(admin.home / "jobs/bin/python"))
    assert config.limits.of("grace", "user").jobs == 4

    grace = Session(AttachmentStore(tmp_path / "grace"), LocalAgent(tmp_path / "local"))
    try:
        row = attaching.add("gpu-box", admin.invite, session=grace)
        assert (row.info.user, row.gpus) == ("grace", 2)
        source = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(600)"
        with AgentClient("http://localhost", uds=str(Home(place).socket)) as ada:
            spec = Submit(source=source, gpus=1)
            mine, hers = ada.submit(spec, "ada").job_id, grace.client("gpu-box").submit(spec, "grace").job_id
            texts = [
                until(lambda job_id=job_id: b"".join(ada.output(job_id, "stdout"))) for job_id in (mine, hers)
            ]
            assert {text.strip() for text in texts} == {b"0", b"1"}
            assert ada.info().running == 2
            assert {job.user for job in ada.jobs().jobs} == {"grace", ada.info().user}
            for job_id in (mine, hers):
                ada.cancel(job_id)
    finally:
        grace.close()


def test_the_section_is_whole():
    """All that the page names is done here: a block that nobody runs would be noticed by nobody."""
    found = steps()
    assert [block.language for block in found].count("toml") == 1
    skipped = [block for block in found if block.not_run is not None and OURS not in block.not_run]
    assert skipped == []
    commands = "\n".join(block.text for block in found)
    for command in (
        "init --python",
        "serve",
        "doctor",
        "invite ada",
        "invite grace",
        "%attachments add",
        "%%gpu-box",
    ):
        assert command in commands
