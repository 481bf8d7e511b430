"""The gate and the routes, over real HTTP."""

import json
import socket
from dataclasses import replace

import httpx
import msgspec
import pytest

from cluster_agent.errors import Unauthorized
from cluster_agent.protocol import Submit
from cluster_agent.server.openapi import describe
from cluster_agent.server.routes import ROUTES, check_table
from running import run_cell, until

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def http(agent):
    with httpx.Client(
        base_url=agent.url, headers={"Authorization": f"Bearer {agent.token}"}, trust_env=False
    ) as client:
        yield client


def error(reply):
    return reply.status_code, reply.json()["error"]


def test_the_smallest_submit_and_the_names_that_programs_rely_on(http):
    reply = http.post("/v1/jobs", json={"source": "print(1)"})
    job = reply.json()
    assert reply.status_code == 201
    assert reply.headers["Location"] == f"/v1/jobs/{job['job_id']}"
    assert {"job_id", "name", "user", "project", "state", "history_url", "agent_id"} <= set(job)
    listed = http.get("/v1/jobs").json()
    assert [entry["job_id"] for entry in listed["jobs"]] == [job["job_id"]]
    assert listed["next"] is None


def test_what_is_there_has_an_end_though_the_log_grows_as_fast_as_it_is_read(agent, http):
    client = agent.client()
    job = client.submit(Submit(source="while True: print('x' * 90)"), "flood")
    log = agent.home / "jobs" / str(job.job_id) / "events.ndjson"
    until(lambda: log.exists() and log.stat().st_size > 1 << 20)
    with http.stream("GET", f"/v1/jobs/{job.job_id}/events") as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        asked = log.stat().st_size
        until(lambda: log.stat().st_size > asked + (8 << 20))
        text = b"".join([first, *pieces])
    client.cancel(job.job_id)
    assert 1 << 20 < len(text) <= asked
    assert text.endswith(b"\n")


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.role is not None], ids=lambda r: f"{r.method} {r.path}"
)
def test_no_route_answers_without_a_token(agent, route):
    path = route.path.format(
        invite_id="x",
        job_id=1,
        stream="stdout",
        sha256="0" * 64,
        path="x",
        name="x",
        token_id="x",
        project="default",
    )
    with httpx.Client(trust_env=False) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {agent.token}"}):
            reply = client.request(route.method, agent.url + path, headers=headers)
            assert reply.status_code == 401
            assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_what_is_not_in_the_table_does_not_exist(http):
    assert error(http.get("/v1/secrets"))[1]["code"] == "not_found"
    reply = http.put("/v1/jobs", json={})
    assert error(reply)[1]["code"] == "wrong_method"
    assert reply.headers["Allow"] == "POST, GET"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "bad_request", None),
        (b"{", "bad_request", None),
        (b"[]", "bad_request", None),
        (b"\xff\xfe", "bad_request", None),
        (b"[" * 100_000, "bad_request", None),
        (b"{}", "bad_request", "source"),
        (b'{"source": 1}', "bad_request", "source"),
        (b'{"source": "1", "gpus": "two"}', "bad_request", "gpus"),
        (b'{"source": "1", "gpus": 1.5}', "bad_request", "gpus"),
        (b'{"source": "1", "priority": "urgent"}', "bad_request", "priority"),
        (b'{"source": "1", "env": {"A": 1}}', "bad_request", "env"),
        (b'{"source": "1", "colour": 1}', "bad_request", "colour"),
        (b'{"source": "  "}', "bad_request", "source"),
        (b'{"source": "1", "gpus": 99}', "bad_request", "gpus"),
        (b'{"source": "1", "project": "x"}', "not_found", "project"),
        (b'{"source": "1", "timeout_s": 1e99}', "bad_request", "timeout_s"),
        (b'{"source": "1", "timeout_s": NaN}', "bad_request", None),
    ],
)
def test_a_bad_submit_names_code_and_field_and_leaves_no_job(http, body, code, field):
    reply = http.post("/v1/jobs", content=body, headers=JSON)
    status, told = error(reply)
    assert 400 <= status < 500
    assert (told["code"], (told["field"] or "").removesuffix("[...]") or None) == (code, field)
    assert "Traceback" not in reply.text
    assert http.get("/v1/jobs").json()["jobs"] == []


