"""Who did what stands in the audit log: every act, by whom, from where, with its outcome, and no secret."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace

import httpx
import pytest

from cluster_agent.audit import Audit
from cluster_agent.errors import AgentError
from cluster_agent.protocol import Submit
from cluster_agent.server.routes import ROUTES, check_table
from running import agent_command, run_cell, wait_ended

CANARY = "canary-7f3a"


def acts(agent):
    return [json.loads(line) for line in (agent.home / "audit.log").read_text().splitlines()]


def last(agent, act):
    return [line for line in acts(agent) if line["act"] == act][-1]


def test_acts_are_told_with_who_where_and_what(agent):
    client = agent.client()
    me = client.info().user
    key = os.urandom(8).hex()
    job = client.submit(Submit(source="import time; time.sleep(600)", timeout_s=60), key)
    client.submit(Submit(source="import time; time.sleep(600)", timeout_s=60), key)
    client.extend(job.job_id, 60)
    client.cancel(job.job_id, f"because {CANARY}")
    wait_ended(client, job.job_id)
    client.write_file("default", f"{CANARY[:6]}.txt", b"x")
    client.delete_file("default", f"{CANARY[:6]}.txt")
    agent_command(agent.home, "drain", "--message", CANARY)
    agent_command(agent.home, "resume")
    agent_command(agent.home, "gc")
    token = agent_command(agent.home, "token", "create", me, "--label", CANARY)[0]
    token_id = agent_command(agent.home, "token", "list")[-1].split()[0]
    rotated = agent_command(agent.home, "token", "rotate", token_id)[0]
    agent_command(agent.home, "token", "revoke", token_id)
    agent_command(agent.home, "invite", me)
    told = acts(agent)
    assert [line["act"] for line in told] == [
        *(
            "start",
            "submit",
            "submit",
            "extend",
            "cancel",
            "write-file",
            "delete-file",
            "drain",
            "resume",
            "gc",
        ),
        *("create-token", "rotate-token", "revoke-token", "invite"),
    ]
    assert all(line["user"] == me and line["outcome"] == "ok" and line["at"] > 1.7e9 for line in told)
    submit = told[1]
    assert (submit["job_id"], submit["new"], submit["from"], submit["role"]) == (
        1,
        True,
        "127.0.0.1",
        "admin",
    )
    assert told[2]["new"] is False
    assert len(submit["by_token"]) == 8
    assert last(agent, "cancel")["job_id"] == job.job_id
    assert last(agent, "delete-file")["path"] == "canary.txt"
    assert last(agent, "drain")["from"] == "socket"
    assert last(agent, "rotate-token")["in_place_of"] == token_id
    assert last(agent, "revoke-token")["token_id"] == token_id
    text = (agent.home / "audit.log").read_text()
    for secret in (CANARY, token, rotated, agent.token, "time.sleep"):
        assert secret not in text
    assert stat.S_IMODE((agent.home / "audit.log").stat().st_mode) == 0o600


def test_what_was_refused_is_told_too(start_agent):
    agent = start_agent("--shared-uid")
    made = agent.client().create_token("ada")
    ada = agent.client(made.token)
    job, _ = run_cell(agent.client(), "1")
    for act in (
        ada.resume,
        lambda: ada.cancel(job.job_id),
        lambda: ada.cancel(99),
        lambda: ada.move(1, first=True),
    ):
        with pytest.raises(AgentError):
            act()
    told = [(line["act"], line["user"], line["outcome"]) for line in acts(agent) if line["user"] == "ada"]
    assert told == [
        ("resume", "ada", "forbidden"),
        ("cancel", "ada", "not_found"),
        ("cancel", "ada", "not_found"),
        ("move", "ada", "forbidden"),
    ]
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        http.post("/v1/drain", json={}, headers={"Authorization": "Bearer mlm_wrong"})
        http.post(
            "/v1/jobs",
            content=b"{",
            headers={"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"},
        )
    assert not [line for line in acts(agent) if line["act"] == "drain"]  # nobody knows who that was
    assert last(agent, "submit")["outcome"] == "bad_request"


def test_acts_on_an_agent_that_does_not_serve_are_told_too(agent):
    me = agent.client().info().user
    agent.stop()
    agent_command(agent.home, "token", "create", me)
    token_id = agent_command(agent.home, "token", "list")[-1].split()[0]
    agent_command(agent.home, "token", "rotate", token_id)
    agent_command(agent.home, "token", "revoke", token_id)
    agent_command(agent.home, "restore")
    assert [line["act"] for line in acts(agent)] == [
        *("start", "stop", "create-token", "rotate-token", "revoke-token", "restore")
    ]


def test_a_hostile_name_is_data(agent):
    path = 'a"\n{"act":"forged"}\u202e.txt'
    with pytest.raises(AgentError):
        agent.client().delete_file("default", path)
    assert last(agent, "delete-file")["path"] == path
    assert not [line for line in acts(agent) if line["act"] == "forged"]


def test_the_log_is_turned_over_by_its_size(tmp_path):
    audit = Audit(tmp_path / "audit.log", most_bytes=400, files=2)
    for number in range(40):
        audit.note("submit", user="ada", job_id=number, outcome="ok")
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert parts == ["audit.log", "audit.log.1", "audit.log.2"]
    found = [
        json.loads(line)["job_id"]
        for name in reversed(parts)
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert found == list(range(found[0], 40))
    assert all(path.stat().st_size < 600 for path in tmp_path.iterdir())
    assert audit.lost == 0


def test_a_log_that_cannot_be_written_stops_nobody(agent):
    log = agent.home / "audit.log"
    log.unlink()
    log.mkdir()
    job, _ = run_cell(agent.client(), "1")
    assert job.job_id == 1
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        text = http.get("/metrics", headers={"Authorization": f"Bearer {agent.token}"}).text
    assert "cluster_agent_audit_lines_lost_total 1" in text
    assert "acts are not recorded" in agent.stderr.read_text()


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "audit.log").symlink_to(tmp_path / "elsewhere")
    audit = Audit(tmp_path / "audit.log")
    audit.note("submit", user="ada")
    assert audit.lost == 1
    assert (tmp_path / "elsewhere").read_text() == ""


def test_a_route_that_changes_something_has_a_word_for_it():
    bad = [replace(route, act="") if route.path == "/v1/drain" else route for route in ROUTES]
    with pytest.raises(ValueError, match="POST /v1/drain changes something, and the audit log has no word"):
        check_table(bad)
