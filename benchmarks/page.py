"""The page that a run writes: one table of ratios, what is missed, and what stands behind each figure. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.figures import Detail, Figure, LeftOut, Told

_HEAD = """\
# Benchmarks

Written by `make bench`; run it to get the figures of your machine. Each figure goes through the real product (agent, token,
durable store, HTTP, client, and in a notebook the magics in a kernel) and is taken in turn with the bare thing that it is
compared with: the ratio is that of each pair. **Trust the ratios**: on a shared machine milliseconds wander. Median (least to
most). Nothing is cached or computed for the benchmarks alone; between two starts the agent is let replace what the last
one took.

{facts}
"""
_RATIOS = ["| P | what | ours | ratio | goal | best peer's ratio |", "|---|---|---|---|---|---|"]
_DETAILS = ["| P | what | rounds | ours | compared with | that |", "|---|---|---|---|---|---|"]
_PEERS = ["| P | system | a process for each job | what | measured | ratio |", "|---|---|---|---|---|---|"]


def page(told: Sequence[Told], peers: Sequence[Mapping[str, object]], facts: str) -> str:
    """The whole page.

    Parameters
    ----------
    peers
        Rows of the table of other systems, see :mod:`benchmarks.beside`.
    """
    figures = [one for one in told if isinstance(one, Figure)]
    parts = [_HEAD.format(facts=facts), *_RATIOS]
    parts += [one.line() for one in told if isinstance(one, (Figure, LeftOut))]
    missed = [one for one in figures if one.reached is False]
    if missed:
        parts += ["", "## Not reached", "", *map(_missed, missed)]
    if figures:
        parts += ["", "## What was compared with what", "", *_DETAILS, *(one.detail() for one in figures)]
    if peers:
        parts += ["", "## Other systems", "", _ABOUT_PEERS, "", *_PEERS, *map(_peer, peers)]
    for detail in told:
        if isinstance(detail, Detail):
            parts += ["", f"## {detail.title}", "", detail.text, "", *detail.lines]
    return "\n".join(parts) + "\n"


_ABOUT_PEERS = """\
In the same run, in an environment of their own, each beside a plain process of that environment. Where jobs share a process
they have no start to pay, and what one leaves behind the next one finds."""


def _missed(figure: Figure) -> str:
    assert figure.goal is not None
    return f"- {figure.row}, {figure.name}: goal {figure.goal.text}. {figure.goal.obstacle}".rstrip()


def _peer(row: Mapping[str, object]) -> str:
    cells = (row["row"], row["system"], row["isolated"], row["what"], row["measured"], row["ratio"])
    return "| " + " | ".join(map(str, cells)) + " |"
