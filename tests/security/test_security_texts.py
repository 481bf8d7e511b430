"""What people can write into a request: refused with its field named, or kept so that it harms nobody who reads it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from people import People, as_bearer, settle, visitor

from cluster_agent.harmless import harmless
from cluster_agent.protocol import InviteCode
from running import AgentProcess, agent_command

NASTY = {
    "climbs": "../../../etc/passwd",
    "climbs, encoded": "..%2f..%2fetc%2fpasswd",
    "climbs, for Windows": "..\\..\\windows",
    "absolute": "/etc/passwd",
    "a terminal's title": "\x1b]0;owned\x07",
    "colours": "\x1b[31mred\x1b[0m",
    "clears the screen": "\x1b[2J\x1b[H",
    "an older control character": "\x9b31m",
    "NUL": "a\0b",
    "a second line": "a\n2026-01-01 INFO everything is fine",
    "a carriage return": "good\rbad",
    "backspaces": "bad\b\b\bgood",
    "turned": "\u202egnp.exe",
    "isolated": "\u2066a\u2069",
    "no width": "a\u200bb",
    "half a character": "\ud800",
    "HTML": "<img src=x onerror=alert(1)>",
    "a script": "</script><script>alert(1)</script>",
    "an attribute": "\" onmouseover='alert(1)",
    "a link": "javascript:alert(1)",
    "Markdown": "[a](javascript:alert(1)) ![](http://192.0.2.1/x.png)",
    "shell": "$(touch /tmp/owned); `id` | sh & rm -rf ~",
    "SQL": "'; DROP TABLE jobs; --",
    "a format": "{0.__class__} %s %n ${jndi:ldap://192.0.2.1/x}",
    "an option": "--rcfile=/tmp/x",
    "a template": "{{7*7}} #{7*7} <%= 7*7 %>",
    "10 kB": "x" * 10_000,
    "10 kB of accents": "a" + "\u0301" * 5_000,
}
#: where text goes in, and how it is asked: a value that is nasty -> method, path, body
Place = Callable[[str], tuple[str, str, dict[str, Any] | None]]


def submit(**fields: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", "/v1/jobs", {"source": "pass", "timeout_s": 60, **fields}


ONE = {"sha256": "0" * 64, "size": 1}
PLACES: dict[str, Place] = {
    "name": lambda text: submit(name=text),
    "project": lambda text: submit(project=text),
    "env": lambda text: submit(env={text: "1"}),
    "notebook": lambda text: submit(notebook=text),
    "cluster": lambda text: submit(cluster=text),
    "fetch": lambda text: submit(fetch=[text]),
    "params": lambda text: submit(params={text: "1"}),
    "packages": lambda text: submit(packages=[text]),
    "lock": lambda text: submit(packages=["numpy"], lock=text),
    "runtime": lambda text: submit(runtime=text),
    "python": lambda text: submit(python=text),
    "priority": lambda text: submit(priority=text),
    "source name": lambda text: submit(sources=[{"name": text, "origin": "In [1]", "text": "1"}]),
    "source origin": lambda text: submit(sources=[{"name": "a", "origin": text, "text": "1"}]),
    "file path": lambda text: submit(files=[{"path": text, **ONE}]),
    "file hash": lambda text: submit(files=[{"path": "a.py", "sha256": text, "size": 1}]),
    "value name": lambda text: submit(values=[{"name": text, "kind": "str", **ONE}]),
    "value kind": lambda text: submit(values=[{"name": "a", "kind": text, **ONE}]),
    "value format": lambda text: submit(values=[{"name": "a", "kind": "str", "format": text, **ONE}]),
    "unknown field": lambda text: submit(**{text: 1}),
    "reason": lambda text: ("POST", "/v1/jobs/{job}/cancel", {"reason": text}),
    "token user": lambda text: ("POST", "/v1/tokens", {"user": text}),
    "token role": lambda text: ("POST", "/v1/tokens", {"user": "ada", "role": text}),
    "token label": lambda text: ("POST", "/v1/tokens", {"user": "ada", "label": text, "expires_s": 0.001}),
    "invite user": lambda text: ("POST", "/v1/invites", {"user": text}),
    "invite label": lambda text: ("POST", "/v1/invites", {"user": "ada", "label": text}),
    "invite code": lambda text: ("POST", "/v1/redeem", {"code": text}),
    "code's label": lambda text: ("POST", "/v1/redeem", {"code": InviteCode.new(b"").text, "label": text}),
    "view code": lambda text: ("POST", "/v1/view-token", {"code": text}),
    "message": lambda text: ("POST", "/v1/drain", {"message": text, "until_at": 9e9}),
    "lock packages": lambda text: ("POST", "/v1/locks", {"packages": [text]}),
    "lock runtime": lambda text: ("POST", "/v1/locks", {"packages": [], "runtime": text}),
}
QUERIES = ["state", "user", "project", "name", "notebook", "since", "limit", "after"]
PATHS = [
    "/v1/projects/{}/files/x",
    "/v1/projects/default/files/{}",
    "/v1/jobs/1/files/{}",
    "/v1/jobs/1/results/{}",
    "/v1/jobs/1/blobs/{}",
    "/v1/jobs/1/inputs/{}",
    "/v1/jobs/1/output/{}",
    "/v1/blobs/{}",
    "/static/{}",
    "/history/{}",
    "/v1/{}",
]


def raw(text: str) -> list[str]:
    """Characters of ``text`` that a terminal, a log or a reader would take for something else."""
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return [char for char in text if unicodedata.category(char) in bad]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """A box that starts no jobs: what is accepted here is only looked at."""
    agent = AgentProcess(tmp_path_factory.mktemp("texts") / "agent", ["--shared-uid", "--gpus", "0"])
    agent.start()
    try:
        found = settle(agent)
        agent.client().drain()
        yield found
    finally:
        agent.destroy()


@pytest.fixture(scope="module")
def http(people: People) -> Iterator[httpx.Client]:
    with visitor(people, headers=as_bearer(people.tokens["admin"])) as client:
        yield client


@pytest.fixture(scope="module")
def job(http: httpx.Client) -> int:
    return int(http.post("/v1/jobs", json={"source": "pass"}).json()["job_id"])


@pytest.mark.parametrize("place", PLACES)
def test_text_is_refused_with_its_field_or_harms_nobody(
    people: People, http: httpx.Client, job: int, place: str
) -> None:
    for kind, text in NASTY.items():
        method, path, body = PLACES[place](text)
        content = json.dumps(body).encode()  # half a character is sent as \ud800
        headers = {"Content-Type": "application/json"}
        reply = http.request(method, path.format(job=job), content=content, headers=headers)
        assert reply.status_code < 500, (kind, reply.text)
        assert len(reply.content) < 20_000, kind
        if reply.status_code >= 400:
            error = reply.json()["error"]
            assert raw(error["message"] + (error["field"] or "")) == [], kind
            assert error["message"].strip()
            assert len(error["message"]) < 4100
            assert reply.status_code != 400 or error["field"] or text == "\ud800", (kind, error)
        else:
            told = strings(reply.json(), but={"source", "token", "url"})
            assert [found for found in told if raw(found)] == [], kind


def strings(value: Any, *, but: set[str]) -> list[str]:
    if isinstance(value, dict):
        keys = [key for key in value if key not in but]
        return keys + [found for key in keys for found in strings(value[key], but=but)]
    if isinstance(value, list):
        return [found for item in value for found in strings(item, but=but)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", QUERIES)
def test_filters_are_values_and_nothing_else(http: httpx.Client, name: str) -> None:
    for kind, text in NASTY.items():
        sent = text.encode("utf-8", "surrogatepass")
        reply = http.get(f"/v1/jobs?{name}=" + "".join(f"%{byte:02x}" for byte in sent))
        assert reply.status_code in {200, 400}, (kind, reply.text)
        if reply.status_code == 200:
            assert [job for job in reply.json()["jobs"] if job[name] != text] == [], kind
        else:
            assert raw(reply.json()["error"]["message"]) == []


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_names_and_nothing_else(http: httpx.Client, path: str) -> None:
    for kind, text in NASTY.items():
        sent = text.encode("utf-8", "surrogatepass")
        reply = http.get(path.format("".join(f"%{byte:02x}" for byte in sent)))
        assert reply.status_code in {400, 403, 404, 405}, (kind, reply.text[:200])
        error = reply.json()["error"]
        assert raw(error["message"] + (error["field"] or "")) == [], kind
        assert len(reply.content) < 9000
        assert "root:" not in reply.text


@pytest.mark.parametrize(
    "header", ["Idempotency-Key", "If-Match", "Range", "Accept", "User-Agent", "Blob-File"]
)
def test_headers_are_values_and_nothing_else(people: People, http: httpx.Client, header: str) -> None:
    for kind, text in NASTY.items():
        value = text.encode("utf-8", "surrogatepass").translate(None, b"\r\n\0")
        for method, path in (
            ("POST", "/v1/jobs"),
            ("PUT", "/v1/projects/default/files/h"),
            ("GET", "/history/1"),
        ):
            content = b'{"source": " "}' if method == "POST" else b"" if method == "PUT" else None
            try:
                reply = http.request(
                    method,
                    path,
                    content=content,
                    headers=[(header.encode(), value), (b"Content-Type", b"application/json")],
                )
            except httpx.ReadError:
                continue  # cut with its body unread, as what is no header
            assert reply.status_code < 500, (kind, reply.text)
            assert raw(reply.headers.get("Location", "")) == []


def test_nothing_of_it_reaches_terminals_and_logs(people: People, http: httpx.Client) -> None:
    """After all that: what commands print, what the agent logs, what Prometheus and the audit log hold."""
    for text in NASTY.values():
        for place in ("name", "reason", "token label", "invite label", "message", "notebook"):
            method, path, body = PLACES[place](text)
            content = json.dumps(body).encode()
            http.request(
                method, path.format(job=1), content=content, headers={"Content-Type": "application/json"}
            )
        http.get("/" + "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass")))
    home = people.agent.home
    for command in (["jobs"], ["queue"], ["token", "list"], ["invite", "--list"], ["status"], ["usage"]):
        assert [line for line in agent_command(home, *command) if raw(line)] == [], command
    assert raw(http.get("/metrics").text.replace("\n", "")) == []
    for file in (people.agent.stderr, home / "audit.log", home / "supervisors.log"):
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        assert [line for line in lines if raw(line)] == [], file
        assert [line for line in lines if "Traceback" in line or "DROP TABLE" in line] == [], file


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("Grüße 漢字", None, "Grüße 漢字"),
        ("a\x1b[0mb\x9b", None, "a\\x1b[0mb\\x9b"),
        ("\u202egnp\ud800\n", None, "\\u202egnp\\ud800\\n"),
        ("abc", 3, "abc"),
        ("abcd", 3, "abc..."),
        ("\n\n\n\n", 3, "\\n\\..."),
    ],
)
def test_what_cannot_be_printed_is_spelt(text: str, most: int | None, shown: str) -> None:
    assert harmless(text, most) == shown
