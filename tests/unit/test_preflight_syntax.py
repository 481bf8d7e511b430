"""What is told about a cell before it is sent."""

import pytest

from mlmagics.errors import BadCell
from mlmagics.preflight.syntax import check_source, newer_python


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "\n\n  x = 1\n  y = 2\n",
        "%time x = 1",
        "!ls -l\nfiles = !ls",
        "%%time\nx = 1",
        "await something()",
        "async for x in y:\n    pass",
        "import numpy as np\nnp.array?",
        "x = '\\d'",
        "# nothing but a comment",
        "print('é' * 3)",
        "%matplotlib inline\nfor i in range(3):\n    !echo $i",
    ],
)
def test_cells_that_ipython_would_run_pass(source):
    check_source(source)


@pytest.mark.parametrize("source", ["", "  \n\t\n"])
def test_an_empty_cell_is_told(source):
    with pytest.raises(BadCell, match="the cell is empty") as caught:
        check_source(source)
    assert caught.value.field == "source"


def test_the_limit_counts_bytes_not_characters():
    check_source("#" * 2**20, syntax=False)
    with pytest.raises(BadCell, match="limit is 1 MiB"):
        check_source("#" * (2**20 + 1), syntax=False)
    with pytest.raises(BadCell, match="limit is 1 MiB"):
        check_source("é" * (2**19 + 1), syntax=False)


def test_half_a_surrogate_pair_is_told():
    with pytest.raises(BadCell, match="not valid Unicode"):
        check_source("x = '\ud800'")


def test_a_syntax_error_has_line_and_caret():
    with pytest.raises(BadCell) as caught:
        check_source("x = 1\nfor i in range(3)\n    print(i)")
    first, line, caret = caught.value.message.splitlines()
    assert first == "syntax error in line 2 of the cell, nothing was sent: expected ':'"
    assert line.strip() == "for i in range(3)"
    assert caret.index("^") == line.index(")") + 1


def test_lines_count_from_the_top_of_the_cell():
    with pytest.raises(BadCell, match="in line 4 of the cell"):
        check_source("\n\nx = 1\ny = = 2")


def test_lines_count_as_in_the_cell_where_a_magic_spans_several():
    with pytest.raises(BadCell, match="in line 4 of the cell") as caught:
        check_source("%time x = \\\n   1\nz = 3\ny = = 2\n")
    assert "    y = = 2" in caught.value.message.splitlines()


def test_the_caret_stays_below_its_character_in_an_indented_line():
    with pytest.raises(BadCell) as caught:
        check_source("if True:\n        x = 1 +* 2")
    _, line, caret = caught.value.message.splitlines()
    assert line == "    x = 1 +* 2"
    assert caret.index("^") == line.index("*")


@pytest.mark.parametrize("source", ["x = 1\0", "return 1", "(" * 300 + ")" * 300, "\tx = 1\n        y = 2"])
def test_other_ways_not_to_be_python_are_one_clear_message(source):
    with pytest.raises(BadCell):
        check_source(source)


def test_syntax_is_left_to_a_newer_python():
    check_source("x = = 2", syntax=False)
    assert newer_python("3.13.1", (3, 12))
    assert not newer_python("3.12.9", (3, 12))
    assert not newer_python("3.8.1", (3, 12))
    assert not newer_python("", (3, 12))
    assert not newer_python("unknown", (3, 12))
