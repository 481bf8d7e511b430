"""Files that an agent names, written here."""

import hashlib

import pytest

from cluster_agent.protocol import FileEntry
from mlmagics.errors import UserError
from mlmagics.job.download import download


def entry(path, data=b"data", **fields):
    known = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **fields}
    return FileEntry(path=path, type="file", **known)


def test_a_file_arrives_below_the_folder(tmp_path):
    path = download(entry("models/a.json"), [b"da", b"ta"], tmp_path / "new", "gpu-box/42")
    assert path == tmp_path / "new" / "models" / "a.json"
    assert path.read_bytes() == b"data"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "..", "", "a\0b", "C:\\x"])
def test_a_name_that_leads_out_is_refused(tmp_path, path):
    folder = tmp_path / "in" / "here"
    with pytest.raises(UserError, match="may not be written here"):
        download(entry(path), [b"data"], folder, "gpu-box/42")
    assert not folder.exists()
    assert not list(tmp_path.rglob("x"))


def test_a_link_is_not_followed_out_of_the_folder(tmp_path):
    folder, outside = tmp_path / "in", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "models").symlink_to(outside)
    with pytest.raises(UserError, match="leads out of"):
        download(entry("models/a"), [b"data"], folder, "gpu-box/42")
    assert not list(outside.iterdir())


@pytest.mark.parametrize("chunks", [[b"dat"], [b"data", b"!"], [b"dada"]])
def test_what_is_not_as_announced_is_thrown_away(tmp_path, chunks):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(UserError, match="try again"):
        download(entry("a"), chunks, tmp_path, "gpu-box/42")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_broken_transfer_leaves_no_litter(tmp_path):
    def chunks():
        yield b"da"
        raise OSError("the connection broke")

    with pytest.raises(OSError, match="broke"):
        download(entry("a"), chunks(), tmp_path, "gpu-box/42")
    assert not list(tmp_path.iterdir())


def test_a_file_without_a_digest_is_judged_by_its_size(tmp_path):
    assert download(entry("a", sha256=None), [b"data"], tmp_path, "gpu-box/42").read_bytes() == b"data"
