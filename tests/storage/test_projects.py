from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from cluster_agent import errors
from cluster_agent.content.beneath import resolve
from cluster_agent.content.projects import MARKER, Projects
from cluster_agent.content.upload import Upload


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def projects(root: Path) -> Projects:
    return Projects({"default": root})


@pytest.fixture
def secret(tmp_path: Path, projects: Projects) -> Path:
    """A file beside the root, in a folder whose name begins with the root's."""
    folder = tmp_path / "root-of-somebody-else"
    folder.mkdir()
    path = folder / "secret.txt"
    path.write_text("secret")
    return path


def write(projects: Projects, path: str, data: bytes, if_match: str | None = None) -> str:
    upload = projects.begin_write("default", path)
    upload.write(data)
    return upload.commit(if_match).etag


def read(projects: Projects, path: str) -> bytes:
    file, _ = projects.open_read("default", path)
    with file:
        return file.read()


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def test_a_file_is_written_told_listed_read_and_deleted(projects: Projects) -> None:
    upload = projects.begin_write("default", "models/deep/m.json")
    upload.write(b"{")
    upload.write(b"}")
    written = upload.commit()

    assert written.sha256 == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert projects.info("default", "models/deep/m.json").etag == written.etag
    assert read(projects, "models/deep/m.json") == b"{}"
    assert [(e.path, e.type) for e in projects.list("default", "")] == [("models", "directory")]
    assert [(e.path, e.size) for e in projects.list("default", "models/deep/")] == [("models/deep/m.json", 2)]
    projects.delete("default", "models/deep/m.json")
    with pytest.raises(errors.NotFound):
        projects.info("default", "models/deep/m.json")


def test_nobody_sees_an_upload_before_its_commit_nor_after_its_abort(projects: Projects, root: Path) -> None:
    write(projects, "a.txt", b"old")
    upload = projects.begin_write("default", "a.txt")
    upload.write(b"new, and unfinished")

    assert read(projects, "a.txt") == b"old"
    assert [e.path for e in projects.list("default", "")] == ["a.txt"]
    assert len(list(root.glob(".a.txt.*.tmp"))) == 1, "written in the same folder"
    upload.abort()
    upload.abort()
    assert read(projects, "a.txt") == b"old"
    assert sorted(p.name for p in root.iterdir()) == [MARKER, "a.txt"]


