"""One suite for every kind of root: a folder, a file system of fsspec, and an agent's project over HTTP."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import mlmagics_job
from cluster_agent.protocol import Project
from mlmagics import storage
from mlmagics import storage as project
from mlmagics.cluster import session
from mlmagics.cluster.mounts import is_mounted
from mlmagics.cluster.store import Attachment
from mlmagics.errors import ClusterError
from mlmagics_job.folder import OutsideProjectError
from running import AgentProcess

SOURCE = Path(mlmagics_job.__file__).parent.parent


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    agent = AgentProcess(tmp_path_factory.mktemp("box") / "home", ())
    try:
        agent.start()
        yield agent
    finally:
        agent.destroy()


@pytest.fixture(params=["folder", "memory", "agent"])
def root_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        if request.param == "folder":
            (tmp_path / "root").mkdir()
            url = (tmp_path / "root").as_uri()
        elif request.param == "memory":
            url = f"memory://{uuid.uuid4().hex}"
            fsspec.filesystem("memory").makedirs(url)
        else:
            stack.enter_context(attached_box(request.getfixturevalue("box"), tmp_path, monkeypatch))
            url = "agent://box/default"
        monkeypatch.setenv("PROJECT_URL", url)
        yield url
        remove_all(fsspec.filesystem("project", root=url))


@contextlib.contextmanager
def attached_box(box: AgentProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, the agent is known as ``box`` to this process, and nothing else is."""
    monkeypatch.setenv("MLMAGICS_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(session, "_current", None)
    session.current().store.put(Attachment(name="box", url=box.url), token=box.token)
    yield
    session.current().close()


def remove_all(files: fsspec.AbstractFileSystem) -> None:
    found = files.ls("", detail=False)
    if found:
        files.rm(found, recursive=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("PROJECT_URL", (tmp_path / "root").as_uri())
    return tmp_path / "root"


def files() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("project")


def test_text_and_bytes(root_url: str) -> None:
    with fsspec.open("project://deep/a.txt", "w", encoding="utf-8") as file:
        file.write("é")
    with fsspec.open("project://deep/b.gz", "wb", compression="infer") as file:
        file.write(b"1" * 1000)
    with fsspec.open("project://deep/a.txt", "rb") as file:
        assert file.read() == "é".encode()
    with fsspec.open("project://deep/b.gz", "rb", compression="infer") as file:
        assert file.read() == b"1" * 1000


def test_listing_and_finding(root_url: str) -> None:
    files().pipe({"a.txt": b"1", "deep/b.txt": b"22", "deep/deeper/c.csv": b"333"})
    assert sorted(files().ls("", detail=False)) == ["a.txt", "deep"]
    assert sorted(files().ls("project://deep", detail=False)) == ["deep/b.txt", "deep/deeper"]
    assert files().find("") == ["a.txt", "deep/b.txt", "deep/deeper/c.csv"]
    assert files().glob("project://**/*.txt") == ["a.txt", "deep/b.txt"]
    assert files().info("deep/b.txt")["size"] == 2
    assert files().isdir("deep")
    assert files().isfile("a.txt")
    assert not files().exists("absent")
    assert files().du("") == 6
    assert files().cat_file("deep/deeper/c.csv", start=1, end=2) == b"3"
    with pytest.raises(FileNotFoundError):
        files().open("absent")


def test_moving_copying_and_deleting(root_url: str) -> None:
    files().pipe("a.txt", b"1")
    files().mv("a.txt", "moved/b.txt")
    files().cp("moved/b.txt", "c.txt")
    files().cp("moved", "copied", recursive=True)
    assert files().find("") == ["c.txt", "copied/b.txt", "moved/b.txt"]
    files().rm("moved", recursive=True)
    files().rm("c.txt")
    assert files().find("") == ["copied/b.txt"]
    files().pipe({"x/1.csv": b"", "x/2.csv": b"", "x/3.txt": b""})
    files().rm("project://x/*.csv")
    assert files().ls("x", detail=False) == ["x/3.txt"]
    with pytest.raises(ValueError, match="project itself"):
        files().rm("", recursive=True)


def test_uploads_and_downloads(root_url: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a").write_bytes(b"1" * 100_000)
    files().put(str(tmp_path / "here" / "a"), "there/a")
    files().get("there/a", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"1" * 100_000


def test_pickled_file_systems_and_files_open_the_same_root(
    root_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files().pipe("a", b"1")
    pickled = pickle.dumps((files(), fsspec.open("project://a")))
    monkeypatch.setenv("PROJECT_URL", "file:///elsewhere")
    again, opened = pickle.loads(pickled)
    assert again.cat("a") == b"1"
    with opened as file:
        assert file.read() == b"1"


def test_another_root_is_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv("PROJECT_URL", (tmp_path / name).as_uri())
        fsspec.filesystem("project").pipe("name", name.encode())
        assert fsspec.filesystem("project") is fsspec.filesystem("project")
    assert (tmp_path / "one" / "name").read_text() == "one"
    assert (tmp_path / "two" / "name").read_text() == "two"


def test_the_bridge_for_libraries_that_need_a_path(root_url: str) -> None:
    with project.path("models/m.json", "w") as path:
        Path(path).write_text("{}")
    assert files().cat("models/m.json") == b"{}"
    with project.path("models/m.json") as path:
        assert Path(path).name == "m.json"
        assert Path(path).read_text() == "{}"
    assert Path(project.path("project://models/m.json")).read_text() == "{}"
    with pytest.raises(ZeroDivisionError), project.path("models/other.json", "w") as path:
        Path(path).write_text(str(1 // 0))
    assert files().ls("models", detail=False) == ["models/m.json"]
    with project.open("a.txt", "w") as file:
        file.write("é")
    with project.open("a.txt") as file:
        assert file.read() == "é"


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "project://.."])
def test_paths_that_climb_are_refused(root_url: str, path: str) -> None:
    for use in (files().cat_file, files().info, files().ls, lambda p: files().pipe_file(p, b"1")):
        with pytest.raises(OutsideProjectError):
            use(path)


def test_pandas_reads_and_writes_without_an_import_of_ours(root_url: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    for name in ("t.csv", "t.csv.gz", "t.parquet", "deep/t.json"):
        write = getattr(frame, "to_" + name.split(".")[1])
        write(f"project://{name}", **({} if "parquet" in name or "json" in name else {"index": False}))
        read = getattr(pandas, "read_" + name.split(".")[1])
        assert read(f"project://{name}").equals(frame), name
    assert list(pandas.read_parquet("project://t.parquet", columns=["b"])) == ["b"]


def test_links_that_lead_out_are_refused_and_not_listed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "secret").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "root2")
    (folder / "inside").mkdir()
    (folder / "in").symlink_to("inside")
    for use in (files().cat_file, files().info, lambda p: files().pipe_file(p, b"1"), files().rm_file):
        with pytest.raises(OutsideProjectError, match="by a link"):
            use("out/secret")
    assert files().ls("", detail=False) == ["in", "inside"]
    files().rm_file("out")
    assert (tmp_path / "root2" / "secret").read_text() == "secret"


def test_unfinished_writes_and_the_mark_are_not_listed(folder: Path) -> None:
    (folder / ".mlmagics-project").write_text("mark")
    with files().open("a.txt", "wb") as file:
        file.write(b"1")
        assert len(list(folder.glob(".a.txt.*.tmp"))) == 1
        assert files().find("") == []
    assert files().find("") == ["a.txt"]


def test_a_reader_never_sees_half_a_file(folder: Path) -> None:
    files().pipe("a", b"0" * 200_000)
    stop = threading.Event()

    def rewrite() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % 10
            files().pipe("a", b"%d" % number * 200_000)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        seen = [files().cat("a") for _ in range(300)]
    finally:
        stop.set()
        writer.join()
    assert all(len(data) == 200_000 and data == data[:1] * 200_000 for data in seen)
    assert len({data[:1] for data in seen}) > 1


def test_a_writer_that_is_killed_leaves_the_old_file(folder: Path) -> None:
    files().pipe("a", b"old")
    code = (
        "import fsspec, os, signal; f = fsspec.open('project://a', 'wb').open(); f.write(b'new' * 100000);"
        "f.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False)
    assert ended.returncode == -9
    assert files().cat("a") == b"old"
    assert files().ls("", detail=False) == ["a"]


def test_transactions_publish_all_or_nothing(folder: Path) -> None:
    with files().transaction:
        files().pipe("a", b"1")
        files().pipe("b", b"2")
        assert files().find("") == []
    assert files().find("") == ["a", "b"]
    with pytest.raises(ZeroDivisionError), files().transaction:
        files().pipe("a", b"%d" % (files().pipe("c", b"3") or 1 // 0))
    assert files().cat("a") == b"1"
    assert sorted(p.name for p in folder.iterdir()) == ["a", "b"]


def test_a_pipe_does_not_block_a_reader(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="not a file"):
        files().open("pipe")


def test_open_local_gives_the_real_path(folder: Path) -> None:
    files().pipe("a", b"1")
    assert fsspec.open_local("project://a") == str(folder.resolve() / "a")


def test_paths_work_where_fsspec_is_missing(folder: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
from mlmagics_job import project
assert "fsspec" not in sys.modules
with project.path("m.json", "w") as path:
    open(path, "w").write("1")
with project.open("m.json") as file:
    print(file.read())
import os
os.environ["PROJECT_URL"] = "s3://bucket/prefix"
try:
    project.open("m.json")
except project.NoProjectError as error:
    print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env={"PROJECT_URL": folder.as_uri()},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.splitlines() == [
        "1",
        "the project is at s3://bucket/prefix, and this environment lacks what opens it: No module named 'fsspec'",
    ]
    assert ended.stderr == ""


@pytest.fixture
def attached(box: AgentProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The root of the project of an agent that is attached as ``box``."""
    monkeypatch.delenv("PROJECT_URL", raising=False)
    with attached_box(box, tmp_path, monkeypatch):
        yield box.home / "project"
    remove_all(fsspec.filesystem("project", root=(box.home / "project").as_uri()))


def test_a_mounted_project_is_used_directly(attached: Path) -> None:
    assert storage.current_root() == attached.as_uri()
    with fsspec.open("project://a", "wb") as file:
        file.write(b"1")
    assert (attached / "a").read_bytes() == b"1"


def test_a_folder_without_the_same_mark_is_not_taken_for_the_project(attached: Path, tmp_path: Path) -> None:
    mark = (attached / ".mlmagics-project").read_text().strip()
    for content in ("other", "", None):
        (tmp_path / "same-path").mkdir(exist_ok=True)
        if content is not None:
            (tmp_path / "same-path" / ".mlmagics-project").write_text(content)
        told = Project(name="default", url=(tmp_path / "same-path").as_uri(), marker=mark)
        assert not is_mounted(told)
    (tmp_path / "same-path" / ".mlmagics-project").unlink()
    os.mkfifo(tmp_path / "same-path" / ".mlmagics-project")
    assert not is_mounted(told)
    assert not is_mounted(Project(name="default", url=attached.as_uri(), marker=""))
    assert not is_mounted(Project(name="default", url="s3://bucket", marker=mark))
    assert is_mounted(Project(name="default", url=attached.as_uri(), marker=mark))


def test_with_several_clusters_one_is_to_be_chosen(attached: Path) -> None:
    session.current().store.put(Attachment(name="other", url="http://127.0.0.1:9"), token="t")
    with pytest.raises(storage.NoProjectError, match="box, other with %attachments use NAME"):
        storage.current_root()
    session.current().use("box")
    assert storage.current_root() == attached.as_uri()


def test_what_the_agent_refuses_is_what_python_raises(
    attached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_URL", "agent://box/default")
    (tmp_path / "outside").write_text("secret")
    (attached / "out").symlink_to(tmp_path / "outside")
    (attached / "folder").mkdir()
    with pytest.raises(PermissionError, match="leads out of the project by a link"):
        files().cat("out")
    with pytest.raises(FileNotFoundError, match="there is no project://absent on box"):
        files().open("absent")
    with pytest.raises(IsADirectoryError):
        files().open("folder")
    with pytest.raises(OSError, match="is a folder"):
        files().pipe("folder", b"1")
    files().pipe("a", b"1")
    with pytest.raises(FileExistsError, match="exists already"), files().open("a", "xb") as file:
        file.write(b"2")
    with pytest.raises(ValueError, match="cannot be opened with mode 'ab' through box"):
        files().open("a", "ab")
    assert (attached / "a").read_bytes() == b"1"
    assert files().ls("", detail=False) == ["a", "folder"]


def test_an_agent_that_does_not_answer_is_told_in_one_line(
    attached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_URL", "agent://other/default")
    session.current().store.put(Attachment(name="other", url="http://127.0.0.1:9"), token="t")
    with pytest.raises(ClusterError, match="other: http://127") as caught:
        files().cat("a")
    assert "\n" not in str(caught.value)


def test_parts_of_a_large_file_come_through_the_agent(
    attached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_URL", "agent://box/default")
    data = bytes(range(256)) * 80_000
    with files().open("large", "wb") as file:
        for start in range(0, len(data), 100_000):
            file.write(data[start : start + 100_000])
    with files().open("large") as file:
        file.seek(10_000_001)
        assert file.read(3) == data[10_000_001:10_000_004]
        file.seek(-5, 2)
        assert file.read() == data[-5:]
    assert files().cat_file("large", start=-3) == data[-3:]
    assert files().ukey("large") == files().ukey("large")
    assert (attached / "large").read_bytes() == data
