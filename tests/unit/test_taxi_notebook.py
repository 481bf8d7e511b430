"""The example notebook as it is committed: clean, and its training cell stands alone."""

from __future__ import annotations

import builtins
import json
import symtable
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "taxi.ipynb"


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return found


def globals_of(table: symtable.SymbolTable) -> set[str]:
    """Names that the code reads as globals, at any depth."""
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global()}
    return names.union(*(globals_of(child) for child in table.get_children()))


def test_it_is_committed_without_outputs(notebook: dict[str, Any]) -> None:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert {cell["execution_count"] for cell in code} == {None}
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_the_training_cell_stands_alone(notebook: dict[str, Any]) -> None:
    (cell,) = (c for c in notebook["cells"] if "".join(c["source"]).startswith("%%local"))
    table = symtable.symtable("".join(cell["source"]).partition("\n")[2], "train", "exec")
    bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    top = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    missing = (top | globals_of(table)) - bound - set(dir(builtins))
    assert missing == set()
