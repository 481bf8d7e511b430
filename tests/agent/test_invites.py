"""Invites from the command that makes one to the cell that uses what it brought, over real TLS."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import ssl
import subprocess
import sys
import threading
import time

import httpx
import pytest

from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError, Forbidden, Unreachable
from cluster_agent.protocol import InviteCode
from mlmagics import api
from mlmagics.cluster import attaching, checking
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.errors import BadValue, ClusterError
from running import agent_command


@pytest.fixture
def session(tmp_path):
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield session
    session.close()


@pytest.fixture
def box(start_agent, tmp_path):
    """An agent with TLS, for several people."""
    home = tmp_path / "box"
    agent_command(home, "init")
    return start_agent("--host", "127.0.0.1", "--shared-uid", home=home)


def invite(agent, user="ada", *more):
    """Name and address of a new invite, as the command prints them."""
    (line,) = agent_command(agent.home, "invite", user, *more)
    magic, verb, name, url = line.split()
    assert (magic, verb) == ("%attachments", "add")
    return name, url


def add(session, url, name="gpu-box", **options):
    return attaching.add(name, url, session=session, **options)


def test_one_line_lets_somebody_in(box, session):
    name, url = invite(box, "ada", "--role", "viewer", "--label", "her laptop", "--expires", "90d")
    row = add(session, url, name)
    assert (row.state, row.info.user, row.info.role) == ("Ready", "ada", "viewer")
    kept = session.store.get(name)
    assert kept.url == url.partition("#")[0]
    assert kept.pin == hashlib.sha256(der(box)).hexdigest()
    assert kept.agent_id == row.info.agent_id
    (token,) = (info for info in box_client(box).list_tokens() if info.user == "ada")
    assert token.label == "her laptop"
    assert token.expires_at - token.created_at == pytest.approx(90 * 86400)
    code = url.partition("#")[2]
    for file in [*box.home.glob("agent.db*"), *box.home.glob("audit.log"), session.store.path]:
        assert code.encode() not in file.read_bytes(), file
        assert InviteCode.parse(code).secret not in file.read_bytes(), file


def test_later_requests_are_sent_to_that_certificate_only(box, session):
    add(session, invite(box)[1])
    assert api.submit("print('over TLS')", session=session).wait().logs() == "over TLS\n"
    steps = {step.what: step for step in checking.check("gpu-box", session=session)}
    assert steps["TLS"].said == "certificate is the one that the invite told"
    session.store.change("gpu-box", pin="0" * 64)
    with pytest.raises(ClusterError, match="its certificate is another one than that of the invite"):
        api.submit("print(1)", session=session)
    steps = {step.what: step for step in checking.check("gpu-box", session=session)}
    assert steps["TLS"].good is False


def test_a_notebook_with_the_line_may_run_again(box, session):
    url = invite(box)[1]
    add(session, url)
    token = session.store.token(session.store.get("gpu-box"))
    again = add(session, url)
    assert again.state == "Ready"
    assert again.remark.startswith("attached already: the invite was not used")
    another = invite(box)[1]
    assert "was not used" in add(session, another).remark
    assert session.store.token(session.store.get("gpu-box")) == token
    # and one whose token was revoked is let in anew by another invite
    agent_command(box.home, "token", "revoke", "--user", "ada")
    assert add(session, another).remark.find("was not used") == -1
    assert session.store.token(session.store.get("gpu-box")) != token


@pytest.mark.parametrize("how", ["used", "revoked", "expired", "unknown"])
def test_an_invite_that_does_not_work_says_why(box, session, how):
    url = invite(box)[1]
    code = InviteCode.parse(url.partition("#")[2])
    invite_id = agent_command(box.home, "invite", "--list")[1].split()[0]
    if how == "used":
        box_client(box).redeem(code.text)
    elif how == "revoked":
        assert agent_command(box.home, "invite", "--revoke", invite_id) == [
            f"the invite {invite_id} of ada is revoked"
        ]
    elif how == "expired":
        box.stop()
        with sqlite3.connect(box.home / "agent.db") as db:
            db.execute("UPDATE invites SET expires_at = ?", (time.time() - 1,))
        db.close()
        box.flags = (*box.flags, "--port", box.url.rpartition(":")[2])
        box.start()
    else:
        url = f"{url.partition('#')[0]}#{InviteCode.new(code.print).text}"
    said = {"used": "was used already", "revoked": "was revoked", "expired": "has expired"}
    with pytest.raises(BadValue) as caught:
        add(session, url)
    assert said.get(how, "knows no such invite") in caught.value.message
    assert "ask whoever runs gpu-box for a new one" in caught.value.message
    assert "\n" not in caught.value.message
    assert code.text not in caught.value.message
    assert session.store.all() == {}
    assert not [info for info in box_client(box).list_tokens() if info.user == "ada" and how != "used"]


def test_a_code_that_was_cut_or_changed_is_told_before_anything_is_sent(session):
    url = "https://192.0.2.1:8900"  # nobody is there
    code = InviteCode.new(bytes(32)).text
    wrong = "b" if code[9] != "b" else "c"
    for text, said in [
        (f"{url}#", "cut off"),
        (f"{url}#{code[:-1]}", "cut off"),
        (f"{url}#{code[:30]}", "cut off"),
        (f"{url}#{code[: InviteCode.LENGTHS[0]]}", "changed on its way"),
        (f"{url}#{code[:9]}{wrong}{code[10:]}", "changed on its way"),
        (f"{url}#{code}{code}", "has something added"),
        (f"{url}#code", "is not the code of an invite"),
        (f"{url}#mli2{code[4:]}", "newer agent"),
        (f"{url}#mlm_{'x' * 43}", "is not the code of an invite"),
    ]:
        with pytest.raises(BadValue) as caught:
            add(session, text)
        assert said in caught.value.message, text
        assert "\n" not in caught.value.message
        assert caught.value.field == "url"


def test_what_chat_programs_put_around_a_line_does_no_harm(box, session):
    url = invite(box)[1]
    assert add(session, f" <{url.replace('#mli', '#MLI')}>. ").state == "Ready"


def test_another_certificate_is_shown_nothing(box, session, start_agent, tmp_path):
    url = invite(box)[1]
    thief = tmp_path / "thief"
    agent_command(thief, "init")
    other = start_agent("--host", "127.0.0.1", home=thief)
    there = url.replace(box.url, other.url)
    with pytest.raises(ClusterError, match=r"another one than that of the invite.*nothing was sent"):
        add(session, there)
    assert "redeem" not in (thief / "audit.log").read_text()
    assert add(session, url).state == "Ready"  # nobody has used it


def test_an_invite_gives_way_to_no_other_token_and_to_no_http(box, session):
    url = invite(box)[1]
    with pytest.raises(BadValue, match="an invite brings its own token"):
        add(session, url, token="mlm_x")
    with pytest.raises(BadValue, match="an invite brings its own token"):
        add(session, url, token_env="TOKEN")
    with pytest.raises(BadValue, match="its address begins with https"):
        add(session, url.replace("https:", "http:"))


def test_a_name_that_is_another_agents_is_refused_before_the_invite_is_used(
    box, session, start_agent, tmp_path
):
    other = tmp_path / "other"
    agent_command(other, "init")
    second = start_agent("--host", "127.0.0.1", "--shared-uid", home=other)
    add(session, invite(second)[1])
    url = invite(box)[1]
    with pytest.raises(BadValue, match="gpu-box is attached already, to another agent"):
        add(session, url)
    assert add(session, url, "another-box").state == "Ready"


def test_a_certificate_of_a_known_issuer_needs_no_pin(box, session):
    add(session, invite(box)[1].replace("127.0.0.1", "localhost"), ca=str(box.home / "cert.pem"))
    kept = session.store.get("gpu-box")
    assert (kept.pin, kept.ca) == ("", str(box.home / "cert.pem"))


def test_an_agent_without_tls_on_this_machine_invites_too(start_agent, session):
    agent = start_agent("--shared-uid")
    url = invite(agent)[1]
    assert url.startswith(agent.url + "#")
    assert add(session, url).state == "Ready"
    assert session.store.get("gpu-box").pin == ""


def test_a_second_person_needs_shared_uid(agent):
    (line,) = agent_command(agent.home, "invite", "grace", code=1)
    assert "all jobs run as one unix user here" in line
    me = agent.client().info().user
    assert agent_command(agent.home, "invite", me)[0].startswith("%attachments add ")


def test_of_many_who_paste_at_once_one_is_let_in(box):
    code = invite(box)[1].partition("#")[2]
    answers = []
    ready = threading.Barrier(8)

    def paste():
        client = box_client(box, token=None)
        ready.wait()
        try:
            answers.append(client.redeem(code).token)
        except Forbidden as error:
            answers.append(error.message)

    threads = [threading.Thread(target=paste) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tokens = [answer for answer in answers if answer.startswith("mlm_")]
    assert len(tokens) == 1
    assert sum("was used already" in answer for answer in answers) == 7
    assert box_client(box, token=tokens[0]).info().user == "ada"


def test_who_tries_codes_has_to_wait(box):
    client = box_client(box, token=None)
    answers = []
    for _ in range(30):
        try:
            client.redeem(InviteCode.new(bytes(32)).text)
        except AgentError as error:
            answers.append(error.code)
    assert answers[0] == "forbidden"
    assert answers[-1] == "too_many_tries"
    assert box_client(box).info().role == "admin"  # a valid token works all the same


def test_who_tries_tokens_has_to_wait_and_a_valid_one_works(agent):
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        answers = [
            http.get("/v1/info", headers={"Authorization": f"Bearer mlm_{number:043}"})
            for number in range(70)
        ]
    assert (answers[0].status_code, answers[-1].status_code) == (401, 429)
    assert answers[-1].headers["Retry-After"] == "60"
    assert "too many failed tries from 127.0.0.1" in answers[-1].json()["error"]["message"]
    assert agent.client().info().role == "admin"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"code": 1}',
        b'{"code": ""}',
        b'{"code": "mli1"}',
        b'{"code": "\\ud800"}',
        b"x" * 70000,
    ],
)
def test_bad_codes_over_http_are_refused_as_such(agent, body):
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        reply = http.post("/v1/redeem", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in {400, 413}
    assert reply.json()["error"]["code"] in {"bad_request", "too_large"}


def test_the_magic_and_the_command_take_invites(box, tmp_path):
    config = {"MLMAGICS_CONFIG_DIR": str(tmp_path / "config"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "mlmagics", "attachments", "add", "gpu-box", invite(box)[1]],
        env=config, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "gpu-box" in done.stdout
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "shell.run_line_magic('load_ext', 'mlmagics')\n"
        f"shell.run_line_magic('attachments', 'add by-magic {invite(box, 'grace')[1]}')\n"
        "import mlmagics\n"
        f"mlmagics.attachments.add('by-call', {invite(box, 'linus')[1]!r})\n"
        "print([row.info.user for row in mlmagics.attachments()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=config, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "['ada', 'grace', 'linus']" in done.stdout


def test_acts_of_invites_stand_in_the_audit_log_without_their_codes(box, session):
    add(session, invite(box)[1])
    lines = [json.loads(line) for line in (box.home / "audit.log").read_text().splitlines()]
    acts = {line["act"]: line for line in lines}
    assert acts["invite"]["for_user"] == "ada"
    assert acts["invite"]["from"] == "socket"
    assert acts["redeem-invite"]["user"] == "ada"
    assert acts["redeem-invite"]["from"] == "127.0.0.1"


def der(agent):
    return ssl.PEM_cert_to_DER_cert((agent.home / "cert.pem").read_text())


def box_client(agent, token=""):
    pin = hashlib.sha256(der(agent)).hexdigest()
    client = AgentClient(agent.url, token=agent.token if token == "" else token, pin=pin, timeout_s=30)
    agent._clients.append(client)
    return client


def test_a_pin_is_checked_before_the_token_is_sent(box):
    with AgentClient(box.url, token=box.token, pin="0" * 64) as client, pytest.raises(Unreachable):
        client.info()
    assert box_client(box).info().role == "admin"


def test_users_make_no_invites(box):
    made = box_client(box).create_token("ada")
    with pytest.raises(Forbidden):
        box_client(box, token=made.token).create_invite("eve", role="admin")
