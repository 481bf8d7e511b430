"""Submits whose reply was lost."""

import os

import msgspec
import pytest

from cluster_agent.client import Unconfirmed
from cluster_agent.errors import BadRequest
from mlmagics.job.journal import Journal


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "submits")


def left(journal):
    return list(journal.folder.glob("*"))


def lose_reply(journal, cluster="gpu-box", body=b"cell"):
    with pytest.raises(Unconfirmed), journal.submitting(cluster, body) as submitting:
        raise Unconfirmed("the connection broke")
    return submitting.key


def test_a_reply_that_was_seen_leaves_nothing(journal):
    with journal.submitting("gpu-box", b"cell") as first:
        assert first.earlier_at is None
    with journal.submitting("gpu-box", b"cell") as second:
        pass
    assert second.key != first.key
    assert left(journal) == []


def test_a_refusal_leaves_nothing(journal):
    with pytest.raises(BadRequest), journal.submitting("gpu-box", b"cell"):
        raise BadRequest
    assert left(journal) == []


def test_the_same_cell_after_a_lost_reply_has_the_same_key(journal):
    key = lose_reply(journal)
    with journal.submitting("gpu-box", b"cell") as again:
        assert again.key == key
        assert again.earlier_at is not None
    with journal.submitting("gpu-box", b"cell") as fresh:
        assert fresh.key != key


def test_a_lost_reply_is_found_by_the_next_kernel(journal):
    key = lose_reply(journal)
    (path,) = left(journal)
    entry = msgspec.json.decode(path.read_bytes())
    assert entry["pid"] == os.getpid()
    # the process that asked is gone, and another one may have its number
    path.write_bytes(msgspec.json.encode({**entry, "pid_started": 1, "pid": os.getppid()}))
    with Journal(journal.folder).submitting("gpu-box", b"cell") as again:
        assert again.key == key


@pytest.mark.parametrize(("cluster", "body"), [("gpu-box", b"other cell"), ("big-box", b"cell")])
def test_another_cell_or_cluster_has_a_key_of_its_own(journal, cluster, body):
    key = lose_reply(journal)
    with journal.submitting(cluster, body) as other:
        assert other.key != key
        assert other.earlier_at is None


def test_running_again_on_purpose_has_a_new_key(journal):
    key = lose_reply(journal)
    with journal.submitting("gpu-box", b"cell", again=False) as on_purpose:
        assert on_purpose.key != key


def test_equal_cells_at_once_are_different_jobs(journal):
    with journal.submitting("gpu-box", b"cell") as one, journal.submitting("gpu-box", b"cell") as two:
        assert one.key != two.key
        assert two.earlier_at is None


def test_an_interrupt_in_mid_submit_keeps_the_key(journal):
    with pytest.raises(KeyboardInterrupt), journal.submitting("gpu-box", b"cell") as first:
        raise KeyboardInterrupt
    with journal.submitting("gpu-box", b"cell") as again:
        assert again.key == first.key


def test_old_and_damaged_entries_are_swept_away(journal):
    lose_reply(journal)
    (path,) = left(journal)
    entry = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**entry, "at": entry["at"] - 2 * 86400}))
    (journal.folder / "bad.json").write_bytes(b"{")
    with journal.submitting("gpu-box", b"cell") as fresh:
        assert fresh.earlier_at is None
    assert left(journal) == []


def test_a_folder_that_cannot_be_written_stops_no_submit(tmp_path):
    (tmp_path / "file").write_text("")
    with Journal(tmp_path / "file" / "submits").submitting("gpu-box", b"cell") as submitting:
        assert submitting.key
