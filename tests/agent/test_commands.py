"""The commands for ops, as processes."""

import json
import os
import stat
import subprocess
import sys

import pytest

from cluster_agent.client import AgentClient
from cluster_agent.protocol import State
from hosted import AGENT, run_hosted
from running import run_cell, text_of, wait_ended


def run(*args, env=None, code=0):
    done = run_hosted(AGENT, [*map(str, args)], {**os.environ, **(env or {})})
    stdout, stderr = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, stdout + stderr
    assert "Traceback" not in stderr
    return stdout.splitlines() if code == 0 else stderr.splitlines()


def test_serve_works_without_init_and_keeps_its_secrets_private(agent):
    assert stat.S_IMODE(agent.home.stat().st_mode) == 0o700
    for name in ("token", "agent.db", "agent.sock", "instance.json", "ready.json"):
        assert stat.S_IMODE((agent.home / name).stat().st_mode) == 0o600, name
    ready = json.loads((agent.home / "ready.json").read_text())
    assert (ready["url"], ready["pid"]) == (agent.url, agent.pid)
    agent.stop()
    assert not (agent.home / "ready.json").exists()


def test_status_tells_what_runs(agent):
    run_cell(agent.client(), "1")
    lines = run("status", "--home", agent.home)
    assert any(line.startswith("jobs       0 running, 0 queued") for line in lines)
    told = json.loads("\n".join(run("status", "--json", "--home", agent.home)))
    assert told["public_url"] == agent.url


def test_commands_on_the_socket_need_no_token(agent):
    client = AgentClient("http://localhost", uds=str(agent.socket))
    assert client.info().role == "admin"
    client.close()


def test_tokens_are_made_listed_and_revoked_while_the_agent_serves(agent):
    user = agent.client().info().user
    token = run("token", "create", user, "--role", "viewer", "--expires", "90d", "--home", agent.home)[0]
    assert agent.client(token).info().role == "viewer"
    rows = run("token", "list", "--home", agent.home)
    assert rows[0].split() == ["TOKEN", "USER", "ROLE", "CREATED", "USED", "STATE", "LABEL"]
    assert not any(token in row for row in rows)
    token_id = next(row.split()[0] for row in rows if "viewer" in row)
    run("token", "revoke", token_id, "--home", agent.home)
    with pytest.raises(Exception, match="was revoked"):
        agent.client(token).info()


def test_tokens_can_be_made_while_no_agent_serves(agent):
    user = agent.client().info().user
    agent.stop()
    token = run("token", "create", user, "--home", agent.home)[0]
    assert run("token", "create", "somebody-else", "--home", agent.home, code=1)[0].startswith(
        "cluster-agent: all jobs run as"
    )
    assert len(run("token", "list", "--home", agent.home)) == 3
    agent.start()
    assert agent.client(token).info().role == "user"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["serve", "--gpus", "many"], "--gpus: 'many' is neither a whole number nor auto"),
        (["serve", "--default-timeout", "4"], "--default-timeout: '4' has no unit"),
        (["serve", "--host", "0.0.0.0"], "plain HTTP on 0.0.0.0"),
        (["serve", "--python", "/nowhere/python"], "--python /nowhere/python cannot be started"),
        (["serve", "--config", "/nowhere/agent.toml"], "/nowhere/agent.toml does not exist"),
        (["serve", "--project", "s3://bucket"], "only folders can be project roots"),
        (["status"], "no agent serves from"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path, args, message):
    (tmp_path / "home").mkdir(mode=0o700)
    lines = run(*args, "--home", tmp_path / "home", code=1)
    assert len(lines) == 1
    assert lines[0].startswith("cluster-agent: ")
    assert message in lines[0]


def test_a_home_that_others_can_write_is_refused(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)
    assert "writable by nobody else" in run("serve", "--home", tmp_path / "home", code=1)[0]


def test_a_port_that_is_taken_is_one_line(agent, tmp_path):
    port = agent.url.rpartition(":")[2]
    assert "--port 0 takes a free one" in run("serve", "--home", tmp_path / "h", "--port", port, code=1)[0]


def test_environment_variables_are_settings(tmp_path):
    lines = run("serve", "--home", tmp_path / "h", env={"CLUSTER_AGENT_PORT": "x"}, code=1)
    assert lines[0].startswith("cluster-agent: CLUSTER_AGENT_PORT: ")


def test_a_copied_home_is_noticed_and_skips_ids_after_restore(agent, start_agent, tmp_path):
    job, _ = run_cell(agent.client(), "1")
    agent.stop()
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", agent.home, copy], check=True)
    assert f"cluster-agent restore --home {copy}" in run("serve", "--home", copy, code=1)[0]
    assert "job ids go on at 1000002" in run("restore", "--home", copy)[0]
    restored = start_agent(home=copy)
    again, _ = run_cell(restored.client(), "1")
    assert (job.job_id, again.job_id) == (1, 1_000_002)


def test_init_does_not_take_half_a_certificate_for_a_whole_one(tmp_path):
    home = tmp_path / "box"
    home.mkdir(mode=0o700)
    (home / "cert.pem").write_text("of somebody")
    [told] = run("init", "--home", home, code=1)
    assert told.endswith("move cert.pem away and run init again, which makes both")
    (home / "cert.pem").unlink()
    run("init", "--home", home)
    assert sorted(path.name for path in home.glob("*.pem")) == ["cert.pem", "key.pem"]
    assert (home / "key.pem").stat().st_mode & 0o077 == 0
    assert not list(home.glob("*.new"))


def test_init_makes_a_box_that_serves_https(start_agent, tmp_path):
    home = tmp_path / "box"
    lines = run("init", "--home", home, "--python", sys.executable)
    assert lines[-3] == f"start it     cluster-agent serve --home {home}"
    assert run("init", "--home", home)  # again changes nothing
    agent = start_agent(home=home)
    assert agent.url.startswith("https://")
    local = f"https://127.0.0.1:{agent.url.rpartition(':')[2]}"
    client = AgentClient(local, token=agent.token, ca=str(home / "cert.pem"))
    job, events = run_cell(client, "print('over TLS')")
    assert (job.state, text_of(events)) == (State.SUCCEEDED, "over TLS\n")
    client.close()
    stranger = AgentClient(local, token=agent.token)
    with pytest.raises(Exception, match="certificate"):
        stranger.info()
    stranger.close()


def test_an_agent_of_ones_own_keeps_its_port_and_ends_when_idle(start_agent, tmp_path):
    agent = start_agent("--local", "--idle-exit", "1h", home=tmp_path / "own")
    first = agent.url
    job, _ = run_cell(agent.client(), "import sys\nprint(sys.executable)", python=sys.executable)
    assert job.state is State.SUCCEEDED
    agent.restart()
    assert agent.url == first
    agent.stop()
    agent.flags = ("--local", "--idle-exit", "1ms")
    agent.start()
    assert agent._process.wait(60) == 0


def test_idle_exit_waits_for_jobs(start_agent, tmp_path):
    agent = start_agent("--local", "--idle-exit", "1ms", "--port", "0", home=tmp_path / "own")
    client = agent.client()
    job, _ = run_cell(client, "import time\ntime.sleep(6)\nprint('done')")
    assert wait_ended(client, job.job_id).state is State.SUCCEEDED
