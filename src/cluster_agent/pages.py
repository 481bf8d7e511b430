"""The files of the pages that show jobs, and what a browser lets them do.

A leaf: the agent serves these files, and so does a Jupyter server for the agents that its owner has attached.
"""

from __future__ import annotations

from importlib import resources

#: Content types by suffix; nothing else is served.
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}

#: What a page may do: run its own script, show data: and blob: images, ask its own agent.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data: blob:; frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: What a browser may do with a reply that is no page, should somebody lead it there: show it, and nothing else.
PLAIN_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def load_static() -> dict[str, bytes]:
    """The files of the pages by name, read once."""
    folder = resources.files("cluster_agent") / "server" / "static"
    return {
        item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in TYPES
    }


def content_type(name: str) -> str:
    """The content type of the file ``name``."""
    return TYPES[name.rpartition(".")[2]]
