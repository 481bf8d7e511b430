from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlmagics_job import project
from mlmagics_job.folder import AtomicFile, OutsideProjectError, relative
from mlmagics_job.project import NoProjectError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "root with space"
    folder.mkdir()
    monkeypatch.setenv("PROJECT_URL", folder.as_uri())
    return folder


def fail() -> None:
    raise ZeroDivisionError


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize(
    "name", ["models/m.json", "project://models/m.json", "/models//./m.json", Path("models/m.json")]
)
def test_all_ways_to_write_a_path_are_the_same(name: str | Path) -> None:
    assert relative(name) == "models/m.json"


@pytest.mark.parametrize("name", ["..", "a/../b", "project://../x", "a\0b"])
def test_a_path_that_climbs_is_refused(name: str) -> None:
    with pytest.raises(OutsideProjectError, match="leads out"):
        relative(name)


def test_writing_appears_when_the_block_has_ended(root: Path) -> None:
    with project.path("models/deep/m.json", "w") as path:
        assert isinstance(path, str)
        assert path.endswith("/m.json"), "libraries choose the format by the ending"
        Path(path).write_text("{}")
        assert not (root / "models/deep/m.json").exists()
        assert os.stat(path).st_dev == os.stat(root).st_dev
    assert (root / "models/deep/m.json").read_text() == "{}"
    assert names(root) == ["models", "models/deep", "models/deep/m.json"]


def test_writing_that_fails_leaves_everything_as_it_was(root: Path) -> None:
    (root / "m.json").write_text("old")
    with pytest.raises(ZeroDivisionError), project.path("m.json", "w") as path:
        Path(path).write_text("half") and fail()
    with pytest.raises(FileNotFoundError, match="nothing was written for"), project.path("m.json", "w"):
        pass
    assert names(root) == ["m.json"]
    assert (root / "m.json").read_text() == "old"


def write_folder(path: str) -> None:
    Path(path).mkdir()
    (Path(path) / "weights.bin").write_bytes(b"1")


def test_a_library_may_write_a_folder(root: Path) -> None:
    with project.path("models/saved", "w") as path:
        write_folder(path)
    with pytest.raises(FileExistsError, match="another name"), project.path("models/saved", "w") as path:
        write_folder(path)
    assert names(root) == ["models", "models/saved", "models/saved/weights.bin"]


def test_reading_hands_out_the_file_itself(root: Path) -> None:
    (root / "a.txt").write_text("hello")
    path = project.path("project://a.txt")
    assert os.fspath(path) == str(path) == str(root.resolve() / "a.txt")
    assert isinstance(path, os.PathLike)
    with path as inside, open(inside) as file:
        assert file.read() == "hello"
    with pytest.raises(FileNotFoundError, match="there is no"):
        str(project.path("b.txt"))


def test_writing_without_a_block_says_how(root: Path) -> None:
    with pytest.raises(TypeError, match="in a with statement"):
        os.fspath(project.path("a.txt", "w"))
    with pytest.raises(ValueError, match="'r' or 'w'"):
        project.path("a.txt", "rb")


def test_open_writes_text_and_bytes_as_a_whole(root: Path) -> None:
    with project.open("deep/a.txt", "w") as file:
        file.write("é\n")
        assert not (root / "deep/a.txt").exists()
    with project.open("deep/a.txt") as file:
        assert file.read() == "é\n"
    with pytest.raises(ZeroDivisionError), project.open("deep/a.txt", "w") as file:
        file.write("half") and fail()
    with project.open("b", "wb") as file:
        file.write(b"\0")
    with pytest.raises(FileExistsError), project.open("b", "xb"):
        pass
    with project.open("b", "ab") as file:
        file.write(b"\1")
    with project.open("b", "rb") as file:
        assert file.read() == b"\0\1"
    assert names(root) == ["b", "deep", "deep/a.txt"]


def test_a_replaced_file_keeps_its_permissions(root: Path) -> None:
    (root / "a").write_text("1")
    (root / "a").chmod(0o640)
    with project.open("a", "w") as file:
        file.write("2")
    assert (root / "a").stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_synced_is_not_published(root: Path) -> None:
    file = AtomicFile(str(root / "a"))
    file.write(b"1")
    os.close(file.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.close()
    assert names(root) == []


def test_links_are_followed_inside_and_refused_outside(root: Path, tmp_path: Path) -> None:
    (tmp_path / "root with space too").mkdir()
    (tmp_path / "root with space too" / "secret").write_text("secret")
    (root / "out").symlink_to(tmp_path / "root with space too")
    (root / "v1").write_text("1")
    (root / "latest").symlink_to("v1")
    with project.open("latest", "w") as file:
        file.write("2")
    assert (root / "v1").read_text() == "2"
    assert (root / "latest").is_symlink()
    for use in (project.path("out/secret").__fspath__, lambda: project.open("out/new", "w")):
        with pytest.raises(OutsideProjectError, match="by a link"):
            use()
    with pytest.raises(OutsideProjectError), project.path("out/new", "w"):
        pass
    assert names(tmp_path / "root with space too") == ["secret"]


def test_without_a_project_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROJECT_URL", raising=False)
    with pytest.raises(NoProjectError, match="set PROJECT_URL"):
        str(project.path("a"))


@pytest.mark.parametrize("url", ["simplecache::s3://bucket", "reference://x", "project://x"])
def test_roots_that_compute_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECT_URL", url)
    with pytest.raises(NoProjectError, match="cannot be the root"):
        project.open("a")
