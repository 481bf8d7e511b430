"""The route table is the one choke point: who may use what is what it says, for every route and credential."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import Any

import httpx
import pytest
from people import (
    ABSENT_JOB,
    ABSENT_SHA256,
    People,
    as_bearer,
    ask,
    ask_raw,
    body_of,
    fields_of,
    path_of,
    visitor,
)

from cluster_agent.server.call import Route
from cluster_agent.server.routes import ROUTES, check_table

#: given on the agent's own socket only
SOCKET_ONLY = {"/v1/backup"}
ROLES = {"viewer": "eve", "user": "ada", "admin": "admin"}
RANK = ["viewer", "user", "admin"]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def which(*kinds: Any) -> Any:
    return pytest.mark.parametrize("route", kinds, ids=name_of)


CLOSED = [route for route in ROUTES if route.role is not None]
OPEN = [route for route in ROUTES if route.role is None]
OF_JOBS = [
    route for route in ROUTES if "job_id" in fields_of(route.path) and route.role in {"viewer", "user"}
]


@pytest.fixture
def http(people: People) -> Any:
    with visitor(people) as client:
        yield client


def code_of(reply: httpx.Response) -> str | None:
    if reply.request.method == "HEAD" or not reply.headers["Content-Type"].startswith("application/json"):
        return None
    return str(reply.json()["error"]["code"])


def wrong_headers(people: People) -> dict[str, dict[str, str]]:
    """Headers that hold no credential, though some look like one."""
    good, forged = people.tokens["admin"], people.tokens["view"]
    forged = forged[:-1] + ("0" if forged[-1] != "0" else "1")
    return {
        "none": {},
        "empty": {"Authorization": ""},
        "a scheme alone": {"Authorization": "Bearer"},
        "an empty token": {"Authorization": "Bearer "},
        "a wrong token": as_bearer("mlm_wrong"),
        "its beginning": as_bearer(good[:-1]),
        "more than it": as_bearer(f"{good}x"),
        "another scheme": {"Authorization": f"Basic {good}"},
        "no scheme": {"Authorization": good},
        "two of them": as_bearer(f"{good}, Bearer {good}"),
        "a long one": as_bearer("x" * 20_000),
        "other characters": as_bearer("mlm_\xff\xfe"),
        "a cookie": {"Cookie": f"token={good}; Authorization=Bearer {good}; mlmagics={good}"},
        "another header": {
            "X-Auth-Token": good,
            "X-Forwarded-User": "admin",
            "Proxy-Authorization": f"Bearer {good}",
        },
        "expired": as_bearer(people.tokens["expired"]),
        "revoked": as_bearer(people.tokens["revoked"]),
        "a forged link": as_bearer(forged),
        "a link without a signature": as_bearer(people.tokens["view"].partition(".")[0]),
    }


@which(*CLOSED)
def test_what_is_no_credential_opens_no_route(people: People, http: httpx.Client, route: Route) -> None:
    path = path_of(route, job_id=people.job.job_id)
    more = body_of(route)
    for kind, headers in wrong_headers(people).items():
        reply = ask_raw(people, route.method, path, more["headers"] | headers, more.get("content"))
        assert reply.status_code == 401, kind
        assert code_of(reply) in {None, "unauthorized"}
        assert reply.headers["WWW-Authenticate"] == "Bearer"
    good = people.tokens["admin"]
    for name in ("token", "access_token", "auth", "Authorization", "code"):
        reply = http.request(route.method, path, params={name: good}, headers=body_of(route)["headers"])
        assert reply.status_code == 401, name
        assert good not in reply.text


@which(*CLOSED)
def test_a_route_takes_the_role_that_it_declares_and_those_above(
    people: People, http: httpx.Client, route: Route
) -> None:
    path = path_of(route, job_id=people.job.job_id)
    for role, who in ROLES.items():
        reply = ask(http, route, path, **as_bearer(people.tokens[who]))
        if RANK.index(role) >= RANK.index(str(route.role)) and route.path not in SOCKET_ONLY:
            assert reply.status_code not in {401, 403}, (who, reply.text)
        else:
            assert reply.status_code == 403, (who, reply.text)
        assert reply.status_code < 500, reply.text
    if route.path == "/v1/drain":
        people.client("admin").resume()


@which(*CLOSED)
def test_a_link_reads_its_job_and_nothing_else(people: People, http: httpx.Client, route: Route) -> None:
    path = path_of(route, job_id=people.job.job_id)
    own = ask(http, route, path, **as_bearer(people.tokens["view"]))
    assert (own.status_code != 403) is route.view, own.text
    foreign = ask(http, route, path, **as_bearer(people.tokens["foreign view"]))
    assert (foreign.status_code != 403) is (route.view and "job_id" not in fields_of(route.path)), (
        foreign.text
    )
    assert own.status_code not in {401, 500}


@which(*OF_JOBS)
def test_jobs_of_others_answer_as_absent_ones(people: People, http: httpx.Client, route: Route) -> None:
    bob = as_bearer(people.tokens["bob"])
    hers = people.job.job_id
    for more in ({}, {"Accept": "application/json"}, {"Range": "bytes=0-1"}):
        foreign = ask(http, route, path_of(route, job_id=hers), **bob, **more)
        absent = ask(http, route, path_of(route, job_id=ABSENT_JOB), **bob, **more)
        assert foreign.status_code == 404, foreign.text
        assert told(foreign, hers) == told(absent, ABSENT_JOB)
    if route.takes is not None:  # what is wrong about the rest of a request is not looked at before
        json_type = {"Content-Type": "application/json"}
        for content in (b"{", b'{"colour": 1}'):
            replies = [
                http.request(
                    route.method, path_of(route, job_id=job), content=content, headers=json_type | bob
                )
                for job in (hers, ABSENT_JOB)
            ]
            assert told(replies[0], hers) == told(replies[1], ABSENT_JOB)
            assert replies[0].status_code == 404


def told(reply: httpx.Response, job_id: int) -> Any:
    """All that a caller sees of an answer, but the id that it sent and the time."""
    headers = {name: value for name, value in reply.headers.items() if name not in {"date", "content-length"}}
    return reply.status_code, headers, reply.text.replace(str(job_id), "N")


def test_the_job_as_json_under_its_history_url_is_guarded_in_the_same_way(
    people: People, http: httpx.Client
) -> None:
    as_json = {"Accept": "application/json"}
    url = f"/history/{people.job.job_id}"
    for kind, headers in wrong_headers(people).items():
        assert ask_raw(people, "GET", url, headers | as_json).status_code == 401, kind
    for who in ("ada", "eve", "admin", "view"):
        reply = http.get(url, headers=as_bearer(people.tokens[who]) | as_json)
        assert reply.json()["job_id"] == people.job.job_id, who
    for who in ("bob", "foreign view"):
        bearer = as_bearer(people.tokens[who]) | as_json
        foreign, absent = http.get(url, headers=bearer), http.get(f"/history/{ABSENT_JOB}", headers=bearer)
        assert told(foreign, people.job.job_id) == told(absent, ABSENT_JOB)
        assert foreign.status_code == 404


def test_blobs_of_others_answer_as_absent_ones(people: People, http: httpx.Client) -> None:
    data = os.urandom(16)
    sha256 = hashlib.sha256(data).hexdigest()
    people.client("ada").send_blob(sha256, len(data), [data])
    for who in ("bob", "admin"):
        bearer = as_bearer(people.tokens[who])
        foreign = http.head(f"/v1/blobs/{sha256}", headers=bearer)
        absent = http.head(f"/v1/blobs/{ABSENT_SHA256}", headers=bearer)
        assert told(foreign, 0) == told(absent, 0)
        assert foreign.status_code == 404
    assert http.head(f"/v1/blobs/{sha256}", headers=as_bearer(people.tokens["ada"])).status_code == 200


def test_lists_tell_nothing_of_others(people: People, http: httpx.Client) -> None:
    bob = as_bearer(people.tokens["bob"])
    for query in ({}, {"user": "ada"}, {"state": "done"}, {"name": ""}, {"user": "me"}, {"limit": "1000"}):
        told_jobs = http.get("/v1/jobs", params=query, headers=bob).json()["jobs"]
        assert {job["user"] for job in told_jobs} <= {"bob"}
    metrics = http.get("/metrics", headers=bob).text
    assert people.job.name not in metrics or not people.job.name


@which(*OPEN)
def test_an_open_route_says_the_same_to_everybody(people: People, http: httpx.Client, route: Route) -> None:
    path = path_of(route, job_id=people.job.job_id)
    first = ask(http, route, path)
    assert first.status_code < 500
    assert route.guarded or first.status_code == 200
    for who in ("admin", "bob", "view"):
        assert told(ask(http, route, path, **as_bearer(people.tokens[who])), 0) == told(first, 0)


@which(*ROUTES)
def test_every_reply_is_closed_to_browsers(people: People, http: httpx.Client, route: Route) -> None:
    """Not sniffed, framed, cached, nor read by other pages; and nothing is left behind in the browser."""
    path = path_of(route, job_id=people.job.job_id)
    foreign = {
        "Origin": "https://evil.example",
        "Cookie": "session=1",
        "Referer": "https://evil.example/?token=1",
    }
    for headers in ({}, as_bearer(people.tokens["admin"]), foreign):
        reply = ask(http, route, path, **headers)
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        policy = dict(
            part.strip().partition(" ")[::2] for part in reply.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy.get("script-src", "'self'") == "'self'"
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
        assert not {"set-cookie", "location", "refresh"} & set(reply.headers) or reply.status_code == 201
        assert not [name for name in reply.headers if name.startswith("access-control-")]
        if "html" in reply.headers.get("Content-Type", ""):
            assert path in {"/", "/static/history.html"} or path.startswith("/history/")
    assert ask(http, route, path, **foreign).status_code == 403
    if route.path == "/v1/drain":
        people.client("admin").resume()


@which(*ROUTES)
def test_a_route_has_its_methods_and_no_others(people: People, http: httpx.Client, route: Route) -> None:
    path = path_of(route, job_id=people.job.job_id)
    taken = {other.method for other in ROUTES if other.path == route.path}
    admin = as_bearer(people.tokens["admin"])
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - taken:
        reply = http.request(method, path, headers=admin)
        assert reply.status_code == 405, method
        assert set(reply.headers["Allow"].split(", ")) == taken
        assert http.request(method, path).status_code == 401
    for method in ("TRACE", "PROPFIND", "BREW"):
        reply = http.request(method, path, headers=admin)
        assert (reply.status_code, code_of(reply)) == (405, "wrong_method"), method


@which(*[route for route in ROUTES if route.takes is not None])
def test_a_body_is_json_and_bounded(people: People, http: httpx.Client, route: Route) -> None:
    path, admin = path_of(route, job_id=people.job.job_id), as_bearer(people.tokens["admin"])
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "",
    ):
        reply = http.request(route.method, path, content=b"{}", headers=admin | {"Content-Type": kind})
        assert (reply.status_code, code_of(reply)) == (415, "bad_type"), kind
    head = admin | {"Content-Type": "application/json", "Content-Length": str(route.max_body + 1)}
    reply = ask_raw(people, route.method, path, head)
    assert (reply.status_code, code_of(reply)) == (413, "too_large")


@pytest.mark.parametrize(
    ("at", "change", "told"),
    [
        ("GET /v1/info", {"method": ""}, "has no method"),
        ("GET /v1/info", {"method": "OPTIONS"}, "has no method"),
        ("GET /v1/info", {"role": None}, "has no role"),
        ("GET /v1/info", {"role": "root"}, "has the role 'root'"),
        ("GET /v1/info", {"gives": None}, "of what type its reply is"),
        ("GET /v1/info", {"gives": "text"}, "of what type its reply is"),
        ("GET /v1/info", {"gives": dict}, "of what type its reply is"),
        ("POST /v1/jobs", {"max_body": 0}, "declares no limit"),
        ("POST /v1/jobs", {"max_body": float("inf")}, "declares no limit"),
        ("POST /v1/jobs", {"act": ""}, "audit log has no word"),
        ("PUT /v1/blobs/{sha256}", {"act": ""}, "audit log has no word"),
        ("PUT /v1/blobs/{sha256}", {"max_body": 0}, "declares no limit"),
        ("DELETE /v1/tokens/{token_id}", {"act": ""}, "audit log has no word"),
        ("POST /v1/redeem", {"guarded": False}, "has no role"),
        ("POST /v1/redeem", {"role": "user"}, "so it is not open"),
        ("GET /v1/jobs/{job_id}", {"role": "user"}, "its role must be viewer"),
        ("GET /v1/jobs", {"path": "/v1/info"}, "declared twice"),
        ("POST /v1/jobs/{job_id}/move", {"method": "GET"}, "takes a body, which its method has not"),
    ],
)
def test_a_table_that_leaves_something_open_is_refused(at: str, change: dict[str, Any], told: str) -> None:
    check_table(ROUTES)
    table = [replace(route, **change) if name_of(route) == at else route for route in ROUTES]
    assert table != ROUTES
    with pytest.raises(ValueError, match=told):
        check_table(table)


def test_an_error_is_the_same_structure_everywhere(people: People, http: httpx.Client) -> None:
    for route in ROUTES:
        if route.method == "HEAD":
            continue
        reply = http.request(
            route.method, path_of(route, job_id=ABSENT_JOB), content=b"\xff\x00", headers={"Host": "x"}
        )
        assert reply.status_code == 403
        assert set(json.loads(reply.content)["error"]) == {"code", "message", "field", "nearest"}
