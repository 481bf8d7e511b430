"""The recorded answers about a repository, which the front end's tests read, have the form of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from git_panel import GitPanel

from git_remote import GitServer, Terminal

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def notebook(source: str, output: str = "") -> str:
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    cell = {
        "cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "source": source, "outputs": outputs
    }  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})


async def test_git_status_has_the_form_that_was_recorded(
    panel: GitPanel, proj: Terminal, remote: GitServer
) -> None:
    for path, text in {
        "model.py": "1",
        "old.py": "1",
        "taxi.ipynb": notebook("1"),
        "eda.ipynb": notebook("1"),
    }.items():
        proj.write(path, text)
    proj.commit()
    proj.write("model.py", "2")
    proj.write("taxi.ipynb", notebook("2"))
    proj.git("add", "model.py", "taxi.ipynb")
    proj.write("model.py", "3")
    proj.write("eda.ipynb", notebook("1", output="1"))
    (proj.folder / "old.py").unlink()
    proj.write("new.py", "1")
    proj.write("data/trips.csv", "1")
    proj.git("remote", "add", "origin", remote.url())
    known, status = recorded("git_status"), await panel.status()
    assert status.keys() == known.keys()
    assert status["repo"].keys() == known["repo"].keys()
    assert status["repo"]["remotes"][0].keys() == known["repo"]["remotes"][0].keys()
    for part in ("files", "counts", "truncated", "task"):
        assert status[part] == known[part]


async def test_git_task_has_the_fields_that_were_recorded(
    panel: GitPanel, proj: Terminal, remote: GitServer
) -> None:
    proj.git("remote", "add", "origin", remote.url())
    task = await panel.task("fetch")
    assert recorded("git_task").keys() <= task.keys()
    assert task["credentials"].keys() == {"kind", "host", "username", "refused", "keeps"}
