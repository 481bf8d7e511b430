"""Links between the pages lead somewhere, and every page can be found."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_pages import ROOT, anchors, links, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_docs_links_resolve(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{page}: {link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}: no such heading"


def test_docs_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index) if "://" not in link}
    for page in ROOT.glob("docs/**/*.md"):
        listed = page in linked or page.parent in linked
        assert listed or page == index, f"{page.relative_to(ROOT)} is not in docs/README.md"
