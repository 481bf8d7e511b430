"""Tokens through their lives: made, used, rotated, ended; and what their end ends."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError, Conflict, NotFound, Unauthorized, Unreachable
from cluster_agent.protocol import Submit
from running import agent_command, until

SLEEP = "import time; print('begun', flush=True); time.sleep(600)"


def row(agent, token_id):
    """A line of ``token list``, by its columns' heads."""
    lines = agent_command(agent.home, "token", "list")
    (line,) = (line for line in lines if line.startswith(token_id))
    heads = lines[0]
    starts = [heads.index(head) for head in heads.split()]
    return {
        head: line[start:end].strip()
        for head, start, end in zip(heads.split(), starts, [*starts[1:], None], strict=True)
    }


@pytest.mark.parametrize("serving", [True, False])
def test_a_token_is_rotated_with_an_overlap(agent, serving):
    me = agent.client().info().user
    old = agent.client().create_token(me, role="viewer", label="ci", expires_s=90 * 86400)
    if not serving:
        agent.stop()
    new = agent_command(agent.home, "token", "rotate", old.info.token_id, "--overlap", "1h")[0]
    if not serving:
        agent.start()
    for token in (old.token, new):
        assert agent.client(token).info().role == "viewer"
    infos = {info.token_id: info for info in agent.client().list_tokens()}
    (made,) = (info for info in infos.values() if info.label == "ci" and info.token_id != old.info.token_id)
    assert infos[old.info.token_id].expires_at == pytest.approx(time.time() + 3600, abs=60)
    assert made.expires_at == pytest.approx(time.time() + 90 * 86400, abs=60)
    # without an overlap the old one ends at once
    agent_command(agent.home, "token", "rotate", made.token_id, "--overlap", "0", "--expires", "1d")
    with pytest.raises(Unauthorized, match="has expired"):
        agent.client(new).info()


def test_an_overlap_never_lengthens_a_life(agent):
    client = agent.client()
    made = client.create_token(client.info().user, expires_s=600)
    client.rotate_token(made.info.token_id, overlap_s=86400)
    (old,) = (info for info in client.list_tokens() if info.token_id == made.info.token_id)
    assert old.expires_at == made.info.expires_at


def test_what_is_not_valid_is_not_rotated(agent):
    client = agent.client()
    made = client.create_token(client.info().user)
    client.revoke_token(made.info.token_id)
    with pytest.raises(Conflict, match="is not valid any more"):
        client.rotate_token(made.info.token_id, overlap_s=60)
    with pytest.raises(NotFound):
        client.rotate_token("00000000", overlap_s=60)
    for overlap_s in (-1, float("inf"), 1e300):
        with pytest.raises(AgentError) as caught:
            client.rotate_token(made.info.token_id, overlap_s=overlap_s)
        assert caught.value.code == "bad_request"


def test_when_a_token_was_used_last_outlives_a_restart(agent):
    client = agent.client()
    made = client.create_token(client.info().user)
    assert row(agent, made.info.token_id)["USED"] == "never"
    agent.client(made.token).info()
    today = time.strftime("%Y-%m-%d")
    assert row(agent, made.info.token_id)["USED"] == today
    agent.restart()
    assert row(agent, made.info.token_id)["USED"] == today
    agent.stop()
    assert row(agent, made.info.token_id)["USED"] == today


def test_all_tokens_of_a_person_are_revoked_at_once(start_agent):
    agent = start_agent("--shared-uid")
    made = [agent.client().create_token("ada").token for _ in range(3)]
    lines = agent_command(agent.home, "token", "revoke", "--user", "ada")
    assert len(lines) == 3
    for token in made:
        with pytest.raises(Unauthorized):
            agent.client(token).info()
    assert agent.client().info().role == "admin"
    assert "ada has no token" in agent_command(agent.home, "token", "revoke", "--user", "ada", code=1)[0]
    assert "say which" in agent_command(agent.home, "token", "revoke", code=2)[0]


def test_the_end_of_a_token_ends_its_streams_and_uploads_within_half_a_minute(agent):
    me = agent.client().info().user
    job = agent.client().submit(Submit(source=SLEEP), "k")
    ended: dict[str, float] = {}
    begun = {"log": threading.Event(), "upload": threading.Event()}

    def follow(token):
        with AgentClient(agent.url, token=token) as client:
            try:
                for _ in client.events(job.job_id, follow=True):
                    begun["log"].set()
            except Unreachable:
                ended["log"] = time.monotonic()

    def upload(token):
        def slowly():
            begun["upload"].set()
            while "upload" not in ended:
                yield b"x" * 65536
                time.sleep(0.05)

        try:
            with httpx.Client(base_url=agent.url, trust_env=False, timeout=60) as http:
                http.put(
                    "/v1/projects/default/files/big",
                    content=slowly(),
                    headers={"Authorization": f"Bearer {token}"},
                )
        except httpx.TransportError:
            ended["upload"] = time.monotonic()

    short = agent.client().create_token(me, role="user", expires_s=4)
    revoked = agent.client().create_token(me, role="user")
    threads = [
        threading.Thread(target=follow, args=(short.token,)),
        threading.Thread(target=upload, args=(revoked.token,)),
    ]
    for thread in threads:
        thread.start()
    assert all(event.wait(30) for event in begun.values())
    agent.client().revoke_token(revoked.info.token_id)
    began = time.monotonic()
    try:
        until(lambda: len(ended) == 2, within_s=30)
    finally:
        ended.setdefault("upload", began)
        for thread in threads:
            thread.join(60)
        agent.client().cancel(job.job_id)
    assert not (agent.home / "project" / "big").exists()
