"""``cluster-agent doctor`` on boxes that are well and on boxes that are not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys

import pytest

from cluster_agent.doctor import probes, services
from cluster_agent.setup import unit_text
from running import agent_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


def examined(home, code=0, env=None):
    """What the doctor finds, by check; its exit code is ``code``."""
    done = subprocess.run(
        [sys.executable, "-m", "cluster_agent", "doctor", "--json", "--home", str(home)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert not done.stderr
    report = json.loads(done.stdout)
    assert report["good"] is (code == 0)
    return {finding["check"]: finding for finding in report["findings"]}


def test_a_box_that_serves_is_well(start_agent, tmp_path):
    home = tmp_path / "box"
    agent_command(home, "init")
    agent = start_agent("--host", "127.0.0.1", home=home, hosted=False)
    found = examined(home)
    assert not [finding for finding in found.values() if finding["level"] == "wrong"]
    assert found["address"]["said"] == f"{agent.url} is this agent"
    assert found["agent"]["said"] == f"serves at {agent.url} (process {agent.pid})"
    assert found["certificate"]["level"] == "ok"
    assert found["disk"]["level"] in {"ok", "warning"}
    lines = agent_command(home, "doctor")
    assert lines[-1].startswith("nothing is wrong, ")
    assert len(lines) == len(found) + 1


def test_a_box_that_does_not_serve_is_looked_at_too(agent):
    agent.stop()
    found = examined(agent.home)
    assert found["agent"]["level"] == "warning"
    assert f"cluster-agent serve --home {agent.home}" in found["agent"]["remedy"]
    assert found["database"]["said"].startswith("whole, ")
    assert "port" in found
    before = sorted(path.name for path in agent.home.iterdir())
    examined(agent.home)
    assert sorted(path.name for path in agent.home.iterdir()) == before


def test_what_is_broken_is_named_with_its_remedy(agent, tmp_path):
    agent.stop()
    (agent.home / "token").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        (agent.home / "agent.toml").write_text(
            f'python = "/nowhere/python"\nport = {squatter.getsockname()[1]}\ngpus = 3\n'
            '[runtimes.old]\npython = "/bin/false"\n'
        )
        found = examined(agent.home, code=1)
    assert found["rights"]["level"] == "wrong"
    assert found["rights"]["remedy"].startswith(f"chmod 600 {agent.home / 'token'}")
    assert "/nowhere/python cannot be started: No such file" in found["python"]["said"]
    assert "exit code 1" in found["python old"]["said"]
    assert found["port"]["level"] == "wrong"
    assert found["GPUs"]["level"] in {"warning", "ok"}
    (agent.home / "agent.toml").write_text("gpus = many\n")
    found = examined(agent.home, code=1)
    assert found["settings"]["level"] == "wrong"
    assert "disk" not in found


def test_a_damaged_database_and_too_many_people_are_found(agent):
    me = agent.client().info().user
    agent.stop()
    with sqlite3.connect(agent.home / "agent.db") as db:
        db.execute(
            "INSERT INTO tokens SELECT 'x', 'y', 'grace', role, label, created_at, expires_at, NULL, NULL FROM tokens"
        )
    db.close()
    found = examined(agent.home, code=1)
    assert found["people"]["said"].startswith(", ".join(sorted(["grace", me])))
    data = bytearray((agent.home / "agent.db").read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    (agent.home / "agent.db").write_bytes(data)
    assert examined(agent.home, code=1)["database"]["level"] == "wrong"


def test_a_home_that_is_not_there_is_the_only_finding(tmp_path):
    found = examined(tmp_path / "nowhere", code=1)
    assert list(found) == ["home"]
    assert "cluster-agent init" in found["home"]["remedy"]


def test_a_public_url_where_somebody_else_answers_is_found(agent, start_agent, tmp_path):
    other = start_agent("--public-url", agent.url)
    found = examined(other.home, code=1)
    assert found["public URL"]["said"].startswith(f"{agent.url} is another agent")
    assert found["address"]["level"] == "ok"
    silent = start_agent("--public-url", "http://127.0.0.1:9")
    assert "connection refused" in examined(silent.home, code=1)["public URL"]["said"]


@pytest.mark.parametrize(
    ("days", "names", "check"),
    [
        (-1, ["localhost"], "has expired"),
        (7, ["127.0.0.1", "localhost"], "ends in 6 d"),
        (400, ["other"], "not for"),
    ],
)
def test_dates_and_names_of_the_certificate_are_read(start_agent, tmp_path, days, names, check):
    home = tmp_path / "box"
    agent_command(home, "init")
    certificate(home, days, names)
    # what it was told on its command line is read from there
    start_agent("--host", "127.0.0.1", "--allowed-hosts", "localhost", home=home, hosted=False)
    found = examined(home, code=1 if days < 0 else 0)
    assert check in found["certificate"]["said"]
    assert found["address"]["level"] == "ok"  # the agent's own certificate is there, whatever it says


@pytest.mark.parametrize("system", [True, False])
def test_a_unit_that_kills_jobs_is_found(tmp_path, monkeypatch, system):
    unit = tmp_path / "cluster-agent.service"
    monkeypatch.setattr(services, "unit_path", lambda: unit)
    assert services.service(tmp_path / "box", serving_pid=0).unit == ""
    text = unit_text(tmp_path, tmp_path / "box", system=system)
    unit.write_text(text)
    found = services.service(tmp_path / "box", serving_pid=0)
    assert (found.unit, found.kill_mode, found.delegated) == ("cluster-agent.service", "process", True)
    unit.write_text(text.replace("KillMode=process", ""))
    assert services.service(tmp_path / "box", serving_pid=0).kill_mode == ""
    assert services.service(tmp_path / "another", serving_pid=0).unit == ""


@pytest.mark.parametrize("system", [True, False])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_understands_the_unit(tmp_path, system):
    command = tmp_path / "cluster-agent"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    unit = tmp_path / "cluster-agent.service"
    unit.write_text(unit_text(command, tmp_path / "box", system=system))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    # systems older than 254 do not know this one, and go on
    said = [line for line in done.stderr.splitlines() if "DelegateSubgroup" not in line and str(unit) in line]
    assert (done.returncode, said) == (0, [])


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path):
    mounts = (
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "30 22 0:26 / /srv rw - nfs4 box:/srv rw\n"
        "31 30 0:27 / /srv/local\\040disk rw shared:1 - xfs /dev/sdb1 rw\n"
    )
    for path, kind in [
        ("/home/x", "ext4"),
        ("/srv/x", "nfs4"),
        ("/srv/local disk/x", "xfs"),
        ("/srvx", "ext4"),
    ]:
        assert probes._file_system(tmp_path.__class__(path), mounts) == kind


def test_an_interpreter_that_hangs_does_not_hang_the_doctor(tmp_path, monkeypatch):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(probes, "_START_S", 0.2)
    assert "does not start within" in probes._interpreter("", str(slow)).error


def certificate(home, days, names):
    """A certificate for ``names`` that ends in so many days."""
    from datetime import datetime, timedelta, timezone
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    now = datetime.now(timezone.utc)
    told = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(told), critical=False)
        .sign(key, hashes.SHA256())
    )
    (home / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (home / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (home / "key.pem").chmod(0o600)
