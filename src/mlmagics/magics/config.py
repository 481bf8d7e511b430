"""``%NAME config``: options that cells need not write, for this notebook; ``mlmagics config``: for a person."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cluster_agent.protocol import Info
from cluster_agent.units import format_duration
from mlmagics.cluster.overview import attachments
from mlmagics.cluster.preferences import Preferences
from mlmagics.cluster.session import current
from mlmagics.display.tables import Table
from mlmagics.magics.defaults import AGENT, over, with_origins, without
from mlmagics.magics.options import CELL_IS_SEEN, add_lasting_options, add_once_options, chosen
from mlmagics.magics.words import HelpAskedFor, LineParser, WrongUse


@lru_cache
def config_parser(magic: str) -> LineParser:
    """The options of ``%NAME config``, and of ``mlmagics config NAME``."""
    whose = "this notebook" if magic.startswith("%") else "all your notebooks"
    parser = LineParser(
        magic,
        f"Set options that cells need not write, for {whose}. What a cell writes goes before these, "
        "these go before what the agent decides. Without options: what holds, and from where.",
        usage="%(prog)s [options] [--reset [OPTION ...]]",
        examples=(
            f"{magic} --gpus 2 --timeout 8h --wait",
            f"{magic} --reset timeout",
            f"{magic} --reset",
        ),
    )
    add_lasting_options(parser)
    add_once_options(parser)
    parser.add_argument("--reset", nargs="*", metavar="OPTION", help="forget these, or all of them")
    return parser


def preferences() -> Preferences:
    """The defaults of this person."""
    return Preferences(current().store.folder)


def defaults_of(cluster: str) -> list[str]:
    """The options that hold for cells on ``cluster`` where these say nothing: this notebook's, then the person's.

    Raises
    ------
    WrongUse
        When this version of mlmagics does not know one of them.
    """
    return over(_known(cluster), _of_person(cluster), _of_notebook(cluster))


def configure(cluster: str, given: Sequence[str]) -> Table | str:
    """What ``%cluster config`` shows, after doing what the words ``given`` say."""
    magic = f"%{cluster} config"
    parser = config_parser(magic)
    session = current()
    session.attachment(cluster)
    changed = _changed(parser, magic, session.defaults.get(cluster, []), given, CELL_IS_SEEN)
    if changed is not None:
        session.defaults[cluster] = changed
    return shown(cluster)


def configure_person(cluster: str, given: Sequence[str], seen: str) -> Table | str:
    """What ``mlmagics config cluster`` shows, after doing what the words ``given`` say."""
    magic = f"mlmagics config {cluster}"
    kept = preferences()
    # what was set for a cluster that is gone can be seen and forgotten
    if not kept.of(cluster):
        current().attachment(cluster)
    parser = config_parser(magic)
    if _changed(parser, magic, kept.of(cluster), given, seen) is not None:
        kept.change(cluster, lambda level: _changed(parser, magic, level, given, seen) or [])
    return shown(cluster)


def shown(cluster: str) -> Table | str:
    """The options in force for cells on ``cluster``, and from where each comes."""
    parser = _known(cluster)
    found = with_origins(parser, _of_person(cluster), _of_notebook(cluster))
    rows = [[default.taken.option, default.taken.value or "", default.origin] for default in found]
    order = list(parser.options())
    rows.sort(key=lambda row: order.index(row[0]))
    set_already = {row[0] for row in rows}
    info = next((row.info for row in attachments() if row.name == cluster and row.info is not None), None)
    rows += [row for row in _of_agent(info) if row[0] not in set_already]
    if not rows:
        return f"nothing is set for {cluster}: the agent decides what a cell does not say"
    return Table(["option", "value", "from"], rows)


def _of_agent(info: Info | None) -> list[list[str]]:
    if info is None:
        return []
    return [
        ["--gpus", str(info.default_gpus), AGENT],
        [
            "--timeout",
            format_duration(info.default_timeout_s),
            f"{AGENT} (most: {format_duration(info.max_timeout_s)})",
        ],
    ]


def _changed(
    parser: LineParser, magic: str, level: Sequence[str], given: Sequence[str], seen: str
) -> list[str] | None:
    """The level after ``given``; None where that only looks."""
    if any(word in ("-h", "--help", "help") for word in given):
        raise HelpAskedFor(parser.format_help())
    if not given:
        return None
    if "--reset" in given:
        names = [word for word in given if word != "--reset"]
        return without(parser, level, names, magic) if names else []
    found = parser.read(given)
    # what a variable holds is looked at when a cell is sent: here it may not be set yet
    chosen(found, {text.partition("=")[0]: "" for text in found.env}, seen)
    return over(parser, level, given)


def _known(cluster: str) -> LineParser:
    parser = config_parser(f"%{cluster} config")
    try:
        parser.read(_of_person(cluster))
    except WrongUse as error:
        raise WrongUse(
            f"{preferences().path}: {error.message}. To forget what is set there: mlmagics config {cluster} --reset"
        ) from None
    return parser


def _of_person(cluster: str) -> list[str]:
    return preferences().of(cluster)


def _of_notebook(cluster: str) -> list[str]:
    return current().defaults.get(cluster, [])
