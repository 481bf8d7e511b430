"""An agent with several people on it, and requests by each of them."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import pickle
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from cluster_agent.client import AgentClient
from cluster_agent.protocol import InviteCode, Job, ValueInput
from cluster_agent.server.call import Route
from running import AgentProcess, run_cell

#: ids that were never given
ABSENT_JOB, ABSENT_SHA256 = 10**9, "0" * 64
BLOB = pickle.dumps("hers", 4)
SHA256 = hashlib.sha256(BLOB).hexdigest()
#: leaves a file, a result, a display that is too large for an event, and text in both streams
SOURCE = """
import sys
print("out")
print("err", file=sys.stderr)
open("left.txt", "w").write("left")
kept = {"a": 1}
"""


@dataclass(frozen=True, kw_only=True)
class People:
    """A box with ada and bob, who may run jobs, and eve, who may look on."""

    agent: AgentProcess
    #: bearer tokens by whose they are, or what is wrong with them
    tokens: dict[str, str]
    #: of ada
    job: Job
    other_job: Job

    def client(self, who: str) -> AgentClient:
        return self.agent.client(self.tokens[who])

    def view_token(self, job_id: int) -> str:
        code = self.client("ada").view_code(job_id).code
        reply = httpx.post(f"{self.agent.url}/v1/view-token", json={"code": code}, trust_env=False)
        return str(reply.json()["token"])


def settle(agent: AgentProcess) -> People:
    """Tokens of each kind, and two jobs of ada's on ``agent``, which must allow several people."""
    admin = agent.client()
    made = {name: admin.create_token(name) for name in ("ada", "bob")}
    tokens = {name: new.token for name, new in made.items()}
    tokens |= {"admin": agent.token, "eve": admin.create_token("eve", role="viewer").token}
    tokens["expired"] = admin.create_token("ada", expires_s=1e-6).token
    revoked = admin.create_token("ada")
    admin.revoke_token(revoked.info.token_id)
    tokens["revoked"] = revoked.token
    ada = agent.client(tokens["ada"])
    ada.send_blob(SHA256, len(BLOB), [BLOB])
    value = ValueInput(name="v", kind="str", sha256=SHA256, size=len(BLOB))
    job, _ = run_cell(ada, SOURCE, fetch=["kept"], values=[value], env={"HERS": "1"})
    other, _ = run_cell(ada, "print('other')")
    people = People(agent=agent, tokens=tokens, job=job, other_job=other)
    tokens["view"] = people.view_token(job.job_id)
    tokens["foreign view"] = people.view_token(other.job_id)
    return people


_addresses = (f"127.{a}.{b}.{c}" for a, b, c in itertools.product(range(1, 250), range(250), range(1, 250)))


def address() -> str:
    """An address of this machine that nobody has come from yet: failed tries are counted by address."""
    return next(_addresses)


def visitor(people: People, **options: Any) -> httpx.Client:
    """A browser or program that comes from an address of its own, so that failed tries of others do not count."""
    transport = httpx.HTTPTransport(local_address=address(), trust_env=False)
    return httpx.Client(base_url=people.agent.url, transport=transport, timeout=30, **options)


def ask_raw(
    people: People, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
) -> httpx.Response:
    """The answer to a request whose headers no client would send."""
    host = httpx.URL(people.agent.url)
    connection = http.client.HTTPConnection(host.host, host.port, timeout=30, source_address=(address(), 0))
    try:
        connection.request(method, path, body, dict(headers))
        reply = connection.getresponse()
        return httpx.Response(
            reply.status,
            headers=reply.getheaders(),
            content=reply.read(),
            request=httpx.Request(method, host.join(path)),
        )
    finally:
        connection.close()


def as_bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


#: what stands in a path, so that the route finds something of ada's
ARGS = {"stream": "stdout", "sha256": SHA256, "path": "left.txt", "token_id": "absent", "project": "default"}
ARGS |= {"invite_id": "absent"}
#: of a path, where it says something else
_NAMES = {"/static/{name}": "history.html", "/v1/jobs/{job_id}/results/{name}": "kept"}
#: bodies that are right
_BODIES: dict[str, dict[str, Any]] = {
    "Submit": {"source": "pass"},
    "ExtendRequest": {"extra_s": 1},
    "LockRequest": {"packages": []},
    "TokenCreate": {"user": "ada"},
    "InviteCreate": {"user": "ada"},
    "MoveRequest": {"first": False},
    "GcRequest": {"dry_run": True},
    "ViewRequest": {"code": "x"},
    "RedeemRequest": {"code": InviteCode.new(b"").text},
}


def path_of(route: Route, **args: Any) -> str:
    """The path of a request to ``route``: of ada's job and her things, unless ``args`` say other ones."""
    name = _NAMES.get(route.path, "x")
    return route.path.format_map({"name": name, **ARGS, **args})


def body_of(route: Route) -> dict[str, Any]:
    """Body and headers for ``route``, as httpx takes them."""
    if route.takes is not None:
        return {"content": msgspec.json.encode(_BODIES.get(route.takes.__name__, {}))} | {
            "headers": {"Content-Type": "application/json"}
        }
    if route.sink is not None:
        return {"content": BLOB, "headers": {}}
    return {"headers": {}}


def ask(visitor: httpx.Client, route: Route, path: str, **headers: str) -> httpx.Response:
    """Send what is right for ``route`` to ``path``."""
    more = body_of(route)
    return visitor.request(route.method, path, content=more.get("content"), headers=more["headers"] | headers)


def fields_of(path: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(path) if name}
