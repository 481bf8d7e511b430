"""The one table of all routes. What is not here does not exist; each line says who may use it and for what."""

from __future__ import annotations

import math

from cluster_agent.server.call import Route
from cluster_agent.server.routes import box, jobs, pages, people, storage

ROUTES: list[Route] = [*box.ROUTES, *jobs.ROUTES, *storage.ROUTES, *people.ROUTES, *pages.ROUTES]


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
        if route.path.startswith("/v1/") and route.role is None and not route.guarded:
            raise ValueError(f"{name} has no role")
        if route.guarded and route.role is not None:
            raise ValueError(f"{name} has a role, so it is not open")
        if route.method in {"POST", "DELETE"} and route.role is not None and not route.act:
            raise ValueError(f"{name} changes something, and the audit log has no word for it")
        if (route.takes or route.sink) and not 0 < route.max_body < math.inf:
            raise ValueError(f"{name} takes a body and declares no limit for it")
        if route.view and route.role != "viewer":
            raise ValueError(f"{name} is open to the history page, so its role must be viewer")
