"""``/metrics`` as Prometheus reads it, and the agent's own log."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from cluster_agent.server.metrics import Meter, Metric, text_of
from cluster_agent.server.routes import ROUTES
from cluster_agent.service_log import without_secrets
from running import agent_command, run_cell, until

_LINE = re.compile(
    r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (?P<value>-?[0-9.e+-]+)'
)


def read(text):
    """Values by name and labels; fails on what Prometheus could not read."""
    values, kinds = {}, {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, "a metric is told in one piece"
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = _LINE.fullmatch(line)
            assert match, line
            name, labels = match["name"], match["labels"] or ""
            family = re.sub("_(bucket|sum|count)$", "", name)
            assert kinds.get(name) or kinds.get(family) == "histogram", line
            assert (name, labels) not in values, line
            values[name.removeprefix("cluster_agent_"), labels] = float(match["value"])
            if kinds.get(name) == "counter":
                assert name.endswith("_total")
    return values


def scrape(agent, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        return http.get("/metrics", headers=headers)


def test_it_tells_the_box_its_jobs_and_its_requests(start_agent):
    agent = start_agent("--gpus", "2")
    run_cell(agent.client(), "1")
    run_cell(agent.client(), "1/0")
    reply = scrape(agent, agent.token)
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = read(reply.text)
    assert found["jobs", 'state="succeeded"'] == 1
    assert found["jobs_ended_total", 'state="failed"'] == 1
    assert found["gpus", 'state="free"'] == 2
    assert found["disk_free_bytes", ""] > 0
    assert found["disk_refuses", ""] == 0
    assert found["spares", 'has="imports"'] == 0
    assert found["http_requests_total", 'method="POST",route="/v1/jobs",status="201"'] == 2
    assert found["http_request_seconds_count", 'route="POST /v1/jobs"'] == 2
    assert found["http_request_seconds_bucket", 'route="POST /v1/jobs",le="+Inf"'] == 2
    assert found["process_memory_bytes", ""] > 1e6
    again = read(scrape(agent, agent.token).text)
    counters = {key for key in found if key[0].endswith("_total")}
    assert all(again[key] >= found[key] for key in counters)
    assert agent.client().info().user not in reply.text


def test_it_needs_a_token_unless_it_is_opened(agent, start_agent):
    assert scrape(agent).status_code == 401
    viewer = agent.client().create_token(agent.client().info().user, role="viewer").token
    assert scrape(agent, viewer).status_code == 200
    opened = start_agent("--open-metrics")
    assert scrape(opened).status_code == 200
    with httpx.Client(base_url=opened.url, trust_env=False) as http:
        document = http.get("/openapi.json").json()
        assert http.get("/v1/info").status_code == 401
    assert document["paths"]["/metrics"]["get"]["security"] == []


def test_what_callers_write_is_in_no_label(agent):
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        for path in ("/v1/jobs/canary", "/canary", "/v1/tokens/canary?token=canary"):
            http.get(path, headers={"Authorization": "Bearer mlm_canary"})
    found = scrape(agent, agent.token).text
    assert "canary" not in found
    assert read(found)["refused_logins_total", ""] >= 1


def test_the_end_of_the_certificate_is_told(start_agent, tmp_path):
    agent_command(tmp_path / "box", "init")
    agent = start_agent("--host", "127.0.0.1", "--open-metrics", home=tmp_path / "box")
    with httpx.Client(base_url=agent.url, trust_env=False, verify=False) as http:
        assert read(http.get("/metrics").text)["certificate_ends_timestamp_seconds", ""] > 2e9


def test_labels_and_numbers_are_written_as_prometheus_reads_them():
    text = text_of([
        Metric(name="x", kind="gauge", help="A thing.", values=[({"a": 'q"\\\n'}, 1.5), ({}, 10**15)]),
    ])  # fmt: skip
    assert text.splitlines()[2:] == [
        'cluster_agent_x{a="q\\"\\\\\\n"} 1.5',
        "cluster_agent_x 1000000000000000",
    ]
    assert read(text.replace("cluster_agent_x", "cluster_agent_x", 1))


def test_a_histogram_rises_to_its_count():
    meter = Meter()
    route = next(route for route in ROUTES if route.path == "/v1/info")
    for seconds in (0.0005, 0.004, 0.3, 99.0):
        meter.count(route, 200, seconds)
    meter.count(None, 404, 1.0)
    found = read(text_of(meter.metrics()))
    buckets = [value for (name, labels), value in found.items() if name == "http_request_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found["http_request_seconds_count", 'route="GET /v1/info"'] == 4


# --- the agent's own log ----------------------------------------------------------------------------------


def test_with_json_each_line_of_the_log_is_an_object(start_agent):
    agent = start_agent("--log-format", "json", "--log-level", "info")
    agent.client().info()
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        http.get(
            "/v1/jobs?canary=1", headers={"Authorization": "Bearer mlm_canary0000000", "Referer": "canary"}
        )
    until(lambda: "GET /v1/jobs" in agent.stderr.read_text())
    lines = [json.loads(line) for line in agent.stderr.read_text().splitlines()]
    told = {line["route"]: line for line in lines if "route" in line}
    assert told["GET /v1/info"]["status"] == 200
    assert told["GET /v1/info"]["user"] == agent.client().info().user
    assert told["GET /v1/jobs"]["status"] == 401
    assert all({"at", "level", "logger", "message"} <= set(line) for line in lines)
    assert "canary" not in agent.stderr.read_text()


def test_without_being_told_the_log_has_no_requests(agent):
    agent.client().info()
    agent.stop()
    assert agent.stderr.read_text() == ""


@pytest.mark.parametrize(
    "text",
    [
        "token mlm_u1c-RKWO2dk_c3f2QZ5tYdY2vau8ZNtzUjq3RHRsFHg was sent",
        "Authorization: Bearer something",
        "mlv_7b22.abcdef0123456789",
        "https://gpu-box:8900#mli1abcdefghijklmnop",
    ],
)
def test_secrets_never_reach_the_log(text):
    shown = without_secrets(text)
    assert "(secret)" in shown
    assert not re.search("RKWO|something|abcdef", shown)
