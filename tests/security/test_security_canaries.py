"""Secrets go where they are used and nowhere else: canaries are sent through a session, and looked for in all it left."""

from __future__ import annotations

import base64
import gzip
import os
import re
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cluster_agent.client import AgentClient
from cluster_agent.protocol import State
from mlmagics.cluster.local import LocalAgent
from running import AgentProcess, agent_command, supervisors, until

SESSION = """
import os, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()

def run(source):
    done = shell.run_cell(source, store_history=True)
    return done.success

assert run("%load_ext mlmagics")
url, invite, password = os.environ["BOX"], os.environ["INVITE"], os.environ["URL_PASSWORD"]
assert run(f"%attachments add gpu-box {invite}")
assert run(f"%attachments add second {url} --token-env BOX_TOKEN")
assert run("%attachments") and run("%attachments check second")
cell = "%%second --wait --env API_KEY --env OTHER --name canaries\\n"
assert run(cell + f"import os, time; print('has', len(os.environ['API_KEY']), flush=True)\\n"
    f"while not os.path.exists({os.environ['GO']!r}): time.sleep(0.01)\\n")
assert not run(cell + "raise ValueError('it failed')")
assert run("%jobs") and run("%second") and run("%logs second/1") and run("%gpu-box")
# what fails tells no secret either
run(f"%attachments add third https://me:{password}@127.0.0.1:9")
run(f"%attachments add third {url.replace('://', f'://me:{password}@')}")
run(f"%logs --url https://me:{password}@127.0.0.1:9/history/1")
run(f"%logs --url {url}/history/1?token={os.environ['BOX_TOKEN']}")
run(f"%attachments add third {invite}")
run("%%second --env API_KEY=\\n1")
run(f"%attachments add third http://127.0.0.1:9 --token-env BOX_TOKEN")
os.environ["BOX_TOKEN"] = os.environ["WRONG_TOKEN"]
run("%attachments") and run("%second")
"""


def forms(secret: str) -> Iterator[bytes]:
    """``secret`` as it may stand somewhere: as it is, in hexadecimal, in base64 at each of its three places."""
    data = secret.encode()
    yield data
    yield data.hex().encode()
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + data)
        # characters that depend on what stands before and behind are left out
        yield coded[(0, 2, 3)[shift] : len(coded) - (0, 3, 2)[(len(data) + shift) % 3]].rstrip(b"=")[:-1]


def found_in(data: bytes, canaries: dict[str, str]) -> list[str]:
    return [name for name, secret in canaries.items() if any(form in data for form in forms(secret))]


def contents(root: Path) -> Iterator[tuple[Path, bytes]]:
    """All files below ``root``, and what is in archives there."""
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        yield path, data
        if data[:2] == b"\x1f\x8b":
            yield path, gzip.decompress(data)
        if path.suffix in {".tar", ".tgz"}:
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None:
                        yield path / member.name, file.read()


def leaks(roots: list[Path], canaries: dict[str, str]) -> set[tuple[str, str]]:
    return {
        (name, path.name)
        for root in roots
        for path, data in contents(root)
        for name in found_in(data, canaries)
    }


@pytest.fixture
def box(start_agent: Callable[..., AgentProcess], tmp_path: Path) -> AgentProcess:
    home = tmp_path / "box"
    agent_command(home, "init")
    return start_agent("--host", "127.0.0.1", "--shared-uid", home=home)


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    canary = secrets.token_urlsafe(24)
    folder = tmp_path / "all"
    folder.mkdir()
    for number, text in enumerate(("", "a", "ab", "abc")):
        (folder / f"coded-{number}").write_bytes(base64.b64encode(f"{text}{canary}{text}".encode()))
    (folder / "plain.log").write_text(f"GET /?token={canary} HTTP/1.1")
    (folder / "hex").write_text(canary.encode().hex())
    (folder / "old.log.gz").write_bytes(gzip.compress(canary.encode()))
    with tarfile.open(folder / "box.tar", "w") as archive:
        archive.add(folder / "plain.log", "agent.log")
    (folder / "innocent").write_text(canary[:-4])
    found = {path for _, path in leaks([folder], {"it": canary})}
    assert found == {f"coded-{number}" for number in range(4)} | {
        "plain.log",
        "hex",
        "old.log.gz",
        "box.tar",
        "agent.log",
    }


