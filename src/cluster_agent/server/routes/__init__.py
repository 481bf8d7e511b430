"""The one table of all routes. What is not here does not exist; each line says who may use it and for what."""

from __future__ import annotations

import math

import msgspec

from cluster_agent.server.call import Route
from cluster_agent.server.routes import box, jobs, pages, people, storage

ROUTES: list[Route] = [*box.ROUTES, *jobs.ROUTES, *storage.ROUTES, *people.ROUTES, *pages.ROUTES]

#: what a route may be asked with; OPTIONS is not among them, since pages of others get nothing
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_ROLES = frozenset({"viewer", "user", "admin", None})


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
        if route.method not in _METHODS:
            raise ValueError(f"{name} has no method that this agent knows")
        if route.role not in _ROLES:
            raise ValueError(f"{name} has the role {route.role!r}, which nobody has")
        if route.path.startswith("/v1/") and route.role is None and not route.guarded:
            raise ValueError(f"{name} has no role")
        if route.guarded and route.role is not None:
            raise ValueError(f"{name} has a role, so it is not open")
        if route.method not in {"GET", "HEAD"} and route.role is not None and not route.act:
            raise ValueError(f"{name} changes something, and the audit log has no word for it")
        _check_body(name, route)
        if not _tells_type(route):
            raise ValueError(f"{name} does not say of what type its reply is")
        if route.view and route.role != "viewer":
            raise ValueError(f"{name} is open to the history page, so its role must be viewer")


def _check_body(name: str, route: Route) -> None:
    takes = route.takes is not None or route.sink is not None
    if takes and not 0 < route.max_body < math.inf:
        raise ValueError(f"{name} takes a body and declares no limit for it")
    if takes and route.method in {"GET", "HEAD", "DELETE"}:
        raise ValueError(f"{name} takes a body, which its method has not")
    if route.takes is not None and route.sink is not None:
        raise ValueError(f"{name} takes a body of two types")


def _tells_type(route: Route) -> bool:
    if route.method == "HEAD" or route.status == 204:
        return route.gives is None
    if isinstance(route.gives, str):
        return "/" in route.gives
    return isinstance(route.gives, type) and issubclass(route.gives, msgspec.Struct)
