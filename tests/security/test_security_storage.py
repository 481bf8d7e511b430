"""Hostile names in shared storage: what people and jobs put into a project or a working folder leads nobody out of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from people import as_bearer

from running import AgentProcess, run_cell

CANARY = "canary-of-the-storage"
FILES = "/v1/projects/default/files/"
#: what is no file of the project, by its name there
BAD = [
    "link",
    "deep/link",
    "folder/secret.txt",
    "folder",
    "relative",
    "chain",
    "loop",
    "root/etc/passwd",
    "fd",
    "pipe",
]
BAD += ["device", "socket", "proc/self/environ", "token"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that somebody has filled who may write there."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text(CANARY)
    root = tmp_path_factory.mktemp("project")
    (root / "deep").mkdir()
    (root / "good.txt").write_text("good")
    (root / "link").symlink_to(outside / "secret.txt")
    (root / "deep" / "link").symlink_to(f"../../{outside.name}/secret.txt")
    (root / "relative").symlink_to("../../../../../../../../etc/passwd")
    (root / "folder").symlink_to(outside)
    (root / "chain").symlink_to("link")
    (root / "loop").symlink_to("loop")
    (root / "root").symlink_to("/")
    (root / "proc").symlink_to("/proc")
    (root / "fd").symlink_to("/proc/self/fd/0")
    os.mkfifo(root / "pipe")
    if os.geteuid() == 0:
        os.mknod(root / "device", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero: without end
    here = os.getcwd()
    try:
        os.chdir(root)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
    finally:
        os.chdir(here)
    (root / ("x" * 255)).write_text("long")
    (root / "<img src=x onerror=alert(1)>.txt").write_text("markup")
    (root / "\u202etxt.exe").write_text("turned")
    (root / "two\nlines").write_text("lines")
    (root / "\x1b]0;owned\x07").write_text("title")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).write_text("no text")
    return root


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[AgentProcess]:
    home = tmp_path_factory.mktemp("storage") / "agent"
    agent = AgentProcess(home, ["--project", str(project), "--gpus", "0"])
    agent.start()
    (project / "token").symlink_to(home / "token")
    try:
        yield agent
    finally:
        agent.destroy()


@pytest.fixture
def http(box: AgentProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=box.url, headers=as_bearer(box.token), trust_env=False, timeout=20) as client:
        yield client


@pytest.mark.parametrize("name", BAD)
def test_what_leads_out_or_is_no_file_is_refused_by_every_method(
    http: httpx.Client, project: Path, name: str
) -> None:
    if name == "device" and not (project / name).exists():
        pytest.skip("NOT TESTED: only root can make a device")
    for reply in (
        http.get(FILES + name),
        http.get(FILES + name, params={"list": "1"}),
        http.get(FILES + name, headers={"Range": "bytes=0-10"}),
        http.get(FILES + name + "/more"),
        http.put(FILES + name + "/more", content=b"x"),
    ):
        assert reply.status_code in {400, 403, 404, 409}, reply.text[:300]
        assert CANARY not in reply.text
        assert "root:" not in reply.text
    assert http.head(FILES + name).status_code in {400, 403, 404}


def test_names_in_a_list_are_data(http: httpx.Client, project: Path) -> None:
    listed = http.get(FILES, params={"list": "1"})
    assert listed.status_code == 200
    names = {entry["path"] for entry in listed.json()["files"]}
    assert "good.txt" in names
    assert not names & set(BAD)
    for raw in (b"\x1b", b"\x07", b"two\nlines"):
        assert raw not in listed.content  # escaped, as JSON does
    assert http.get(FILES + "good.txt").content == b"good"
    markup = http.get(FILES + "%3Cimg%20src=x%20onerror=alert(1)%3E.txt")
    assert (markup.content, markup.headers["Content-Type"]) == (b"markup", "application/octet-stream")


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "//etc/passwd",
        "a//../x",
        "%2e%2e/x",
        "..%2fx",
        "%2fetc%2fpasswd",
        "a%00b",
        "a/%00",
        "x" * 300,
        "/".join("d" * 3000),
        "%ff",
        ".mlmagics-project",
        "good.txt/..",
        "..\\..\\x",
    ],
)
def test_paths_that_are_none_write_and_delete_nothing(http: httpx.Client, project: Path, path: str) -> None:
    before = sorted(os.listdir(project.parent)), sorted(os.listdir(project))
    for method in ("PUT", "DELETE", "GET"):
        request = http.build_request(method, "/", content=b"x" if method == "PUT" else None)
        # as it stands: a client would tidy it up
        request.extensions["target"] = (FILES + path).encode()
        reply = http.send(request)
        assert reply.status_code in {400, 403, 404, 414}, reply.text[:200]
    assert (sorted(os.listdir(project.parent)), sorted(os.listdir(project))) == before


def test_a_link_is_replaced_and_deleted_and_never_followed_out(http: httpx.Client, project: Path) -> None:
    outside = (project / "folder").resolve()
    (project / "victim").symlink_to(outside / "secret.txt")
    assert http.put(FILES + "victim", content=b"x").status_code in {200, 403}
    assert http.delete(FILES + "victim").status_code == 204
    (project / "tree").mkdir()
    (project / "tree" / "out").symlink_to(outside)
    assert http.delete(FILES + "tree", params={"recursive": "1"}).status_code == 204
    assert (outside / "secret.txt").read_text() == CANARY
    assert not (project / "tree").exists()


def test_what_a_job_leaves_leads_nobody_out(box: AgentProcess, http: httpx.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    source = f"""
import os
os.symlink({str(secret)!r}, "link"); os.symlink("/etc", "etc"); os.symlink("../events.ndjson", "log")
os.symlink({str(box.home / "token")!r}, "token"); os.mkfifo("pipe"); open("good", "w").write("good")
open("a\\nb", "w").close(); open("\\x1b[2J", "w").close(); open("\\u202etxt.exe", "w").close(); open("<b>", "w").close()
open(b"\\xff", "w").close(); open("x" * 255, "w").close(); os.makedirs("/".join("d" * 200))
"""
    job, _ = run_cell(box.client(), source)
    assert job.exit_code == 0
    left = http.get(f"/v1/jobs/{job.job_id}/files")
    names = {entry["path"] for entry in left.json()["files"]}
    assert "good" in names
    assert not names & {"link", "etc", "log", "token", "pipe"}
    for name in (
        "link",
        "etc/passwd",
        "etc",
        "log",
        "token",
        "pipe",
        "..%2fevents.ndjson",
        "../events.ndjson",
    ):
        request = http.build_request("GET", "/")
        request.extensions["target"] = f"/v1/jobs/{job.job_id}/files/{name}".encode()
        reply = http.send(request)
        assert reply.status_code in {400, 403, 404}, (name, reply.text[:200])
        assert CANARY not in reply.text
    assert http.get(f"/v1/jobs/{job.job_id}/files/good").content == b"good"


def test_uploads_and_deletes_stand_in_the_audit_log(box: AgentProcess, http: httpx.Client) -> None:
    import hashlib
    import json

    data = CANARY.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    assert http.put(FILES + "kept.txt", content=data).status_code == 200
    assert http.put(FILES + "link/more", content=data).status_code in {400, 403}
    assert http.put(f"/v1/blobs/{sha256}", content=data).status_code == 200
    assert http.put(f"/v1/blobs/{'0' * 64}", content=data).status_code == 400
    assert http.delete(FILES + "kept.txt").status_code == 204
    text = (box.home / "audit.log").read_text()
    told: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()][-5:]
    assert [(line["act"], line["outcome"] == "ok") for line in told] == [
        ("write-file", True),
        ("write-file", False),
        ("send-blob", True),
        ("send-blob", False),
        ("delete-file", True),
    ]
    assert (told[0]["project"], told[0]["path"], told[0]["bytes"]) == ("default", "kept.txt", len(data))
    assert told[1]["path"] == "link/more"
    assert (told[2]["sha256"], told[2]["bytes"]) == (sha256, len(data))
    assert all(line["user"] and line["by_token"] and line["from"] == "127.0.0.1" for line in told)
    assert CANARY not in text