def test_bodies_are_limited_before_they_are_read(http):
    status, told = error(http.post("/v1/jobs", content=b"x" * (9 * 2**20), headers=JSON))
    assert (status, told["code"]) == (413, "too_large")

    def endless():
        for _ in range(20):
            yield b"x" * 2**20

    try:
        assert http.post("/v1/jobs", content=endless(), headers=JSON).status_code == 413
    except httpx.HTTPError:
        pass  # cut while it was still sending, which is as good
    assert http.get("/healthz").status_code == 200


def test_the_content_type_must_be_json(http):
    status, told = error(http.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain"}))
    assert (status, told["code"]) == (415, "bad_type")


def test_unknown_hosts_and_foreign_pages_are_refused(http):
    assert error(http.get("/v1/info", headers={"Host": "evil.example"}))[0] == 403
    assert error(http.get("/v1/info", headers={"Origin": "http://evil.example"}))[0] == 403
    assert http.get("/v1/info", headers={"Origin": str(http.base_url).rstrip("/")}).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["state=finito", "since=yesterday", "limit=0", "limit=x", "after=x", "since=nan", "since=-1"],
)
def test_bad_filters_name_their_parameter(http, query):
    status, told = error(http.get(f"/v1/jobs?{query}"))
    assert (status, told["field"]) == (400, query.partition("=")[0])


