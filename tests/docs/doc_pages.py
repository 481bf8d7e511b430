"""The pages of the documentation, taken apart: fenced blocks, links, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: Languages that a fence may name; whoever writes another decides here what is to be done with it.
LANGUAGES = {"", "python", "ipython", "console", "text", "json", "toml", "ini"}

_FENCE = re.compile(r"^```(\w*)\s*$")
_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
_LINK = re.compile(r"(?<!\\)!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    #: of its first line of content
    line: int
    language: str
    text: str
    #: why it is not run; None when it is
    not_run: str | None
    #: the ``text`` block right below it: what it shows
    shows: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """All pages that people read."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    return sorted(found)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of ``page``; a ``text`` block below a block that is run belongs to that one."""
    found: list[Block] = []
    open_to_output = False
    for block, gap in _fences(page):
        if block.language == "text" and open_to_output and not gap:
            last = found.pop()
            found.append(Block(last.page, last.line, last.language, last.text, last.not_run, block.text))
            open_to_output = False
            continue
        found.append(block)
        open_to_output = block.language in ("ipython", "python")
    return found


def _fences(page: Path) -> Iterator[tuple[Block, bool]]:
    """Each block, and whether anything but blank lines is between it and the one before."""
    language: str | None = None
    start, content, mark, gap = 0, [], None, True
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if language is None and fence:
            language, start, content = fence[1], number + 1, []
        elif language is not None and line == "```":
            yield Block(page, start, language, "\n".join(content), mark), gap
            language, mark, gap = None, None, False
        elif language is not None:
            content.append(line)
        elif line.strip():
            comment = _NOT_RUN.match(line.strip())
            mark, gap = (comment[1] if comment else None), True
    assert language is None, f"{page}: a block is not closed"


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Targets of the page's links and pictures."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(page: Path, title: str) -> str:
    """The text below the heading ``title``, down to the next heading of its level or above."""
    text = page.read_text(encoding="utf-8")
    match = re.search(rf"^(#+) {re.escape(title)}$", text, flags=re.MULTILINE)
    assert match, f"{page} has no heading {title!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in ``text``, without their heads."""
    found = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            found.append([cell.replace("\\|", "|") for cell in cells])
        else:
            found.append([])
    body, head_seen = [], False
    for row in found:
        if not row:
            head_seen = False
        elif all(re.fullmatch(r":?-+:?", cell) for cell in row):
            head_seen = True
        elif head_seen:
            body.append(row)
    return body


def code_in(text: str) -> list[str]:
    """What stands in `backticks` in ``text``."""
    return _CODE.findall(text)


def first_codes(text: str) -> list[str]:
    """The code in the first cell of each table row in ``text``."""
    return [code for row in rows(text) for code in code_in(row[0])]
