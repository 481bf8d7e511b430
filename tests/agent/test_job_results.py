"""Results over HTTP: what a cell was asked to keep, its bytes, and clear words where there is none."""

from __future__ import annotations

import json

import pytest

from cluster_agent.errors import BadRequest, NotFound
from cluster_agent.protocol import ResultEntry, State
from running import run_cell

#: Speaks to the supervisor as the kit does, from the cell: what the kit makes of variables is another test's.
SEND = """
import gc, json
from mlmagics_job.channel import Channel
[channel] = [thing for thing in gc.get_objects() if isinstance(thing, Channel)]
def keep(name, **fields):
    channel.send({"type": "result", "name": name, **fields}, wait=True)
"""


def test_results_are_listed_and_read(agent):
    client = agent.client()
    job, _ = run_cell(
        client,
        SEND
        + """
keep("forged", kind="int", format="json", data={"application/json": 1})
keep("m", kind="dict", format="json", data={"application/json": {"rmse": 0.25, "names": ["é"]}})
keep("model", kind="Booster", reason="a Booster is no plain value")
print("after\\n" * 5000)
""",
        fetch=["m", "model"],
    )
    assert job.state is State.SUCCEEDED
    content = client.result(job.job_id, "m")
    assert json.loads(content) == {"rmse": 0.25, "names": ["é"]}
    m, model = client.results(job.job_id)
    assert (m.name, m.kind, m.format, m.size) == ("m", "dict", "json", len(content))
    assert model == ResultEntry(name="model", kind="Booster", reason="a Booster is no plain value")
    with pytest.raises(NotFound, match="model could not be kept: a Booster is no plain value"):
        client.result(job.job_id, "model")
    with pytest.raises(NotFound, match="there is no result 'forged'; there is m"):
        client.result(job.job_id, "forged")
    for name in ("..", "../events.ndjson", ""):
        with pytest.raises(BadRequest):
            client.result(job.job_id, name)


def test_a_job_without_results_says_so(agent):
    client = agent.client()
    job, _ = run_cell(client, "1")
    assert client.results(job.job_id) == []
    with pytest.raises(NotFound, match="it has kept none"):
        client.result(job.job_id, "m")