def test_lists_are_paged_newest_first_and_filtered(agent, http):
    client = agent.client()
    for number in range(5):
        run_cell(client, "1" if number % 2 else "raise SystemExit(3)", name=f"n{number}")
    first = http.get("/v1/jobs?limit=2").json()
    second = http.get(f"/v1/jobs?limit=2&after={first['next']}").json()
    ids = [job["job_id"] for page in (first, second) for job in page["jobs"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 4
    assert [job["name"] for job in http.get("/v1/jobs?state=Finished").json()["jobs"]] == ["n3", "n1"]
    assert [job["name"] for job in http.get("/v1/jobs?state=failed&name=n2").json()["jobs"]] == ["n2"]
    assert http.get("/v1/jobs?state=active").json()["jobs"] == []


def test_the_history_page_is_the_same_for_everybody(agent, http):
    job, _ = run_cell(agent.client(), "print('x')", name="secret-name")
    with httpx.Client(trust_env=False) as nobody:
        page = nobody.get(f"{agent.url}/history/{job.job_id}")
        absent = nobody.get(f"{agent.url}/history/999999")
        assert page.status_code == 200
        assert page.content == absent.content
        assert "secret-name" not in page.text
        assert "Set-Cookie" not in page.headers
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert nobody.get(f"{agent.url}/history/1", headers={"Accept": "application/json"}).status_code == 401
        for name in ("auth.py", "..%2fauth.py", "%2e%2e%2fbase.py", "%00"):
            assert nobody.get(f"{agent.url}/static/{name}").status_code == 404
    told = http.get(f"/history/{job.job_id}", headers={"Accept": "application/json"}).json()
    assert (told["job_id"], told["state"]) == (job.job_id, "succeeded")


def test_a_view_code_opens_one_job_once(agent, http):
    client = agent.client()
    mine, _ = run_cell(client, "1")
    other, _ = run_cell(client, "2")
    code = http.post(f"/v1/jobs/{mine.job_id}/view-code").json()
    assert code["url"].endswith(f"/history/{mine.job_id}#code={code['code']}")
    with httpx.Client(base_url=agent.url, trust_env=False) as page:
        told = page.post("/v1/view-token", json={"code": code["code"]}).json()
        assert page.post("/v1/view-token", json={"code": code["code"]}).status_code == 403
        page.headers["Authorization"] = f"Bearer {told['token']}"
        assert page.get(f"/v1/jobs/{mine.job_id}").status_code == 200
        assert page.get(f"/v1/jobs/{mine.job_id}/events").status_code == 200
        assert page.get(f"/v1/jobs/{other.job_id}").status_code == 403
        as_json = {"Accept": "application/json"}
        assert page.get(f"/history/{mine.job_id}", headers=as_json).status_code == 200
        assert page.get(f"/history/{other.job_id}", headers=as_json).status_code == 404
        assert page.get("/v1/jobs").status_code == 403
        assert page.post(f"/v1/jobs/{mine.job_id}/cancel", json={}).status_code == 403
        assert page.post("/v1/jobs", json={"source": "1"}).status_code == 403
        forged = told["token"][:-1] + ("0" if told["token"][-1] != "0" else "1")
        assert (
            page.get(f"/v1/jobs/{mine.job_id}", headers={"Authorization": f"Bearer {forged}"}).status_code
            == 401
        )


def test_a_view_token_outlives_a_restart_and_ends_with_the_token_that_made_it(agent):
    admin = agent.client()
    made = admin.create_token(admin.info().user)
    client = agent.client(made.token)
    job, _ = run_cell(client, "1")
    code = client.view_code(job.job_id)
    token = httpx.post(f"{agent.url}/v1/view-token", json={"code": code.code}, trust_env=False).json()[
        "token"
    ]
    agent.restart()
    viewer = agent.client(token)
    assert viewer.job(job.job_id).job_id == job.job_id
    agent.client().revoke_token(made.info.token_id)
    with pytest.raises(Exception, match="was revoked"):
        viewer.job(job.job_id)


def test_users_see_their_own_jobs_and_foreign_ids_look_absent(start_agent):
    agent = start_agent("--shared-uid")
    admin = agent.client()
    ada = agent.client(admin.create_token("ada").token)
    bob_token = admin.create_token("bob").token
    bob = agent.client(bob_token)
    eve = agent.client(admin.create_token("eve", role="viewer").token)
    job, _ = run_cell(ada, "print('hers')")
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        for path in ("", "/events", "/output/stdout", "/files"):
            headers = {"Authorization": f"Bearer {bob_token}"}
            foreign = http.get(f"/v1/jobs/{job.job_id}{path}", headers=headers)
            absent = http.get(f"/v1/jobs/{job.job_id + 1000}{path}", headers=headers)
            assert foreign.status_code == absent.status_code == 404
            assert foreign.json()["error"]["code"] == absent.json()["error"]["code"]
    assert bob.jobs().jobs == []
    assert [listed.user for listed in admin.jobs().jobs] == ["ada"]
    assert eve.job(job.job_id).user == "ada"
    with pytest.raises(Exception, match="role user"):
        eve.cancel(job.job_id)


def test_a_second_person_needs_shared_uid(agent):
    with pytest.raises(Exception, match="shared-uid"):
        agent.client().create_token("somebody-else")


def test_a_revoked_token_is_refused(agent):
    admin = agent.client()
    made = admin.create_token(admin.info().user)
    client = agent.client(made.token)
    assert client.info().role == "user"
    admin.revoke_token(made.info.token_id)
    with pytest.raises(Exception, match="was revoked"):
        client.info()


def test_openapi_describes_every_route_and_nothing_else(http):
    document = http.get("/openapi.json").json()
    assert document == json.loads(msgspec.json.encode(describe(ROUTES)))
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert told == {(route.method, route.path) for route in ROUTES}
    references = {
        part for part in msgspec.json.encode(document).decode().split('"') if part.startswith("#/components")
    }
    assert {name.rpartition("/")[2] for name in references} <= set(document["components"]["schemas"])


def test_a_table_with_a_hole_is_refused():
    bad = [replace(route, role=None) if route.path == "/v1/info" else route for route in ROUTES]
    with pytest.raises(ValueError, match="GET /v1/info has no role"):
        check_table(bad)
    unlimited = [replace(route, max_body=0) if route.path == "/v1/jobs" else route for route in ROUTES]
    with pytest.raises(ValueError, match="declares no limit"):
        check_table(unlimited)


def test_malformed_http_is_cut_and_the_agent_goes_on(agent, http):
    for junk in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"X" * 200_000,
    ):
        with socket.create_connection(
            ("127.0.0.1", int(agent.url.rpartition(":")[2])), timeout=10
        ) as connection:
            try:
                connection.sendall(junk)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # cut, as it should be
    assert http.get("/healthz").json()["status"] == "ok"


def test_names_with_percent_signs_are_decoded_once(http):
    for name, sent in (("aA.txt", "aA.txt"), ("a%41.txt", "a%2541.txt")):
        assert http.put(f"/v1/projects/default/files/{sent}", content=name.encode()).status_code == 200
    listed = http.get("/v1/projects/default/files/?list=1").json()["files"]
    assert {entry["path"] for entry in listed} == {"aA.txt", "a%41.txt"}
    assert http.get("/v1/projects/default/files/aA.txt").content == b"aA.txt"


def test_a_revoked_token_ends_a_lively_stream(agent):
    admin = agent.client()
    made = admin.create_token(admin.info().user)
    client = agent.client(made.token)
    source = "import time\nwhile True:\n    print('x', flush=True)\n    time.sleep(0.2)"
    job = client.submit(Submit(source=source), "k")
    stream = client.follow(job.job_id)
    next(stream)
    admin.revoke_token(made.info.token_id)
    with pytest.raises(Unauthorized, match="was revoked"):
        for _ in stream:
            pass
    admin.cancel(job.job_id)
