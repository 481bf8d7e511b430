"""Networks that break without a word, clients that are slow, too many or gone, readers that take all there is."""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

import psutil
import pytest
from proxy import Proxy

from broken import Change, copy_package
from cluster_agent.client import AgentClient
from cluster_agent.errors import TooBusy, Unreachable
from cluster_agent.protocol import HEARTBEAT_S, SILENCE_S, State, Submit
from cluster_agent.server import connections
from running import run_cell, text_of, until


@pytest.fixture
def proxy(agent):
    between = Proxy(agent.url)
    yield between
    between.close()


def open_connections(agent):
    return [c for c in psutil.Process(agent.pid).net_connections("tcp") if c.status != "LISTEN"]


def test_a_stalled_connection_is_left_and_the_follower_misses_nothing(agent, proxy, tmp_path):
    go = tmp_path / "go"
    source = f"import os, time\nprint('one', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nprint('two')"
    job = agent.client().submit(Submit(source=source), "k")
    troubles, seen = [], []
    with AgentClient(proxy.url, token=agent.token, silence_s=1.0) as client:
        follower = threading.Thread(
            target=lambda: seen.extend(client.follow(job.job_id, on_trouble=troubles.append))
        )
        follower.start()
        until(lambda: "one" in text_of(seen))
        proxy.stall()
        go.touch()
        until(lambda: troubles)
        proxy.cut()
        proxy.heal()
        follower.join(60)
    assert isinstance(troubles[0], Unreachable)
    assert text_of(seen) == "one\ntwo\n"
    stored = [event.seq for event in seen if event.seq is not None]
    assert stored == list(range(1, len(stored) + 1))


@pytest.fixture
def namespace():
    """A network namespace behind a link that can be taken down: its name, and both addresses."""
    name, far = f"mlm{os.getpid()}", f"mlf{os.getpid()}"
    near_address, far_address = "198.18.77.1", "198.18.77.2"
    commands = [
        f"ip netns add {name}",
        f"ip link add {far} type veth peer name eth0 netns {name}",
        f"ip addr add {near_address}/30 dev {far}",
        f"ip link set {far} up",
        f"ip -n {name} addr add {far_address}/30 dev eth0",
        f"ip -n {name} link set eth0 up",
    ]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"this needs the right to make networks: {command}: {done.stderr.strip()}")
        yield name, near_address, far_address
    except FileNotFoundError:
        pytest.skip("this needs the command ip (iproute2)")
    finally:
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["ip", "link", "del", far], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


FAR_AWAY = """
import sys, time
sys.path[:0] = {path!r}
from cluster_agent.client import AgentClient
client = AgentClient({url!r}, token={token!r}, silence_s={silence_s})
began = []
def tell(error):
    print(round(time.monotonic() - began[-1], 1), flush=True)
    raise SystemExit
for event in client.follow({job_id}, on_trouble=tell):
    began.append(time.monotonic())
    if len(began) == 1:
        print("follows", flush=True)
"""


def quicker(folder, factor):
    """An agent's interpreter with all times by which it finds out that somebody is gone divided by ``factor``."""
    if factor == 1:
        return sys.executable
    options, beat = dict(connections._OPTIONS), "cluster_agent/protocol/__init__.py"
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    path = "cluster_agent/server/connections.py"
    changes = [
        Change(path, f'"{name}", {options[name]}', f'"{name}", {options[name] // factor}') for name in names
    ]
    changes += [
        Change(path, f"_GONE_S = {connections._GONE_S}", f"_GONE_S = {connections._GONE_S // factor}"),
        Change(beat, f"HEARTBEAT_S = {HEARTBEAT_S}", f"HEARTBEAT_S = {HEARTBEAT_S / factor}"),
    ]
    return copy_package(folder, changes)


def test_who_is_gone_is_found_out_within_30_seconds():
    """Silence with nothing under way is found by the kernel's probes, else by what does not arrive."""
    options = dict(connections._OPTIONS)
    assert options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"] <= 30
    assert HEARTBEAT_S + options["TCP_USER_TIMEOUT"] / 1000 <= 30
    assert 2 * HEARTBEAT_S < SILENCE_S <= 30


