"""The one table of all routes. What is not here does not exist; each line says who may use it and for what."""

from __future__ import annotations

import math

from cluster_agent import protocol
from cluster_agent.protocol import MAX_BODY_BYTES
from cluster_agent.server import admin, events, files, history, info, jobs, openapi, results, tokens
from cluster_agent.server.call import Route

_SMALL = 65536
_FILE = "/v1/projects/{project}/files/{path}"
_BINARY = "application/octet-stream"

ROUTES: list[Route] = [
    Route(
        method="GET",
        path="/healthz",
        call=info.health,
        role=None,
        gives=protocol.Health,
        summary="Whether the agent serves and its disk takes writes",
    ),
    Route(
        method="GET",
        path="/openapi.json",
        call=openapi.document,
        role=None,
        gives="application/json",
        summary="This description",
    ),
    Route(
        method="GET",
        path="/v1/info",
        call=info.info,
        role="viewer",
        view=True,
        gives=protocol.Info,
        summary="Who this agent is, what it has and what of it is free",
    ),
    Route(
        method="POST",
        path="/v1/jobs",
        call=jobs.submit,
        role="user",
        takes=protocol.Submit,
        max_body=MAX_BODY_BYTES,
        gives=protocol.Job,
        status=201,
        summary="Submit a job; with an Idempotency-Key as often as needed",
    ),
    Route(
        method="GET",
        path="/v1/jobs",
        call=jobs.list_jobs,
        role="viewer",
        gives=protocol.JobList,
        summary="List jobs, newest first",
        query={
            "state": "wire values or words, comma-separated; also active, done",
            "user": "me, or a name (admins and viewers)",
            "project": "project name",
            "name": "job name",
            "notebook": "opaque id that the submit carried",
            "since": "submitted at or after, Unix seconds",
            "limit": "at most this many (100; up to 1000)",
            "after": "cursor from `next`",
        },
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}",
        call=jobs.get_job,
        role="viewer",
        view=True,
        gives=protocol.Job,
        summary="One job, with its cell",
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job_id}/cancel",
        call=jobs.cancel,
        role="user",
        takes=jobs.CancelRequest,
        max_body=_SMALL,
        gives=protocol.Job,
        summary="Make a job end; no error when it has ended",
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job_id}/extend",
        call=jobs.extend,
        role="user",
        takes=jobs.ExtendRequest,
        max_body=_SMALL,
        gives=protocol.Job,
        summary="Give a job more time",
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job_id}/move",
        call=jobs.move,
        role="admin",
        takes=protocol.MoveRequest,
        max_body=_SMALL,
        gives=protocol.Job,
        summary="Put a waiting job before all others, or back to where it belongs",
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/events",
        call=events.events,
        role="viewer",
        view=True,
        gives=events.NDJSON,
        summary="The event log from a cursor on",
        query={
            "after": "cursor TAG.SEQ, or 0 for the start",
            "tail": "only the last so many events",
            "follow": "1: go on until the job has ended",
        },
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/output/{stream}",
        call=events.output,
        role="viewer",
        view=True,
        gives=_BINARY,
        summary="stdout or stderr as raw bytes; honours Range",
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/blobs/{sha256}",
        call=files.read_blob,
        role="viewer",
        view=True,
        gives=_BINARY,
        summary="Display data that was too large for an event",
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/files",
        call=files.list_left,
        role="viewer",
        view=True,
        gives=protocol.FileList,
        summary="What the job left in its working folder",
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/files/{path}",
        call=files.read_left,
        role="viewer",
        view=True,
        gives=_BINARY,
        summary="One file that the job left; honours Range",
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/results",
        call=results.list_results,
        role="viewer",
        view=True,
        gives=protocol.ResultList,
        summary="Variables that the job was asked to keep: how each can be had, or why not",
    ),
    Route(
        method="GET",
        path="/v1/jobs/{job_id}/results/{name}",
        call=results.read_result,
        role="viewer",
        view=True,
        gives="application/json",
        summary="The value of one of them, in its own format; honours Range",
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job_id}/view-code",
        call=jobs.make_view_code,
        role="viewer",
        gives=protocol.ViewCode,
        max_body=_SMALL,
        summary="A link that opens the history page once, within a minute",
    ),
    Route(
        method="POST",
        path="/v1/view-token",
        call=jobs.redeem_view_code,
        role=None,
        takes=protocol.ViewRequest,
        max_body=_SMALL,
        gives=protocol.ViewToken,
        summary="Exchange such a link's code for a token that reads the one job",
    ),
    Route(
        method="POST",
        path="/v1/drain",
        call=admin.drain,
        role="admin",
        takes=protocol.DrainRequest,
        max_body=_SMALL,
        gives=protocol.Info,
        summary="Start no jobs for the time being; what is submitted waits",
    ),
    Route(
        method="POST",
        path="/v1/resume",
        call=admin.resume,
        role="admin",
        max_body=_SMALL,
        gives=protocol.Info,
        summary="Start jobs again",
    ),
    Route(
        method="GET",
        path="/v1/usage",
        call=admin.usage,
        role="admin",
        gives=protocol.UsageReport,
        summary="What each user had of the box",
        query={"since": "from this time on, Unix seconds; 30 days ago unless told"},
    ),
    Route(
        method="POST",
        path="/v1/gc",
        call=admin.collect,
        role="admin",
        takes=protocol.GcRequest,
        max_body=_SMALL,
        gives=protocol.GcReport,
        summary="Delete jobs that are too old or too much, as is done every hour",
    ),
    Route(
        method="GET",
        path="/v1/tokens",
        call=tokens.list_tokens,
        role="admin",
        gives=tokens.TokenList,
        summary="List tokens, without the tokens themselves",
    ),
    Route(
        method="POST",
        path="/v1/tokens",
        call=tokens.create_token,
        role="admin",
        takes=protocol.TokenCreate,
        max_body=_SMALL,
        gives=protocol.NewToken,
        status=201,
        summary="Create a token",
    ),
    Route(
        method="DELETE",
        path="/v1/tokens/{token_id}",
        call=tokens.revoke_token,
        role="admin",
        gives=protocol.TokenInfo,
        summary="Revoke a token",
    ),
    Route(
        method="GET",
        path=_FILE,
        call=files.read,
        role="user",
        gives=_BINARY,
        summary="A project's file, honouring Range; a folder as a FileList",
        query={"list": "1: the entry itself as a FileList"},
    ),
    Route(
        method="HEAD",
        path=_FILE,
        call=files.info,
        role="user",
        summary="What is at the path: File-Type, Content-Length, ETag, Last-Modified-Seconds",
    ),
    Route(
        method="PUT",
        path=_FILE,
        call=files.write,
        role="user",
        sink=files.open_upload,
        max_body=2**50,
        gives=protocol.FileEntry,
        summary="Write a file as a whole; If-Match makes it a compare-and-set",
    ),
    Route(
        method="DELETE",
        path=_FILE,
        call=files.delete,
        role="user",
        status=204,
        summary="Delete a file or folder",
        query={"recursive": "1: a folder with all that it holds"},
    ),
    Route(
        method="GET",
        path="/",
        call=history.index,
        role=None,
        gives="text/html",
        summary="The agent's page: what it has and its jobs",
    ),
    Route(
        method="GET",
        path="/history/{job_id}",
        call=history.page,
        role=None,
        gives="text/html",
        summary="The job's page; the job itself for Accept: application/json with a token",
    ),
    Route(
        method="GET",
        path="/static/{name}",
        call=history.static,
        role=None,
        gives="text/javascript",
        summary="Files of these pages",
    ),
]


def check_table(routes: list[Route]) -> None:
    """Refuse a table that leaves something open: an agent with such a table does not start.

    Raises
    ------
    ValueError
        Naming the route and what it lacks.
    """
    seen = set()
    for route in routes:
        name = f"{route.method} {route.path}"
        if name in seen:
            raise ValueError(f"{name} is declared twice")
        seen.add(name)
        if route.path.startswith("/v1/") and route.role is None and route.takes is not protocol.ViewRequest:
            raise ValueError(f"{name} has no role")
        if (route.takes or route.sink) and not 0 < route.max_body < math.inf:
            raise ValueError(f"{name} takes a body and declares no limit for it")
        if route.view and route.role != "viewer":
            raise ValueError(f"{name} is open to the history page, so its role must be viewer")
