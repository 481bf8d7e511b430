"""Tokens, keys and passwords in what is about to be sent. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster_agent.protocol import Submit
from mlmagics.preflight.finding import Finding
from mlmagics.secrets import Found, scan_text

_ADVICE = (
    "set it in the environment here, send it with --env NAME and read os.environ['NAME'] (if it is none, end the "
    "line with # pragma: allowlist secret)"
)


def check_secrets(request: Submit, definitions: Sequence[str]) -> Iterator[Finding]:
    """What is said about secrets in the cell of ``request``, in its parameters, and in ``definitions`` that travel."""
    for found in scan_text(request.source):
        yield _finding(
            found, "in the cell, which is saved with the notebook and kept with the job", found.line
        )
    for name, text in request.params.items():
        for found in scan_text(f"{name} = {text}"):
            yield _finding(found, f"in --param {name}, which is kept with the job")
    for text in definitions:
        for found in scan_text(text):
            yield _finding(found, f"in a definition that travels ({text.strip().splitlines()[0][:60]})")


def _finding(found: Found, where: str, line: int = 0) -> Finding:
    return Finding(
        level="error" if found.sure else "warning",
        code="secret",
        message=f"{found.named} {where}: {_ADVICE}",
        name=found.rule,
        line=line,
    )