def test_no_secret_stays_anywhere(box: AgentProcess, tmp_path: Path) -> None:
    ca = str(box.home / "cert.pem")
    admin = AgentClient(box.url, token=box.token, ca=ca)
    made = admin.create_token("ada", label="canaries")
    invite = agent_command(box.home, "invite", "ada")[0].split()[-1]
    canaries = {
        "admin token": box.token,
        "token": made.token,
        "invite": invite.partition("#")[2],
        "value": f"value-{secrets.token_urlsafe(24)}",
        "other value": f"other-{secrets.token_urlsafe(24)}",
        "password": f"pw-{secrets.token_urlsafe(24)}",
        "wrong token": f"mlm_{secrets.token_urlsafe(24)}",
    }
    go = tmp_path / "go"
    settings = {
        "MLMAGICS_CONFIG_DIR": str(tmp_path / "config"),
        "MLMAGICS_LOCAL_HOME": str(tmp_path / "local"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "MPLCONFIGDIR": str(tmp_path / "mpl"),
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "SSL_CERT_FILE": ca,
    }
    given = {
        "BOX": box.url,
        "INVITE": invite,
        "BOX_TOKEN": canaries["token"],
        "API_KEY": canaries["value"],
        "OTHER": canaries["other value"],
        "URL_PASSWORD": canaries["password"],
        "WRONG_TOKEN": canaries["wrong token"],
        "GO": str(go),
    }
    out = tmp_path / "out"
    out.mkdir()
    with (out / "session").open("wb") as shown:
        session = subprocess.Popen(
            [sys.executable, "-c", SESSION],
            env=settings | given,
            stdout=shown,
            stderr=subprocess.STDOUT,
            cwd=out,
        )
    try:
        until(lambda: session.poll() is not None or has_printed(admin), within_s=30)
        assert session.poll() is None, (out / "session").read_text()
        commands = [b"\0".join(map(os.fsencode, cmdline())) for cmdline in command_lines()]
        own = [psutil.Process(box.pid), *supervisors(box.home)]
        variables = ["\0".join(process.environ().values()).encode() for process in own]
        go.touch()
        assert session.wait(120) == 0, (out / "session").read_text()
    finally:
        session.kill()
        session.wait()
        LocalAgent(tmp_path / "local").stop()
    assert [found_in(line, canaries) for line in commands if found_in(line, canaries)] == []
    assert [found_in(line, canaries) for line in variables] == [[] for _ in own]

    canaries |= look_at_everything(box, admin, out, settings)
    (kept,) = (tmp_path / "config" / "tokens").iterdir()
    canaries["token of the invite"] = kept.read_text().strip()
    # not IPython's own history, which has what was typed
    roots = [box.home, out, tmp_path / "config", tmp_path / "local"]
    # a backup is all that the home holds, so it is kept as that is
    allowed = {("admin token", "token"), ("admin token", "box.tar"), ("token of the invite", kept.name)}
    told = leaks([root for root in roots if root.exists()], canaries)
    assert told == allowed
    assert found_in(box.stderr.read_bytes(), canaries) == []
    shown_text = (out / "session").read_text()
    assert f"has {len(canaries['value'])}" in shown_text  # the job had it
    assert "API_KEY" in (out / "job.json").read_text()  # and its name is told
    for path in (box.home / "token", out / "box.tar", kept):
        assert path.stat().st_mode & 0o077 == 0


def has_printed(admin: AgentClient) -> bool:
    jobs = admin.jobs().jobs
    return (
        bool(jobs)
        and jobs[-1].state is State.RUNNING
        and b"has" in b"".join(admin.output(jobs[-1].job_id, "stdout"))
    )


def command_lines() -> Iterator[Callable[[], list[str]]]:
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        yield lambda line=line: line


def look_at_everything(
    box: AgentProcess, admin: AgentClient, out: Path, settings: dict[str, str]
) -> dict[str, str]:
    """Leave what commands, pages and replies tell below ``out``; the secrets that came up meanwhile."""
    for command in (["jobs"], ["queue"], ["status"], ["usage"], ["token", "list"], ["invite", "--list"]):
        (out / f"{'-'.join(command)}.txt").write_text("\n".join(agent_command(box.home, *command)))
    agent_command(box.home, "backup", out / "box.tar", "--jobs")
    for words in (["-m", "cluster_agent", "doctor", "--home", str(box.home)], ["-m", "mlmagics", "jobs"]):
        done = subprocess.run(
            [sys.executable, *words], env=settings, capture_output=True, timeout=120, check=False
        )
        (out / f"{words[1]}.txt").write_bytes(done.stdout + done.stderr)
    code = admin.view_code(1)
    with httpx.Client(base_url=box.url, verify=False, trust_env=False) as http:
        view = http.post("/v1/view-token", json={"code": code.code}).json()["token"]
        bearer = {"Authorization": f"Bearer {view}", "Referer": f"{box.url}/?token={box.token}"}
        for name, path in {
            "job.json": "/v1/jobs/1",
            "events": "/v1/jobs/1/events",
            "page": "/history/1",
            "refused": f"/v1/jobs?user={view}",
            "absent": f"/v1/nothing/{view}",
            "guessed": f"/v1/jobs/1/results/{view}"[:200],
        }.items():
            reply = http.get(path, headers=bearer)
            if name not in {
                "absent",
                "guessed",
            }:  # whoever sends a secret as a path gets it told back, and nobody else
                (out / name).write_bytes(reply.content + repr(reply.headers).encode())
        admin_bearer = {"Authorization": f"Bearer {box.token}"}
        for path in ("/metrics", "/v1/info", "/v1/tokens", "/v1/invites", "/v1/jobs?limit=9", "/v1/usage"):
            (out / re.sub(r"\W", "-", path)).write_bytes(http.get(path, headers=admin_bearer).content)
        wrong = http.get("/v1/info", headers={"Authorization": "Bearer mlm_wrong-canary"})
        (out / "wrong").write_bytes(wrong.content)
    admin.close()
    return {"view code": code.code, "view token": view, "token that was wrong": "mlm_wrong-canary"}
