"""Variables that a cell was asked to keep: their exact bytes, once, and only those that were asked for."""

from __future__ import annotations

import hashlib
import json

from cluster_agent.supervisor.results import MAX_RESULTS_BYTES, ResultFrame, Results


def test_results_are_kept_byte_for_byte_and_told(supervise):
    job = supervise(
        """
frame(type="result", name="m", kind="dict", format="json", data={"application/json": {"é": [1, 2.5, None, 10**30]}})
frame(type="result", name="big", kind="list", format="json", data={"application/json": ["x" * 1000] * 2000})
print("after")
""",
        fetch=("m", "big", "never_made"),
    )
    ended = job.ended()
    assert ended.complete is True
    m, big = job.of("result")
    assert (m.name, m.kind, m.format) == ("m", "dict", "json")
    # a short one stands in its event, a long one lies in a file
    content = m.text.encode()
    assert big.text is None
    assert [path.name for path in job.folder.results.iterdir()] == [big.sha256]
    assert (len(content), hashlib.sha256(content).hexdigest()) == (m.size, m.sha256)
    assert json.loads(content) == {"é": [1, 2.5, None, 10**30]}
    assert json.loads((job.folder.results / big.sha256).read_bytes()) == ["x" * 1000] * 2000
    assert ended.events["result"] == 2


def test_a_result_that_cannot_be_kept_says_why(supervise):
    job = supervise(
        """
frame(type="result", name="model", kind="Booster", reason="a Booster is no plain value")
frame(type="result", name="odd", kind="x" * 5000, format="marshal", data={"application/json": 1})
frame(type="result", name="nothing", kind="int", format="json")
""",
        fetch=("model", "odd", "nothing"),
    )
    assert job.ended().complete is True
    told = {event.name: event for event in job.of("result")}
    assert (told["model"].kind, told["model"].reason) == ("Booster", "a Booster is no plain value")
    assert "'marshal'" in told["odd"].reason
    assert len(told["odd"].kind) == 200
    assert told["nothing"].reason == "it came without a value"
    assert not job.folder.results.exists()


def test_nobody_gets_a_result_in_that_was_not_asked_for_or_came_before(supervise):
    job = supervise(
        """
for name in ("../../escape", "other", "m", "m"):
    frame(type="result", name=name, kind="int", format="json", data={"application/json": 1})
""",
        fetch=("m",),
    )
    ended = job.ended()
    [kept] = job.of("result")
    assert kept.name == "m"
    assert ended.complete is False
    assert len(job.of("dropped")) == 3
    assert not job.folder.results.exists()


def test_a_result_in_a_file_is_kept_without_a_copy_in_between(supervise):
    job = supervise(
        """
import os
os.makedirs(results, exist_ok=True)
for name, flags in (("named", os.O_TMPFILE), ("copied", None)):
    fd = os.open(results, flags | os.O_RDWR, 0o600) if flags else os.memfd_create("x")
    os.write(fd, name.encode() * 1000)
    frame(type="result", name=name, kind="ndarray", format="npy", fd=fd)
frame(type="result", name="empty", kind="ndarray", format="npy", fd=os.memfd_create("x"))
read, write = os.pipe()
frame(type="result", name="pipe", kind="ndarray", format="npy", fd=read)
frame(type="result", name="none", kind="ndarray", format="npy")
""",
        fetch=("named", "copied", "empty", "pipe", "none"),
    )
    assert job.ended().complete is True
    told = {event.name: event for event in job.of("result")}
    for name in ("named", "copied"):
        content = (job.folder.results / told[name].sha256).read_bytes()
        assert content == name.encode() * 1000
        assert (told[name].size, told[name].sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert told["empty"].reason == told["none"].reason == "it came without a value"
    assert told["pipe"].reason == "it came without a file"
    assert len(list(job.folder.results.iterdir())) == 2


def test_some_more_are_kept_when_nobody_asked_within_their_limit(supervise):
    job = supervise(
        """
for number in range(3):
    frame(type="result", name=f"v{number}", kind="str", format="json", unasked=True,
          data={"application/json": "x" * 400})
frame(type="result", name="df", kind="DataFrame", reason="too large", size=10**9, unasked=True)
for name in ("v0", "a b", "m"):
    frame(type="result", name=name, kind="int", format="json", unasked=True, data={"application/json": 1})
""",
        fetch=("m",),
        keep_all_bytes=1000,
    )
    job.ended()
    told = {event.name: event for event in job.of("result")}
    assert [name for name, event in told.items() if event.reason is None] == ["v0", "v1", "m"]
    assert told["v2"].reason == "it has 402 B, more than is kept unasked: name it in --fetch"
    assert (told["df"].reason, told["df"].size) == ("too large", 10**9)
    assert len(job.of("dropped")) == 2


def test_results_of_a_job_have_a_limit_in_all(tmp_path, monkeypatch):
    results = Results(tmp_path, ["a", "b"])
    results._left_bytes = 10
    frames = [
        ResultFrame(name=name, format="json", data={"application/json": b'"12345"'}) for name in ("a", "b")
    ]
    first, second = (results.take(frame).keep() for frame in frames)
    assert first["size"] == 7
    assert "1 GiB in all" in second["reason"]
    assert MAX_RESULTS_BYTES == 2**30


def test_bytes_that_are_no_text_are_not_kept(tmp_path):
    frame = ResultFrame(name="a", format="json", data={"application/json": b'"\xff"'})
    assert Results(tmp_path, ["a"]).take(frame).keep()["reason"] == "its text is not valid UTF-8"
