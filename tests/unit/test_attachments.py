"""The attachments file and what clusters may be called."""

import json
import os
import stat
import threading

import pytest

from mlmagics.cluster.names import check_name
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import BadValue, UnknownCluster, UserError


@pytest.fixture
def store(tmp_path):
    return AttachmentStore(tmp_path / "config")


def box(name="gpu-box", **fields):
    return Attachment(name=name, url="https://gpu-box:8900", **fields)


def test_an_absent_file_is_an_empty_one(store):
    assert store.all() == {}
    assert store.stamp() is None


def test_what_is_put_is_there_for_the_next_reader(store):
    store.put(box(ca="/etc/ca.pem", agent_id="a1", aliases=["https://old:1"]), token="abc")
    again = AttachmentStore(store.folder)
    assert again.get("gpu-box") == box(ca="/etc/ca.pem", agent_id="a1", aliases=["https://old:1"])
    assert again.token(again.get("gpu-box")) == "abc"


def test_a_typed_token_is_in_a_file_of_its_own_that_nobody_else_reads(store):
    store.put(box(), token="s3cret-token")
    assert "s3cret-token" not in store.path.read_text()
    for path in (store.path, store.folder / "tokens" / "gpu-box"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (store.folder, store.folder / "tokens"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_removed_attachment_takes_its_typed_token_along(store):
    store.put(box(), token="abc")
    store.remove("gpu-box")
    assert store.all() == {}
    assert not list((store.folder / "tokens").iterdir())


def test_a_token_comes_anew_from_its_file_or_variable(store, tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("first\n")
    by_file = box(credential="file", credential_from=str(file))
    assert store.token(by_file) == "first"
    file.write_text("second\n")
    assert store.token(by_file) == "second"
    by_variable = box(credential="env", credential_from="BOX_TOKEN")
    with pytest.raises(UserError, match=r"the variable BOX_TOKEN, .* is not set here"):
        store.token(by_variable)
    monkeypatch.setenv("BOX_TOKEN", "third")
    assert store.token(by_variable) == "third"


@pytest.mark.parametrize("content", [b"two words", b"\xff\xfe", b"line\nline", "ümlaut".encode()])
def test_a_file_that_holds_no_token_is_named_and_not_quoted(store, tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        store.token(box(credential="file", credential_from=str(file)))
    assert str(file) in caught.value.message
    assert content.split()[0].decode("latin1") not in caught.value.message.replace(str(file), "")


def test_an_empty_or_missing_token_file_is_told(store, tmp_path):
    file = tmp_path / "token"
    with pytest.raises(UserError, match="No such file"):
        store.token(box(credential="file", credential_from=str(file)))
    file.write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        store.token(box(credential="file", credential_from=str(file)))


def test_changes_by_many_at_once_lose_no_entry(store):
    def add(first):
        own = AttachmentStore(store.folder)
        for number in range(first, first + 10):
            own.put(box(f"box-{number}"))

    threads = [threading.Thread(target=add, args=(first,)) for first in range(0, 60, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(store.all()) == {f"box-{number}" for number in range(60)}


def test_a_change_starts_from_what_the_file_holds_now(store):
    store.put(box())
    other = AttachmentStore(store.folder)
    other.change("gpu-box", aliases=["https://a:1"])
    store.change("gpu-box", python_version="3.13.1")
    assert store.get("gpu-box") == box(aliases=["https://a:1"], python_version="3.13.1")


def test_the_stamp_tells_a_change(store):
    store.put(box())
    before = store.stamp()
    store.put(box("other"))
    assert store.stamp() != before


def test_a_damaged_file_is_told_and_left_alone(store):
    store.put(box())
    store.path.write_text('{"version": 1, "attachments": [{"name": 3}]}')
    with pytest.raises(UserError, match="is damaged"):
        store.all()
    with pytest.raises(UserError, match="is damaged"):
        store.put(box("other"))
    assert json.loads(store.path.read_text())["attachments"] == [{"name": 3}]


def test_a_file_of_a_newer_version_is_not_rewritten(store):
    store.folder.mkdir()
    store.path.write_text('{"version": 2, "attachments": []}')
    with pytest.raises(UserError, match="newer mlmagics"):
        store.put(box())
    assert json.loads(store.path.read_text())["version"] == 2


def test_a_failed_write_leaves_the_old_file_and_no_litter(store, monkeypatch):
    store.put(box())
    before = store.path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left"):
            store.put(box("other"))
    assert store.path.read_bytes() == before
    assert sorted(path.name for path in store.folder.iterdir()) == ["attachments.json", "attachments.lock"]


def test_an_unknown_name_is_answered_with_the_nearest(store):
    store.put(box())
    with pytest.raises(
        UnknownCluster, match=r"'gpubox' is attached: did you mean gpu-box\? .*gpu-box, local"
    ):
        store.get("gpubox")
    with pytest.raises(UnknownCluster):
        store.remove("nothing")
    with pytest.raises(UnknownCluster):
        store.change("nothing", ca=None)


@pytest.mark.parametrize("name", ["gpu-box", "a", "a.b_c-9", "x" * 32])
def test_good_names_pass(name):
    check_name(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "cannot be"),
        ("Gpu", "cannot be"),
        ("9box", "cannot be"),
        ("x" * 33, "cannot be"),
        ("a/b", "cannot be"),
        ("box\n", "cannot be"),
        ("böx", "cannot be"),
        ("local", "your own agent"),
        ("logs", "a command of mlmagics"),
        ("on", "a command of mlmagics"),
        ("python", "python is an IPython magic: choose another name, e.g. python-box"),
    ],
)
def test_bad_names_are_refused_with_the_reason(name, why):
    with pytest.raises(BadValue, match=why) as caught:
        check_name(name, frozenset({"python"}))
    assert caught.value.field == "name"
