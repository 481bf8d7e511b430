"""Clusters that the system's ssh leads to: a real sshd, a real agent, and what breaks between them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from front_end import FrontEnd

from cluster_agent.errors import Forbidden, NotFound
from cluster_agent.protocol import DONE, Submit
from git_ssh import SSHD, SshServer
from mlmagics import api
from mlmagics.cluster import attaching, checking
from mlmagics.cluster.connecting import client_of
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.ssh_addresses import parse_ssh
from mlmagics.cluster.ssh_tunnel import SshTunnel
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import BadValue, ClusterError
from running import AgentProcess, text_of, until
from unix_users import box_for_users

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None,
    reason="NOT TESTED, though it has to hold: attachments over ssh; that needs OpenSSH's ssh and sshd",
)
COUNTING = "import time\nfor n in range(400):\n    print(n, flush=True)\n    time.sleep(0.01)"
FOREVER = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)"


class SshBox:
    """A box with an agent that people reach by ssh only."""

    def __init__(self, folder: Path) -> None:
        self.sshd = SshServer(folder / "ssh")
        self.agent = AgentProcess(folder / "home", ("--gpus", "0"))
        self.config = self.sshd.folder / "config"

    @property
    def url(self) -> str:
        return self.sshd.url(self.agent.home)

    def tunnel(self, url: str = "") -> SshTunnel:
        return SshTunnel(parse_ssh(url or self.url))

    def logins(self) -> int:
        return (self.sshd.folder / "log").read_text().count("Accepted publickey")

    def master(self) -> int:
        """The process that is the tunnel."""
        control = Path(self.tunnel().socket).with_suffix(".ctl")
        said = subprocess.run(
            ["ssh", "-S", str(control), "-O", "check", "x"], capture_output=True, text=True, check=True
        )
        return int(re.search(r"pid=(\d+)", said.stderr)[1])  # type: ignore[index]


@pytest.fixture(scope="module")
def box() -> Iterator[SshBox]:
    # sockets have short paths, and sshd reads keys as whoever comes
    folder = Path(tempfile.mkdtemp(prefix="mlm-", dir="/var/tmp"))
    folder.chmod(0o755)
    box, runtime = SshBox(folder), str(folder / "run")
    (folder / "run").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{box.sshd.programs}:{os.environ['PATH']}")
        patch.setenv("XDG_RUNTIME_DIR", runtime)
        try:
            box.sshd.start()
            box.agent.start()
            yield box
        finally:
            for control in Path(runtime).glob("mlmagics/*.ctl"):
                subprocess.run(
                    ["ssh", "-S", str(control), "-O", "exit", "x"], capture_output=True, check=False
                )
            box.agent.destroy()
            box.sshd.stop()
            shutil.rmtree(folder)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield session
    session.close()


@pytest.fixture
def attached(session: Session, box: SshBox) -> Session:
    attaching.add("gpu-box", box.url, session=session)
    return session


def ssh_step(session: Session) -> checking.Step:
    return next(step for step in checking.check("gpu-box", session=session) if step.what == "ssh")


def test_a_box_is_attached_by_ssh_alone_and_runs_cells(session: Session, box: SshBox) -> None:
    row = attaching.add("gpu-box", box.url + "/", session=session)
    assert (row.state, row.address) == ("Ready", box.url)
    job = api.submit("print('hi')", session=session).wait()
    assert job.logs() == "hi\n"
    assert not (session.store.folder / "tokens").exists()
    steps = {step.what: step for step in checking.check("gpu-box", session=session)}
    assert [*steps][:2] == ["ssh", "agent"]
    assert all(step.good is not False for step in steps.values())
    # one that others can use, whoever they are there
    assert job.history_url == f"ssh://127.0.0.1:{box.sshd.port}{box.agent.home}/history/{job.job_id}"
    attaching.alias("gpu-box", f"{box.url}/people.sock", session=session)
    renamed = job.history_url.replace("/history", "/people.sock/history")
    assert api.find(url=renamed, session=session).ref == job.ref
    others = job.history_url.replace("ssh://", "ssh://somebody-else@")
    assert api.find(url=others, session=session).ref == job.ref
    assert api.jobs(session=session).jobs[0].history_url == job.history_url


def test_a_page_opens_through_a_port_that_asks_for_a_code(attached: Session, box: SshBox) -> None:
    job = api.submit("print('hi')", session=attached).wait()
    url = job.view_code().url
    base = re.match(r"http://127\.0\.0\.1:\d+", url)[0]  # type: ignore[index]
    assert base != box.agent.url
    assert "<html" in httpx.get(f"{base}/history/{job.job_id}", trust_env=False).text
    assert httpx.get(f"{base}/v1/info", trust_env=False).status_code == 401
    found = httpx.post(f"{base}/v1/view-token", json={"code": url.partition("code=")[2]}, trust_env=False)
    assert found.status_code == 200, found.text
    assert job.view_code().url.startswith(f"{base}/")


def test_nothing_is_lost_or_double_when_the_tunnel_is_cut(attached: Session, box: SshBox) -> None:
    client = attached.client("gpu-box")
    job = client.submit(Submit(source=COUNTING), os.urandom(8).hex())
    events, broken = [], []
    for event in client.follow(job.job_id, on_trouble=broken.append):
        if event.seq is not None:
            events.append(event)
        if len(events) in (50, 150) and event.seq is not None:
            os.kill(box.master(), signal.SIGKILL)
    assert len(broken) >= 2
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]
    assert text_of(events) == "".join(f"{n}\n" for n in range(400))


def test_many_ask_at_once_and_share_one_tunnel(attached: Session, box: SshBox) -> None:
    box.tunnel().close()
    before = box.logins()
    users: list[str] = []

    def ask() -> None:
        with client_of(attached.attachment("gpu-box")) as client:
            users.append(client.info().user)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(users) == 4
    assert box.logins() == before + 1


def test_an_agent_that_is_away_is_told_and_found_again(attached: Session, box: SshBox) -> None:
    logins = box.logins()
    box.agent.stop()
    try:
        row = api.attachments(session=attached)[0]
    finally:
        box.agent.start()
    assert row.state == "Unreachable"
    assert row.remark.endswith("does the agent still run there?")
    assert api.attachments(session=attached)[0].state == "Ready"
    assert box.logins() == logins


def test_an_interrupt_of_a_kernel_leaves_the_tunnel(box: SshBox, session: Session, tmp_path: Path) -> None:
    attaching.add("gpu-box", box.url, session=session)
    before = box.master()
    front_end = FrontEnd(
        {
            "MLMAGICS_CONFIG_DIR": str(session.store.folder),
            "MLMAGICS_LOCAL_HOME": str(tmp_path / "local"),
            "IPYTHONDIR": str(tmp_path / "ipython"),
        }
    )
    try:
        assert front_end.run("%load_ext mlmagics").status == "ok"
        cell = front_end.send("%%gpu-box --wait\n" + FOREVER)
        front_end.wait(lambda: "begun" in cell.streams)
        front_end.interrupt()
        front_end.wait(lambda: cell.idle and cell.status is not None)
        assert "which goes on" in cell.text
        assert box.master() == before
        assert front_end.run("%cancel --mine --yes").status == "ok"
    finally:
        front_end.close()
    until(lambda: all(job.info.state in DONE for job in api.jobs(session=session).jobs))


def test_an_interrupt_while_a_tunnel_is_made_leaves_no_half_of_it(box: SshBox) -> None:
    code = (
        "import sys; from mlmagics.cluster.ssh_addresses import parse_ssh; "
        "from mlmagics.cluster.ssh_tunnel import SshTunnel; SshTunnel(parse_ssh(sys.argv[1])).open()"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ssh://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.DEVNULL)
        try:
            silent.settimeout(30)
            with silent.accept()[0] as connection:
                process.send_signal(signal.SIGINT)
                process.wait(10)
                # what ssh greets with, and then its end
                connection.settimeout(10)
                while connection.recv(1024):
                    pass
        finally:
            process.kill()
            process.wait()


def test_what_ssh_refuses_is_told_with_what_to_do(attached: Session, box: SshBox, tmp_path: Path) -> None:
    good, known = box.config.read_text(), box.sshd.known_hosts.read_text()
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    wrong_key = (tmp_path / "other.pub").read_text()
    try:
        box.tunnel().close()
        box.config.write_text(good.replace(str(box.sshd.key), str(other)))
        assert re.search(
            r"ssh was not let in \(publickey.*type ssh -p \d+ \S+@127.0.0.1 in a ter",
            ssh_step(attached).said,
        )
        box.config.write_text(good)
        # nobody knocks again at once; who asks for it does
        row = api.attachments(session=attached)[0]
        assert (row.state, "ssh was not let in" in row.remark) == ("Unreachable", True)
        assert ssh_step(attached).good
        box.tunnel().close()
        box.sshd.known_hosts.write_text(f"[127.0.0.1]:{box.sshd.port} {wrong_key}")
        assert "the host key of 127.0.0.1 is another than before" in ssh_step(attached).said
        box.sshd.known_hosts.write_text("")
        assert re.search("is not known here yet: type ssh .* and compare the key", ssh_step(attached).said)
        # a key that may run commands, but forward nothing
        box.sshd.known_hosts.write_text(known)
        with (box.sshd.folder / "key.pub").open("a") as keys:
            keys.write(f"restrict {wrong_key}")
        box.config.write_text(good.replace(str(box.sshd.key), str(other)))
        assert "may you forward to sockets" in ssh_step(attached).said
    finally:
        box.config.write_text(good)
        box.sshd.known_hosts.write_text(known)
    with pytest.raises(ClusterError, match=r"no agent's socket is there .*does the agent run"):
        attaching.add("other", box.sshd.url(tmp_path), session=attached)
    with pytest.raises(ClusterError, match="takes no ssh connection"):
        attaching.add("other", "ssh://127.0.0.1:1", session=attached)
    with pytest.raises(BadValue, match="over ssh your account on the box is who you are"):
        attaching.add("other", box.url, token_env="HOME", session=attached)
    assert [*attached.store.all()] == ["gpu-box"]


def test_each_unix_user_of_the_box_is_a_person_of_their_own(box: SshBox, tmp_path: Path) -> None:
    with box_for_users("ada", "bob", flags=("--isolation", "user", "--admins", "bob")) as shared:
        with (shared.agent.home / "agent.toml").open("a") as file:
            file.write("[limits]\nqueued = 100\n")
        shared.agent.start()
        for name in shared.names.values():
            # a locked account is nobody whom sshd lets in
            subprocess.run(["usermod", "-p", "*", "-s", "/bin/sh", name], check=True)

        def attachment(person: str) -> Attachment:
            place = f"{shared.names[person]}@127.0.0.1:{box.sshd.port}{shared.agent.home}"
            return Attachment(name=person, url=f"ssh://{place}")

        with client_of(attachment("ada")) as ada, client_of(attachment("bob")) as bob:
            assert (ada.info().user, ada.info().role) == ("ada", "user")
            assert (bob.info().user, bob.info().role) == ("bob", "admin")
            with client_of(attachment("keeper")) as keeper, pytest.raises(Forbidden):
                keeper.info()
            job = bob.submit(Submit(source="import os; print(os.getuid())"), os.urandom(8).hex())
            assert text_of([*bob.follow(job.job_id)]) == f"{shared.uid('bob')}\n"
            with pytest.raises(NotFound):
                ada.job(job.job_id)
            with pytest.raises(Forbidden, match="this needs the role admin; ada has user here"):
                ada.usage()


@pytest.mark.skipif(os.getuid() != 0, reason="NOT TESTED: another unix user needs root")
def test_where_jobs_run_as_the_agents_user_an_account_is_no_way_in(
    start_agent: Callable[..., AgentProcess], tmp_path: Path
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mlm-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        path = folder / "people.sock"
        agent = start_agent("--people-socket", str(path), "--isolation", "process")

        def asked_as_nobody() -> str:
            code = (
                "import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); "
                "s.sendall(b'GET /v1/info HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'); "
                "print(s.makefile().read())"
            )
            command = ["/usr/bin/env", "python3", "-c", code % str(path)]
            return subprocess.run(
                command, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=True
            ).stdout

        assert "is nobody to this agent: whoever runs it says under [users]" in asked_as_nobody()
        agent.stop()
        (agent.home / "agent.toml").write_text('[users]\nguest = "nobody"\n')
        agent.start()
        assert "so guest could read and stop what root runs" in asked_as_nobody()
        agent.flags = (*agent.flags, "--shared-uid", "--people-role", "viewer")
        agent.restart()
        assert '"user":"guest","role":"viewer"' in asked_as_nobody()
    finally:
        shutil.rmtree(folder)
