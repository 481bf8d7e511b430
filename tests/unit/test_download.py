"""Files that an agent names, written here."""

import hashlib

import pytest

from cluster_agent.protocol import FileEntry
from mlmagics.errors import BadValue, UserError
from mlmagics.job.download import Copied, copy_files, download


def entry(path, data=b"data", **fields):
    known = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **fields}
    return FileEntry(path=path, type="file", **known)


def test_a_file_arrives_below_the_folder(tmp_path):
    copied = download(entry("models/a.json"), [b"da", b"ta"], tmp_path / "new", "gpu-box/42")
    assert copied == Copied(tmp_path / "new" / "models" / "a.json", 4, already_here=False)
    assert copied.path.read_bytes() == b"data"


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
    copied = download(entry("a", sha256=None), [b"data"], tmp_path, "gpu-box/42")
    assert copied.path.read_bytes() == b"data"


class LeftFiles:
    """A job that has left files in its folder."""

    ref = "gpu-box/42"

    def __init__(self, **files):
        self.content = {name.replace("__", "/"): data for name, data in files.items()}
        self.asked = []
        self.digests = True

    def files(self):
        folder = FileEntry(path="models", type="directory")
        known = {} if self.digests else {"sha256": None}
        return [folder, *(entry(path, data, **known) for path, data in self.content.items())]

    def file(self, path):
        self.asked.append(path)
        yield self.content[path]


def test_the_same_file_is_not_written_again(tmp_path):
    job = LeftFiles(a=b"data", models__b=b"more")
    assert not any(copied.already_here for copied in copy_files(job, tmp_path))
    before = (tmp_path / "a").stat().st_mtime_ns
    again = copy_files(job, tmp_path)
    assert [copied.already_here for copied in again] == [True, True]
    assert again[0].line.endswith("a (already here)")
    assert (tmp_path / "a").stat().st_mtime_ns == before
    assert job.asked == ["a", "models/b"]


def test_another_file_of_the_name_stops_all_of_it(tmp_path):
    job = LeftFiles(a=b"data", b=b"data", c=b"data")
    (tmp_path / "b").write_bytes(b"mine")
    (tmp_path / "c").write_bytes(b"mine, longer")
    with pytest.raises(
        BadValue, match=r"b and 1 more: another file .* nothing was copied.*--overwrite"
    ) as caught:
        copy_files(job, tmp_path)
    assert caught.value.field == "overwrite"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
    assert (tmp_path / "b").read_bytes() == b"mine"
    assert [copied.already_here for copied in copy_files(job, tmp_path, overwrite=True)] == [False] * 3
    assert (tmp_path / "b").read_bytes() == b"data"


def test_without_a_digest_the_bytes_decide(tmp_path):
    job = LeftFiles(a=b"data")
    job.digests = False
    (tmp_path / "a").write_bytes(b"data")
    assert copy_files(job, tmp_path)[0].already_here
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(BadValue, match="another file of this name"):
        copy_files(job, tmp_path)
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_the_files_and_folders_that_were_named(tmp_path):
    job = LeftFiles(a=b"data", models__b=b"more", models__c=b"more")
    assert [copied.path.name for copied in copy_files(job, tmp_path, ["models/"])] == ["b", "c"]
    with pytest.raises(BadValue, match="left no file 'model'"):
        copy_files(job, tmp_path, ["a", "model"])
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_folders_and_files_do_not_replace_each_other(tmp_path, overwrite):
    (tmp_path / "a").mkdir()
    (tmp_path / "models").write_bytes(b"mine")
    for job in (LeftFiles(a=b"data"), LeftFiles(models__b=b"data")):
        with pytest.raises(BadValue, match=r"folder here|is a file here|another file"):
            copy_files(job, tmp_path, overwrite=overwrite)
    assert (tmp_path / "a").is_dir()
    assert (tmp_path / "models").read_bytes() == b"mine"
