"""Checks of what travels with a cell. Pure."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from cluster_agent.content.beneath import split
from cluster_agent.content.blobs import checked_name
from cluster_agent.errors import BadRequest, TooLarge
from cluster_agent.protocol import FileInput, SourceInput, Submit, ValueInput
from cluster_agent.units import format_size

_MAX_PARTS = 1000
_MAX_NAME = 200
_MAX_TEXT_BYTES = 4 * 2**20
_MAX_PARAM = 10_000
_MAX_FILES_BYTES = 64 * 2**20
_MAX_LINE = 1_000_000
_ORIGIN = re.compile(r"[^\x00-\x1f\x7f<>\"]{1,200}")


def check_inputs(body: Submit) -> None:
    """Refuse what cannot travel, naming the field.

    Raises
    ------
    BadRequest, TooLarge
        With ``field`` set.
    """
    for field in ("sources", "files", "values", "params"):
        count = len(getattr(body, field))
        if count > _MAX_PARTS:
            raise BadRequest(f"{count} {field}; at most {_MAX_PARTS}", field=field)
    _check_params(body.params)
    _check_sources(body.sources)
    _check_files(body.files)
    _check_values(body.values, len(body.sources))
    _check_once((part.name for part in body.values), "values")
    _check_once((part.path for part in body.files), "files")


def _check_params(params: dict[str, str]) -> None:
    for name, text in params.items():
        _check_variable(name, "params")
        if len(text) > _MAX_PARAM:
            raise BadRequest(f"{name} has more than {_MAX_PARAM:,} characters", field="params")
        _check_text(text, name, "params")


def _check_sources(sources: list[SourceInput]) -> None:
    size = 0
    for part in sources:
        _check_variable(part.name, "sources")
        if not _ORIGIN.fullmatch(part.origin):
            raise BadRequest(f"{part.origin[:80]!r} cannot be the origin of a source", field="sources")
        if not 1 <= part.line <= _MAX_LINE:
            raise BadRequest(f"{part.name} begins in line {part.line}, which no cell has", field="sources")
        size += _check_text(part.text, part.name, "sources")
    if size > _MAX_TEXT_BYTES:
        limit = format_size(_MAX_TEXT_BYTES)
        raise TooLarge(f"the sources have {format_size(size)} in all; at most {limit}", field="sources")


def _check_files(files: list[FileInput]) -> None:
    for part in files:
        checked_name(part.sha256)
        if not split(part.path) or part.path.endswith("/") or not part.path.isprintable():
            raise BadRequest(f"{part.path[:80]!r} is not the path of a module", field="files")
    size = sum(part.size for part in files)
    if size > _MAX_FILES_BYTES:
        limit = format_size(_MAX_FILES_BYTES)
        raise TooLarge(f"the files have {format_size(size)} in all; at most {limit}", field="files")
    folders = {part.path.rpartition("/")[0] for part in files}
    for part in files:
        if any(folder == part.path or folder.startswith(f"{part.path}/") for folder in folders):
            raise BadRequest(f"{part.path!r} is both a file and a folder", field="files")


def _check_values(values: list[ValueInput], sources: int) -> None:
    for part in values:
        _check_variable(part.name, "values")
        checked_name(part.sha256)
        if len(part.kind) > _MAX_NAME or not part.kind.isprintable():
            raise BadRequest(f"{part.name}: {part.kind[:80]!r} cannot be the name of a type", field="values")
        if part.before is not None and not 0 <= part.before < sources:
            raise BadRequest(
                f"{part.name} is needed by source {part.before}, which there is not", field="values"
            )


def _check_once(names: Iterable[str], field: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadRequest(f"{name[:80]!r} is there twice", field=field)
        seen.add(name)


def _check_variable(name: str, field: str) -> None:
    if len(name) > _MAX_NAME or not name.isidentifier() or keyword.iskeyword(name):
        raise BadRequest(f"{name[:80]!r} is not the name of a variable", field=field)


def _check_text(text: str, name: str, field: str) -> int:
    """Bytes of ``text``."""
    if "\0" in text:
        raise BadRequest(f"{name} holds a NUL character", field=field)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise BadRequest(f"{name} holds characters that are not valid Unicode", field=field) from None
