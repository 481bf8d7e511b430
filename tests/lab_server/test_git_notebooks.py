"""Differences of files and notebooks, and commits that leave outputs out."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from git_panel import GitPanel

from git_remote import Terminal

PICTURE = base64.b64encode(os.urandom(30_000)).decode()


def cell(text: str, *outputs: Any, count: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": text.splitlines(keepends=True),
        "outputs": list(outputs),
        "execution_count": count,
        "metadata": {},
        **more,
    }


def notebook(*cells: dict[str, Any], **metadata: Any) -> str:
    book = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def drawn() -> dict[str, Any]:
    data = {"image/png": PICTURE, "text/plain": ["<Figure>"]}
    return {"output_type": "display_data", "data": data, "metadata": {}}


async def test_git_outputs_stay_here_and_are_not_committed(panel: GitPanel, proj: Terminal) -> None:
    text = notebook(
        cell("plot(é)\n", drawn(), count=3), cell("2", printed("two"), metadata={"tags": ["keep_output"]})
    )
    file = proj.write("a b.ipynb", text)
    proj.write("plain.txt", "x\n")
    await panel.ask("stage", all="untracked")
    done = await panel.ask("commit", message="book", strip_outputs=True)
    assert done["stripped"] == 1
    assert file.read_text() == text
    committed = proj.git("show", "HEAD:a b.ipynb") + "\n"
    assert committed == notebook(
        cell("plot(é)\n"), cell("2", printed("two"), metadata={"tags": ["keep_output"]})
    )
    (row,) = (await panel.status())["files"]
    assert (row["path"], row["kind"], row["outputs_only"]) == ("a b.ipynb", "unstaged", True)
    # once more, from what is remembered
    assert (await panel.status())["files"] == [row]
    file.write_text(notebook(cell("plot(other)\n", drawn(), count=3)))
    assert "outputs_only" not in (await panel.status())["files"][0]


async def test_git_a_refused_commit_leaves_the_index_as_it_was(
    panel: GitPanel, proj: Terminal, git_home: Any
) -> None:
    folder = git_home / "hooks"
    folder.mkdir()
    (folder / "pre-commit").write_text("#!/bin/sh\necho 'no: too late in the day' >&2\nexit 1\n")
    (folder / "pre-commit").chmod(0o755)
    proj.git("config", "--global", "core.hooksPath", str(folder))
    proj.write("a.ipynb", notebook(cell("1", printed("one"), count=1)))
    await panel.ask("stage", paths=["a.ipynb"])
    before = proj.git("ls-files", "--stage")
    error = await panel.refused("commit", message="x", strip_outputs=True)
    assert (error["code"], "too late in the day" in error["message"]) == ("git_failed", True)
    assert proj.git("ls-files", "--stage") == before
    assert await panel.rows() == [("a.ipynb", "staged")]


async def test_git_what_is_no_notebook_is_not_committed_with_outputs(panel: GitPanel, proj: Terminal) -> None:
    proj.write("a.ipynb", "<<<<<<< not json")
    await panel.ask("stage", paths=["a.ipynb"])
    error = await panel.refused("commit", message="x", strip_outputs=True)
    assert (error["code"], error["field"]) == ("bad_value", "strip_outputs")
    assert (await panel.ask("commit", message="x"))["stripped"] == 0


async def test_git_a_notebook_differs_by_cells(panel: GitPanel, proj: Terminal) -> None:
    cells = [cell(f"line {number}\n", id=f"c{number}") for number in range(8)]
    proj.write("n.ipynb", notebook(*cells, kernelspec={"name": "python3"}))
    proj.commit("book")
    changed = [
        *cells[:2],
        cell("line 2\nand more\n", drawn(), printed("hello"), id="c2"),
        cell("new\n", id="new"),
        cells[4],
        {**cells[5], "metadata": {"tags": ["x"]}},
        *cells[6:],
    ]
    proj.write("n.ipynb", notebook(*changed, kernelspec={"name": "other"}))
    answer = await panel.ask("diff", file="n.ipynb")
    assert PICTURE[:100] not in json.dumps(answer)
    assert answer["kind"] == "notebook"
    told = [
        (row["change"], row.get("number_old"), row.get("number_new"), row.get("count"))
        for row in answer["cells"]
    ]
    assert told == [
        ("same", None, None, 2),
        ("changed", 3, 3, None),
        ("changed", 4, 4, None) if told[2][0] == "changed" else ("added", None, 4, None),
        *([] if told[2][0] == "changed" else [("removed", 4, None, None)]),
        ("same", None, None, 1),
        ("changed", 6, 6, None),
        ("same", None, None, 2),
    ]
    row = answer["cells"][1]
    assert [(line["sign"], line["text"]) for line in row["source"] if line["sign"] != " "] == [
        ("+", "and more")
    ]
    assert row["outputs"] == "outputs added: 1 image, 1 text"
    assert [line["text"] for line in row["output_lines"]] == ["<Figure>", "(image/png, 40 kB)", "hello"]
    assert [row["metadata"] for row in answer["cells"] if row["change"] == "changed"][-1] is True
    assert {line["text"].strip() for line in answer["metadata"]} == {'"name": "python3"', '"name": "other"'}
    await panel.ask("stage", paths=["n.ipynb"])
    assert (await panel.ask("diff", file="n.ipynb", staged=True))["cells"] == answer["cells"]
    new = proj.write("new.ipynb", notebook(cell("1")))
    assert (await panel.ask("diff", file="new.ipynb", kind="untracked"))["cells"][0]["change"] == "added"
    new.write_text("no json")
    assert (await panel.ask("diff", file="new.ipynb", kind="untracked"))["kind"] == "text"


async def test_git_a_text_differs_by_lines(panel: GitPanel, proj: Terminal) -> None:
    proj.write("t.txt", "".join(f"{number}\n" for number in range(1, 31)))
    proj.commit("lines")
    proj.write(
        "t.txt",
        "".join(f"{number}\n" if number not in (2, 29) else "<b>é\r\n" for number in range(1, 31)).rstrip(),
    )
    answer = await panel.ask("diff", file="t.txt")
    assert [hunk["header"] for hunk in answer["hunks"]] == ["@@ -1,5 +1,5 @@", "@@ -26,5 +26,5 @@"]
    changed = [line for hunk in answer["hunks"] for line in hunk["lines"] if line["sign"] != " "]
    assert changed[:2] == [
        {"sign": "-", "text": "2", "old": 2, "new": None},
        {"sign": "+", "text": "<b>é\r", "old": None, "new": 2},
    ]
    assert changed[-1] == {"sign": "+", "text": "30", "old": None, "new": 30, "no_newline": True}
    proj.git("checkout", "t.txt")
    assert (await panel.ask("diff", file="t.txt"))["note"]


async def test_git_other_files_are_told_by_what_they_are(panel: GitPanel, proj: Terminal) -> None:
    proj.write("b.bin", b"\0\1\2")
    proj.write("mode.sh", "x\n")
    proj.write("old name.txt", "".join(f"line {number}\n" for number in range(30)))
    proj.commit("more")
    proj.write("b.bin", b"\0\1\2\3")
    answer = await panel.ask("diff", file="b.bin")
    assert (answer["kind"], answer["sizes"]) == ("binary", [3, 4])
    (proj.folder / "mode.sh").chmod(0o755)
    answer = await panel.ask("diff", file="mode.sh")
    assert (answer["old_mode"], answer["new_mode"], answer["hunks"]) == ("100644", "100755", [])
    proj.git("mv", "--", "old name.txt", "-new name.txt")
    answer = await panel.ask("diff", file="-new name.txt", staged=True)
    assert (answer["old_path"], answer["hunks"]) == ("old name.txt", [])
    proj.write("huge.txt", b"x\n" * (11 << 20))
    answer = await panel.ask("diff", file="huge.txt", kind="untracked")
    assert (answer["kind"], answer["sizes"]) == ("too_large", [None, 22 << 20])
    proj.write("new.bin", b"\0")
    assert (await panel.ask("diff", file="new.bin", kind="untracked"))["kind"] == "binary"
    os.mkfifo(proj.folder / "pipe")
    assert (await panel.refused("diff", file="pipe", kind="untracked"))["code"] == "git_changed"


@pytest.mark.parametrize("count", [6000])
async def test_git_long_differences_are_cut(panel: GitPanel, proj: Terminal, count: int) -> None:
    proj.write("a.txt", "".join(f"{number}\n" for number in range(count)) + "y" * 5000)
    answer = await panel.ask("diff", file="a.txt")
    assert answer["truncated"] is True
    assert sum(len(hunk["lines"]) for hunk in answer["hunks"]) == 5000
    proj.write("a.txt", "y" * 5000)
    (hunk,) = (await panel.ask("diff", file="a.txt"))["hunks"]
    assert (len(hunk["lines"][-1]["text"]), hunk["lines"][-1]["cut"]) == (2000, True)