@pytest.mark.parametrize(
    "path", ["..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "a\0b", "a\\..\\b", "/"]
)
def test_what_is_no_path_is_refused_by_every_method(projects: Projects, path: str) -> None:
    for method in (projects.info, projects.list, projects.open_read, projects.begin_write, projects.delete):
        with pytest.raises(errors.BadRequest) as caught:
            method("default", path)
        assert caught.value.field == "path"


@pytest.mark.parametrize("absolute", [True, False])
def test_links_that_lead_out_are_refused(
    projects: Projects, root: Path, secret: Path, absolute: bool
) -> None:
    target = secret if absolute else Path("..") / secret.parent.name / secret.name
    (root / "file").symlink_to(target)
    (root / "folder").symlink_to(target.parent)

    for path in ("file", "folder/secret.txt", "folder/new.txt", "folder"):
        for method in (projects.info, projects.list, projects.open_read, projects.begin_write):
            with pytest.raises(errors.Forbidden, match="leads out"):
                method("default", path)
    with pytest.raises(errors.Forbidden):
        projects.delete("default", "folder/secret.txt", recursive=True)
    assert projects.list("default", "") == [], "a link that leads out is not listed"
    projects.delete("default", "file")
    projects.delete("default", "folder", recursive=True)
    assert secret.read_text() == "secret"
    assert [p.name for p in secret.parent.iterdir()] == ["secret.txt"]


def test_links_that_stay_inside_are_followed(projects: Projects, root: Path) -> None:
    write(projects, "data/2019/trips.csv", b"1")
    (root / "latest").symlink_to("data/2019")
    (root / "absolute").symlink_to(root / "data" / "2019" / "trips.csv")
    (root / "data" / "up").symlink_to("../data/2019/../2019")

    for path in ("latest/trips.csv", "absolute", "data/up/trips.csv"):
        assert read(projects, path) == b"1"
    write(projects, "absolute", b"2")
    assert (root / "absolute").is_symlink()
    assert read(projects, "data/2019/trips.csv") == b"2"
    assert [(e.path, e.type) for e in projects.list("default", "")] == [
        ("absolute", "file"),
        ("data", "directory"),
        ("latest", "directory"),
    ]


def test_links_in_a_circle_end(projects: Projects, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(errors.Forbidden, match="links"):
        projects.info("default", "a")


def test_a_folder_swapped_for_a_link_never_leads_out(projects: Projects, root: Path, secret: Path) -> None:
    (root / "honest").mkdir()
    (root / "honest" / "secret.txt").write_text("public")
    (root / "evil").symlink_to(secret.parent)
    (root / "door").symlink_to("honest")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for target in ("evil", "honest"):
                (root / "new").symlink_to(target)
                os.replace(root / "new", root / "door")

    def answer() -> bytes:
        try:
            return read(projects, "door/secret.txt")
        except errors.AgentError as error:
            return type(error).__name__.encode()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        answers = {answer() for _ in range(3000)}
    finally:
        stop.set()
        swapper.join()
    assert answers == {b"public", b"Forbidden"}


def test_pipes_and_sockets_are_refused_without_waiting(
    projects: Projects, root: Path, tmp_path: Path
) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        short = os.open(root, os.O_RDONLY)
        try:
            listening.bind(f"/dev/fd/{short}/socket" if os.path.exists("/proc") else str(root / "socket"))
        finally:
            os.close(short)
        for path in ("pipe", "socket"):
            for method in (projects.info, projects.open_read, projects.list):
                with pytest.raises(errors.Forbidden, match="not a file"):
                    method("default", path)
    assert projects.list("default", "") == []
    write(projects, "pipe", b"a file now")
    assert read(projects, "pipe") == b"a file now"


def test_a_pipe_in_place_of_the_marker_does_not_stop_the_agent(root: Path) -> None:
    root.mkdir()
    os.mkfifo(root / MARKER)
    projects = Projects({"default": root})
    assert len(projects.describe()[0].marker) == 32


def test_the_marker_is_told_kept_and_out_of_reach(projects: Projects, root: Path) -> None:
    (told,) = projects.describe()
    assert told.marker == (root / MARKER).read_text().strip()
    assert told.url == root.as_uri()
    assert Projects({"other": root}).describe()[0].marker == told.marker
    (root / MARKER).unlink()
    assert len(projects.describe()[0].marker) == 32, "made anew"
    (root / "alias").symlink_to(MARKER)
    for path in (MARKER, "alias", ".x.tmp", "deep/.y.0.tmp"):
        for method in (projects.info, projects.open_read, projects.begin_write):
            with pytest.raises(errors.Forbidden, match="keeps for itself"):
                method("default", path)
    assert projects.list("default", "") == []


def test_if_match_is_compare_and_set(projects: Projects) -> None:
    first = write(projects, "a", b"1", if_match="")
    second = write(projects, "a", b"2", if_match=f'"{first}"')
    assert second != first
    for stale in (first, "", '""'):
        with pytest.raises(errors.StaleWrite):
            write(projects, "a", b"3", if_match=stale)
    with pytest.raises(errors.StaleWrite, match="not there"):
        write(projects, "absent", b"3", if_match=second)
    with pytest.raises(errors.StaleWrite):
        write(projects, "absent", b"3", if_match="*")
    assert write(projects, "a", b"4", if_match="*")
    assert read(projects, "a") == b"4"
    assert [e.path for e in projects.list("default", "")] == ["a"]


def test_one_of_many_writers_with_the_same_etag_wins(projects: Projects, root: Path) -> None:
    writers = 8
    for round_ in range(20):
        etag = write(projects, f"counter-{round_}", b"start")
        uploads = [projects.begin_write("default", f"counter-{round_}") for _ in range(writers)]
        winners = race(uploads, etag)
        assert len(winners) == 1
        assert read(projects, f"counter-{round_}") == str(winners[0]).encode()
    assert len(list(root.iterdir())) == 1 + 20, "the losers leave nothing"


def race(uploads: list[Upload], etag: str) -> list[int]:
    """Numbers of the uploads whose commit, all at once, was accepted."""
    start = threading.Barrier(len(uploads))
    accepted: list[int] = []

    def commit(number: int) -> None:
        uploads[number].write(str(number).encode())
        start.wait()
        with contextlib.suppress(errors.StaleWrite):
            uploads[number].commit(etag)
            accepted.append(number)

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(len(uploads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return accepted


def test_folders_and_files_are_not_taken_for_each_other(projects: Projects) -> None:
    write(projects, "folder/file", b"1")
    with pytest.raises(errors.Conflict, match="is a folder"):
        projects.begin_write("default", "folder")
    with pytest.raises(errors.Conflict, match="is a folder"):
        projects.open_read("default", "folder")
    with pytest.raises(errors.Conflict, match="is a file"):
        projects.begin_write("default", "folder/file/deeper")
    with pytest.raises(errors.Conflict, match="recursive=1"):
        projects.delete("default", "folder")
    with pytest.raises(errors.BadRequest):
        projects.begin_write("default", "")
    with pytest.raises(errors.BadRequest):
        projects.delete("default", "", recursive=True)
    assert [e.path for e in projects.list("default", "folder/file")] == ["folder/file"]


def test_deleting_a_tree_does_not_follow_links(projects: Projects, root: Path, secret: Path) -> None:
    write(projects, "tree/a/b/c", b"1")
    (root / "tree" / "a" / "out").symlink_to(secret.parent)
    projects.delete("default", "tree", recursive=True)
    assert projects.list("default", "") == []
    assert secret.read_text() == "secret"


def test_a_replaced_file_keeps_its_permissions(projects: Projects, root: Path) -> None:
    write(projects, "shared", b"1")
    (root / "shared").chmod(0o664)
    write(projects, "shared", b"2")
    assert (root / "shared").stat().st_mode & 0o777 == 0o664


def test_names_that_are_not_utf8_or_too_long(projects: Projects, root: Path) -> None:
    with open(os.fsencode(root) + b"/\xff", "wb"):
        pass
    assert projects.list("default", "") == []
    with pytest.raises(errors.BadRequest):
        projects.begin_write("default", "\udcff")
    with pytest.raises(errors.BadRequest):
        projects.begin_write("default", "x" * 240)
    with pytest.raises(errors.BadRequest):
        projects.info("default", "x" * 300)
    write(projects, "x" * 230, b"")


def test_a_write_deletes_old_unfinished_ones_beside_it(projects: Projects, root: Path) -> None:
    old = projects.begin_write("default", "deep/old")
    new = projects.begin_write("default", "deep/new")
    (root / "deep" / ".mine.tmp").write_text("a hidden file of the user")
    (name,) = (root / "deep").glob(".old.*.tmp")
    os.utime(name, (0, 0))
    os.utime(root / "deep" / ".mine.tmp", (0, 0))

    for folder, age in (
        ("deep/.m.json.0123456789abcdef.tmp", 0),
        ("deep/.n.json.0123456789abcdef.tmp", None),
    ):
        (root / folder).mkdir()
        (root / folder / "m.json").write_text("being written by a library")
        if age is not None:
            os.utime(root / folder / "m.json", (age, age))
        os.utime(root / folder, (0, 0))

    write(projects, "deep/another", b"")
    assert not name.exists()
    assert not (root / "deep/.m.json.0123456789abcdef.tmp").exists()
    assert (root / "deep/.n.json.0123456789abcdef.tmp/m.json").exists()
    old.abort()
    assert new.commit().path == "deep/new"
    assert (root / "deep" / ".mine.tmp").exists()


def test_no_descriptor_stays_open(projects: Projects, root: Path, secret: Path) -> None:
    write(projects, "a/b", b"1")
    (root / "out").symlink_to(secret)
    before = open_descriptors()
    for _ in range(20):
        write(projects, "a/b", b"2")
        read(projects, "a/b")
        projects.list("default", "a")
        projects.begin_write("default", "a/c").abort()
        for path in ("out", "../x", "a/b/c", "a"):
            with pytest.raises(errors.AgentError):
                projects.open_read("default", path)
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["", "Default", "a/b", "..", "x" * 33, "1a"])
def test_project_names_are_checked(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        Projects({name: root})


def test_an_unknown_project_is_told_with_the_known_ones(projects: Projects) -> None:
    with pytest.raises(errors.NotFound, match="choose from default") as caught:
        projects.info("other", "a")
    assert caught.value.field == "project"


def test_a_root_that_a_link_has_replaced_is_refused_where_jobs_can_replace_it(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "secret.txt").write_text("secret")
    (tmp_path / "work").symlink_to("else")
    with resolve(tmp_path / "work", "secret.txt") as place:
        assert place.stat().st_size == 6
    with pytest.raises(NotADirectoryError), resolve(tmp_path / "work", "secret.txt", root_may_be_link=False):
        pass


def test_a_path_of_too_many_components_opens_nothing(projects: Projects) -> None:
    with pytest.raises(errors.BadRequest, match="101 components"):
        projects.begin_write("default", "/".join(["a"] * 101))


def test_links_do_not_make_a_path_longer_without_end(root: Path, projects: Projects) -> None:
    (root / "a").mkdir(parents=True)
    (root / "around").symlink_to("a/../" * 100 + "a")
    write(projects, "around/m.json", b"x")
    (root / "twice").symlink_to("around/../around")
    with pytest.raises(errors.Forbidden, match="too many folders"):
        read(projects, "twice/m.json")
