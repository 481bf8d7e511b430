"""Every cursor that a reader may come with, and what it is answered."""

import httpx
import pytest

from cluster_agent.protocol import Cursor
from running import AgentProcess, run_cell

CURSORS = {
    "start": ("0", 200, 0),
    "first": ("{tag}.1", 200, 1),
    "middle": ("{tag}.{middle}", 200, "middle"),
    "end": ("{tag}.{end}", 200, "end"),
    "one beyond": ("{tag}.{beyond}", 416, "{tag}.{end}"),
    "far beyond": ("{tag}.999999999999999", 416, "{tag}.{end}"),
    "other log": ("{other}.3", 410, "0"),
    "other log, beyond": ("{other}.999999999999999", 410, "0"),
    "a start with a tag": ("{tag}.0", 200, 0),
    "empty": ("", 200, 0),
    "no number": ("{tag}.", 400, None),
    "no tag": (".3", 400, None),
    "a number": ("3", 400, None),
    "negative": ("{tag}.-1", 400, None),
    "too many digits": ("{tag}.1234567890123456", 400, None),
    "capitals": ("ABCDEF12.3", 400, None),
    "digits of another script": ("{tag}.٣", 400, None),
    "nothing like it": ("../../etc/passwd", 400, None),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    agent = AgentProcess(tmp_path_factory.mktemp("cursors") / "home")
    try:
        agent.start()
        job, events = run_cell(agent.client(), "for i in range(40): print(i, flush=True)")
        yield agent, job, events
    finally:
        agent.destroy()


@pytest.mark.parametrize("follow", [0, 1], ids=["read", "follow"])
@pytest.mark.parametrize("name", CURSORS)
def test_a_cursor_at(name, follow, log):
    agent, job, events = log
    text, status, expected = CURSORS[name]
    end = events[-1].seq
    places = {"tag": job.log_tag, "middle": end // 2, "end": end, "beyond": end + 1}
    places["other"] = "0" * 8 if job.log_tag != "0" * 8 else "1" * 8
    answer = httpx.get(
        f"{agent.url}/v1/jobs/{job.job_id}/events",
        params={"after": text.format(**places), "follow": follow},
        headers={"Authorization": f"Bearer {agent.token}"},
        trust_env=False,
    )
    assert answer.status_code == status, answer.text
    if status == 200:
        first = places.get(expected, expected)
        seqs = [int(line.split(",")[0].rpartition(":")[2]) for line in answer.text.splitlines()]
        assert seqs == list(range(first + 1, end + 1))
    else:
        error = answer.json()["error"]
        assert error["code"] == {400: "bad_cursor", 410: "gone", 416: "beyond_end"}[status]
        assert error["nearest"] == (expected.format(**places) if expected else None)
        if error["nearest"]:
            Cursor.parse(error["nearest"])
