"""``/openapi.json``, made from the route table, so that it describes exactly what is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from cluster_agent import __version__
from cluster_agent.protocol import BYTES, JSON, ErrorReply
from cluster_agent.server.call import Call, Route

_REF = "#/components/schemas/{name}"
_TEXT: dict[str, Any] = {"type": "string"}
#: parts of paths that are not any text
_PARTS: dict[str, dict[str, Any]] = {
    "job_id": {"type": "integer", "minimum": 1},
    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "stream": {"type": "string", "enum": ["stdout", "stderr"]},
}


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of ``routes``."""
    kinds: list[type[msgspec.Struct]] = [ErrorReply]
    kinds += [route.takes for route in routes if route.takes]
    kinds += [route.gives for route in routes if isinstance(route.gives, type)]
    kinds = list(dict.fromkeys(kinds))
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "cluster-agent", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route)],
        "responses": {str(route.status): _success(route), "default": _reply("An error", ErrorReply)},
        "security": [{"token": []}] if route.role else [],
    }
    if route.role:
        operation["x-least-role"] = route.role
    if route.takes or route.sink:
        kind = _content(route.takes or BYTES)
        operation["requestBody"] = {"required": True, "content": kind}
        operation["x-max-bytes"] = route.max_body
    return operation


def _success(route: Route) -> dict[str, Any]:
    return _reply("Done", route.gives) if route.gives else {"description": "Done"}


def _reply(text: str, kind: type[msgspec.Struct] | str) -> dict[str, Any]:
    return {"description": text, "content": _content(kind)}


def _content(kind: type[msgspec.Struct] | str) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {}}
    return {JSON: {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PARTS.get(name, _TEXT)}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in route.query.items()
    ]


async def document(call: Call) -> None:
    """The document."""
    data = msgspec.json.encode(describe(call.agent.routes))
    call.start(JSON, {"Content-Length": str(len(data))})
    await call.send(data)
