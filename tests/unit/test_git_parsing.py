"""Answers of git as values: status, progress, differences, added lines, notebooks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlmagics.lab.git.celldiff import compare_notebooks
from mlmagics.lab.git.hunks import compare, read_hunks, whole
from mlmagics.lab.git.porcelain import read_report
from mlmagics.lab.git.progress import Reader, read_step
from mlmagics.lab.git.scanning import fingerprint, not_allowed, read_added
from mlmagics.lab.git.stripping import NotANotebook, same_but_outputs, stripped

OID, ZERO = "a" * 40, "0" * 40


def test_git_status_is_read() -> None:
    lines = [
        f"# branch.oid {OID}",
        "# branch.head feature/x",
        "# branch.upstream origin/feature/x",
        "# branch.ab +3 -12",
        "# stash 2",
        f"1 .M N... 100644 100644 100644 {OID} {OID} with space and\nline",
        f"1 A. N... 000000 100644 100644 {ZERO} {OID} new",
        f"2 R. N... 100644 100644 100644 {OID} {OID} R100 new name",
        "old name",
        f"1 .M SC.. 160000 160000 160000 {OID} {OID} sub",
        f"u DU N... 100644 000000 100644 100644 {OID} {ZERO} {OID} conflict",
        "? -x",
        "! ignored",
        "z unknown",
    ]
    data = ("\0".join(lines) + "\0").encode() + b"? caf\xe9\0? not whole"
    found = read_report(data)
    assert (found.commit, found.branch, found.upstream, found.ahead, found.behind) == (
        OID, "feature/x", "origin/feature/x", 3, 12,
    )  # fmt: skip
    assert [entry.path for entry in found.entries] == [
        "with space and\nline",
        "new",
        "new name",
        "sub",
        "conflict",
    ]
    assert found.untracked == ["-x", "caf\udce9"]
    assert found.entries[2].old_path == "old name"
    assert found.entries[3].submodule
    assert found.entries[4].stages == (OID, "", OID)
    assert found.entries[4].kinds == ("conflict",)
    assert found.every()[-1].kinds == ("untracked",)


def test_git_status_without_commit_or_branch() -> None:
    found = read_report(b"# branch.oid (initial)\0# branch.head (detached)\0")
    assert (found.commit, found.branch, found.upstream, found.ahead) == (None, None, None, None)
    assert read_report(b"").entries == []


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_git_progress_is_read_in_any_pieces(size: int) -> None:
    data = (
        b"remote: Enumerating objects: 9, done.        \nremote: Counting objects:  50% (1/2)\r"
        b"remote: Hello \x1b[31mred\x1b[0m\x07\nReceiving objects:  45% (450/1000), 1.2 MiB | 3 MiB/s\r"
    )
    reader = Reader()
    steps = [reader.step for at in range(0, len(data), size) if reader.take(data[at : at + size])]
    assert steps[-1] == ("Receiving objects: 45 %", 0.45)
    assert reader.remote_says == ["Hello red"]


def test_git_progress_of_a_flood_is_bounded() -> None:
    reader = Reader()
    reader.take(b"x" * 1_000_000)
    reader.take(b"\n".join(b"remote: line" for _ in range(1000)))
    assert len(reader.remote_says) == 20
    assert read_step("Rebasing (2/4)") == ("Rebasing: 2 of 4", 0.5)
    assert read_step("error: 45% (1/2)") is None
    assert read_step("Receiving objects: 100% (0/0)") == ("Receiving objects: 100 %", 0.0)


def test_git_hunks_are_read() -> None:
    text = (
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ def f():\n same\n-old\n+new\r\n\\ No newline at end of file\n"
        "@@ -9 +9,0 @@\n---- looks like a head\n"
    )
    hunks, truncated = read_hunks(text.encode())
    assert not truncated
    assert [hunk["header"] for hunk in hunks] == ["@@ -1,2 +1,2 @@ def f():", "@@ -9 +9,0 @@"]
    assert hunks[0]["lines"][1] == {"sign": "-", "text": "old", "old": 2, "new": None}
    assert hunks[0]["lines"][2] == {"sign": "+", "text": "new\r", "old": None, "new": 2, "no_newline": True}
    assert hunks[1]["lines"][0] == {"sign": "-", "text": "--- looks like a head", "old": 9, "new": None}


def test_git_new_files_are_one_hunk() -> None:
    assert whole(b"") == ([], False)
    ((hunk,), _) = whole(b"a\nb")
    assert (hunk["header"], hunk["lines"][1]) == (
        "@@ -0,0 +1,2 @@",
        {"sign": "+", "text": "b", "old": None, "new": 2, "no_newline": True},
    )
    assert [line["sign"] + line["text"] for line in compare(["a", "b"], ["a", "c"])] == [" a", "-b", "+c"]


def test_git_added_lines_are_read() -> None:
    text = (
        "\x01commit abc\n\ndiff --git a/x b/x\nindex 1..2\n--- a/x\n+++ b/x\n@@ -0,0 +5,2 @@\n+one\n++++ two\n@@ -9 +10 @@\n-gone\n+ten\n"
        "diff --git a/gone b/gone\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        'diff --git "a/q" "b/q"\n--- /dev/null\n+++ "b/q\\"\\303\\251"\n@@ -0,0 +1 @@\n+q\n\\ No newline at end of file\n'
        "\x01commit def\n\ndiff --cc m\nindex 1,2..3\n--- a/m\n+++ b/m\n@@@ -1,1 -1,1 +1,3 @@@\n++both\n+ one\n +other\n"
    )
    found = list(read_added(text.encode()))
    assert [(added.commit, added.path, added.lines, added.numbers) for added in found] == [
        ("abc", "", [], []),
        ("abc", "x", ["one", "+++ two", "ten"], [5, 6, 10]),
        ("abc", 'q"é', ["q"], [1]),
        ("def", "", [], []),
        ("def", "m", ["both"], [1]),
    ]


def test_git_findings_keep_their_names() -> None:
    name = fingerprint("x", "rule", "  secret")
    assert name == fingerprint("x", "rule", "secret")
    assert name != fingerprint("y", "rule", "secret")
    assert not_allowed([{"fingerprint": name}, {"fingerprint": "other"}], [name]) == [
        {"fingerprint": "other"}
    ]


def book(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def code(text: str, **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": text,
        "outputs": [],
        "execution_count": None,
        "metadata": {},
        **more,
    }


def test_git_notebooks_lose_their_outputs_and_nothing_else() -> None:
    held = book(
        code(
            "é",
            outputs=[{"output_type": "stream"}],
            execution_count=1,
            metadata={"execution": {}, "tags": ["a"]},
        ),
        code("2", outputs=[{}], metadata={"keep_output": True}),
        {"cell_type": "markdown", "source": "x", "metadata": {}},
    )
    for indent, end in ((1, "\n"), (4, ""), ("\t", "\n")):
        data = json.dumps(held, indent=indent, ensure_ascii=False).encode() + end.encode()
        bare = stripped(data)
        expected = json.loads(data)
        expected["cells"][0] = code("é", metadata={"tags": ["a"]})
        assert json.loads(bare) == expected
        assert bare == json.dumps(expected, indent=indent, ensure_ascii=False).encode() + end.encode()
        assert stripped(bare) == bare
        assert same_but_outputs(data, bare)
    # half a character, as programs leave it behind that cut text
    assert b"\\ud83d" in stripped(json.dumps(book(code("\ud83d", execution_count=1))).encode())
    for other in (b"", b"[]", b'{"cells": 1}', b'{"cells": [1]}', b"<<<<<<<", b"\xff", b"[" * 100_000):
        with pytest.raises(NotANotebook):
            stripped(other)
        assert not same_but_outputs(other, data)


def test_git_cells_without_ids_are_told_apart_by_their_text() -> None:
    old = book(code("a = 1\nb = 2\n"), code("x\n"), code("last\n"))
    new = book(code("a = 1\nb = 3\n"), code("entirely different\n"), code("last\n"))
    rows, metadata, truncated = compare_notebooks(old, new)
    assert [(row["change"], row.get("number_old"), row.get("number_new")) for row in rows] == [
        ("changed", 1, 1),
        ("added", None, 2),
        ("removed", 2, None),
        ("same", None, None),
    ]
    assert (metadata, truncated) == ([], False)


def test_git_outputs_are_told_without_their_bytes() -> None:
    picture = {"output_type": "display_data", "data": {"image/png": "A" * 50_000, "text/html": "<table>"}}
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["\x1b[31m"]}
    ((row,), _, _) = compare_notebooks(
        book(code("x", id="a")), book(code("x", id="a", outputs=[picture, error, 1]))
    )
    assert row["outputs"] == "outputs added: 1 image, 1 error"
    assert [line["text"] for line in row["output_lines"]] == [
        "(image/png, 50 kB)", "(text/html, 1 kB)", "ValueError: no",
    ]  # fmt: skip
    ((row,), _, _) = compare_notebooks(book(code("x", outputs=[error])), book(code("x")))
    assert row["outputs"] == "outputs removed: 1 error"
    assert row["source"] == [{"sign": " ", "text": "x", "old": 1, "new": 1}]