@pytest.mark.parametrize("factor", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_a_dead_network_is_noticed_on_both_sides(start_agent, namespace, tmp_path, factor):
    name, near, far = namespace
    agent = start_agent("--host", near, "--insecure-http", python=quicker(tmp_path / "copy", factor))
    job = agent.client().submit(Submit(source="import time\ntime.sleep(600)"), "k")
    silence_s = SILENCE_S / factor
    script = FAR_AWAY.format(
        path=sys.path, url=agent.url, token=agent.token, job_id=job.job_id, silence_s=silence_s
    )
    command = ["ip", "netns", "exec", name, sys.executable, "-c", script]

    def held():
        return [c for c in open_connections(agent) if c.raddr and c.raddr.ip == far]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout.readline() == "follows\n"
            assert held()
            subprocess.run(["ip", "-n", name, "link", "set", "eth0", "down"], check=True)
            down = time.monotonic()
            until(lambda: not held(), within_s=45)
            noticed_s = time.monotonic() - down
            silent_s = float(client.stdout.readline())
        finally:
            client.kill()
    # and what a busy machine adds
    assert noticed_s < 30 / factor + 10
    assert 0.8 * silence_s < silent_s < silence_s + 10
    assert agent.client().job(job.job_id).state is State.RUNNING


def send_slowly(agent, head):
    """A connection on which a request begins whose body does not come."""
    host, port = agent.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.format(host=host, token=agent.token).encode())
    return connection


BODY = "POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{{"


def test_a_body_that_does_not_come_ends_its_connection(start_agent, tmp_path):
    change = Change("cluster_agent/server/call.py", "_BODY_PART_S = 65536, 30.0", "_BODY_PART_S = 65536, 1.0")
    agent = start_agent(python=copy_package(tmp_path / "copy", [change]))
    with send_slowly(agent, BODY) as connection:
        connection.settimeout(20)
        assert connection.recv(100) == b""
    upload = "PUT /v1/projects/default/files/a HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 400\r\n\r\nx"
    with send_slowly(agent, upload) as connection:
        connection.settimeout(20)
        assert connection.recv(100) == b""
    client = agent.client()
    assert client.list_files("default") == []
    source = "print(" + "1" * 300_000 + ")"
    assert client.submit(Submit(source=source), "k").job_id == 1


def test_too_many_connections_are_told_so_and_leave_room_for_ops(start_agent):
    agent = start_agent("--max-connections", "40")
    url = ("127.0.0.1", int(agent.url.rpartition(":")[2]))
    idle = [socket.create_connection(url) for _ in range(20)]
    try:
        until(lambda: len(open_connections(agent)) >= 20)
        with pytest.raises(TooBusy, match=r"127\.0\.0\.1 has 20 connections"):
            agent.client().info()
        with AgentClient("http://localhost", uds=str(agent.socket)) as ops:
            assert ops.info().agent_id
    finally:
        for connection in idle:
            connection.close()

    def answers():
        try:
            return agent.client().info()
        except TooBusy:
            return None

    until(answers)


def test_followers_of_one_person_leave_room_for_others(start_agent):
    agent = start_agent("--max-connections", "40", "--shared-uid")
    ops = agent.client()
    job = ops.submit(Submit(source="import time\ntime.sleep(600)"), "k")
    ada, grace = (ops.create_token(name, role="viewer").token for name in ("ada", "grace"))
    streams = [agent.client(ada).follow(job.job_id) for _ in range(15)]
    for stream in streams:
        next(stream)
    other = agent.client(ada)
    with pytest.raises(TooBusy, match="ada has 15 requests under way"):
        other.info()
    assert agent.client(grace).info().user == "grace"
    streams.pop().close()

    def answers():
        try:
            return other.info()
        except TooBusy:
            return None

    until(answers)
    for stream in streams:
        stream.close()


def test_readers_of_a_large_log_hold_up_nobody(agent):
    """Twelve who read parts of a log, again and again; a submit beside them takes no longer than a moment."""
    client = agent.client()
    job, _ = run_cell(client, "line = 'x' * 99\nfor _ in range(400_000): print(line)")
    stop, reads = threading.Event(), []

    def read():
        mine = agent.client()
        while not stop.is_set():
            began = time.monotonic()
            stream = mine.output(job.job_id, "stdout", offset=39_000_000)
            assert sum(map(len, stream)) == 1_000_000
            reads.append(time.monotonic() - began)

    readers = [threading.Thread(target=read) for _ in range(12)]
    for reader in readers:
        reader.start()
    took = []
    try:
        for number in range(10):
            began = time.monotonic()
            client.submit(Submit(source="1"), f"key-{number}")
            took.append(time.monotonic() - began)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert statistics.median(took) < statistics.median(reads) / 2
