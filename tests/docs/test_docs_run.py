"""Every snippet of the pages is run, and what a page shows below it is what comes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from doc_output import agrees, normalised
from doc_pages import LANGUAGES, ROOT, Block, blocks, pages
from doc_session import DocSession, Mismatch

from cluster_agent.config import load_config
from cluster_agent.setup import _UNIT
from mlmagics.display.watch import StoppedWatching

PAGES = [page for page in pages() if page.name != "CHANGELOG.md"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runnable(page: Path) -> list[Block]:
    return [b for b in blocks(page) if b.language in ("ipython", "python", "console") and b.not_run is None]


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=name_of)
def test_docs_snippets_do_what_the_page_shows(page: Path, reader: DocSession) -> None:
    found = runnable(page)
    if not any("cluster-agent serve" in block.text for block in found):
        reader.attach_box(page)
    for block in found:
        reader.run(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_docs_fences_are_of_a_known_language(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: {block.language}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_docs_data_is_well_formed(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            for text in [block.text] if block.text.startswith("{\n") else block.text.splitlines():
                assert isinstance(json.loads(text), dict), block
        elif block.language == "toml":
            file = tmp_path / "agent.toml"
            file.write_text(block.text)
            load_config({}, {}, file)
        elif block.language == "ini":
            unit = set(_UNIT.splitlines())
            assert all(line in unit for line in block.text.splitlines()), f"{block}: not as init writes it"


def test_docs_quote_what_an_interrupt_says() -> None:
    said = StoppedWatching("gpu-box/42").message
    assert said in (ROOT / "docs" / "howto-scientists.md").read_text()


def test_docs_a_wrong_output_is_noticed(reader: DocSession) -> None:
    page = ROOT / "docs" / "quickstart.md"
    with pytest.raises(Mismatch, match="came:"):
        reader.run(Block(page, 1, "ipython", "6 * 7", None, "41"))
    with pytest.raises(Mismatch, match="no error"):
        reader.run(Block(page, 1, "ipython", "1 / 0", None))
    with pytest.raises(Mismatch, match="not a command"):
        reader.run(Block(page, 1, "console", "$ mlmagics nonsense", None))
    with pytest.raises(AssertionError, match="who has a command"):
        reader.run(Block(page, 1, "console", "$ nonsense", None))


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a ... d", "a b c d", True),
        ("a\n...\nd", "a\nb\nc", False),
        ("URL: http://127.0.0.1:1/history/1", "URL: https://box:40000/history/1", True),
        ("x/history/1", "x/history/2", False),
    ],
)
def test_docs_comparison_forgives_only_what_differs_from_run_to_run(
    shown: str, real: str, same: bool
) -> None:
    scheme = re.compile("https")
    assert agrees(normalised(scheme.sub("http", shown)), normalised(scheme.sub("http", real))) is same
