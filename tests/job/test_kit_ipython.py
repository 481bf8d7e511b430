"""Cells that need IPython: magics, commands, rich displays, figures."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable

import pytest
from kit_harness import Record

Cell = Callable[..., Record]

needs_pandas = pytest.mark.skipif(
    importlib.util.find_spec("pandas") is None, reason="pandas is not installed"
)
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)


def test_time_and_commands_work_as_in_a_notebook(cell: Cell) -> None:
    record = cell("%%time\n!echo hello\nlines = !echo one; echo two\nprint(lines)\nlen(lines)")
    assert record.exit_code == 0
    assert record.stdout.replace("\r\n", "\n").startswith("hello\n['one', 'two']\nCPU times")
    (frame,) = record.frames("display")
    assert (frame["data"], frame["result"]) == ({"text/plain": "2"}, True)


def test_a_semicolon_mutes_in_a_shell_too(cell: Cell) -> None:
    record = cell("%time x = 5\nx;")
    assert record.frames("display") == []


def test_await_works_beside_a_magic(cell: Cell) -> None:
    record = cell("%time pass\nimport asyncio\nawait asyncio.sleep(0, 6)")
    assert record.data[-1] == {"text/plain": "6"}


def test_help_becomes_output(cell: Cell) -> None:
    record = cell("len?")
    assert "number of items in a container" in record.data[0]["text/plain"]


@pytest.mark.parametrize("source", ["pwd", "%pwd", "get_ipython().run_line_magic('pwd', '')"])
def test_a_magic_gives_its_value(cell: Cell, source: str, tmp_path: object) -> None:
    assert cell(source).data == [{"text/plain": repr(str(tmp_path))}]


def test_an_exception_in_a_shell_names_the_line(cell: Cell) -> None:
    record = cell("!true\nx = 1\nx / 0")
    assert record.exit_code == 1
    assert record.error["ename"] == "ZeroDivisionError"
    assert "gpu-box/42" in record.traceback
    assert "mlmagics_job" not in record.traceback
    assert "interactiveshell" not in record.traceback


@pytest.mark.parametrize(
    ("source", "ename"),
    [("%no_such_magic", "UsageError"), ("%time x =\n", "SyntaxError"), ("%%time\n1/0", "ZeroDivisionError")],
)
def test_an_error_of_a_magic_fails_the_cell(cell: Cell, source: str, ename: str) -> None:
    record = cell(source)
    assert record.error["ename"] == ename
    assert record.exit_code == 1


@pytest.mark.parametrize("leave", ["exit(5)", "import sys; sys.exit(5)", "raise SystemExit(5)"])
def test_a_cell_in_a_shell_can_end_itself(cell: Cell, leave: str) -> None:
    record = cell(f"!true\n{leave}\nprint('not reached')")
    assert record.exit_code == 5
    assert record.frames("error") == []
    assert record.stdout == record.stderr == ""


def test_what_a_cell_registers_for_the_end_finds_its_names(cell: Cell) -> None:
    record = cell("import atexit\nx = 5\natexit.register(lambda: print('late', x))\n!true")
    assert record.stdout == "late 5\n"
    assert record.stderr == ""


def test_a_program_at_a_terminal_waits_for_nobody(cell: Cell) -> None:
    record = cell("!cat\n!echo $PAGER $GIT_PAGER\ndef f(n):\n    !echo in $n\nf(5)\n!false\n_exit_code")
    assert record.stdout.split("\r\n") == ["cat cat", "in 5", ""]
    assert record.data == [{"text/plain": "1"}]


def test_the_settings_of_figures_are_heard(cell: Cell) -> None:
    pytest.importorskip("matplotlib")
    record = cell(
        "%config InlineBackend.figure_format = 'svg'\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"
    )
    (data,) = record.data
    assert sorted(data) == ["image/svg+xml", "text/plain"]


def test_a_figure_that_cannot_be_drawn_says_so(cell: Cell) -> None:
    pytest.importorskip("matplotlib")
    source = "import matplotlib.pyplot as plt\nplt.title('$\\\\frac$')\nprint('on')\nNone"
    for cell_source in (source, "%matplotlib inline\n" + source, "!true\n" + source):
        record = cell(cell_source)
        assert record.stdout.startswith("on\n")
        assert "Expected" in record.stderr + str(record.frames("error"))


def test_a_failing_script_fails_the_cell(cell: Cell, tmp_path: object) -> None:
    record = cell("%%writefile bad.py\nraise ValueError('in the script')")
    assert record.exit_code == 0
    record = cell("%run bad.py")
    assert record.error["ename"] == "ValueError"
    assert record.exit_code == 1


def test_a_broken_representation_is_told_and_fails_nothing(cell: Cell) -> None:
    record = cell("class A:\n    def _repr_html_(self):\n        raise ValueError('broken')\nA()")
    assert "ValueError\x1b[39m: broken" in record.stderr
    assert "formatters.py" not in record.stderr
    assert "text/plain" in record.data[0]
    assert record.exit_code == 0


def test_libraries_that_ask_ipython_for_its_shell_find_one(cell: Cell) -> None:
    record = cell(
        """
from IPython.display import HTML, Image, clear_output, display as show, update_display
show(HTML("<b>x</b>"), display_id="a")
update_display("y", display_id="a")
clear_output(wait=True)
import IPython
print(type(IPython.get_ipython()).__name__, "exit" in globals())
Image(data=b"\\x89PNG\\r\\n\\x1a\\n", format="png")
"""
    )
    assert record.exit_code == 0
    first, second, last = record.frames("display")
    assert first["data"]["text/html"] == "<b>x</b>"
    assert (second["display_id"], second["update"]) == ("a", True)
    assert record.frames("clear") == [{"type": "clear", "wait": True}]
    assert record.stdout == "JobShell False\n"
    assert base64.b64decode(last["data"]["image/png"]) == b"\x89PNG\r\n\x1a\n"


def test_a_long_list_is_broken_into_lines(cell: Cell) -> None:
    record = cell("list(range(100))")
    assert record.data[0]["text/plain"].startswith("[0,\n 1,")


@needs_pandas
def test_a_data_frame_is_shown_as_a_table(cell: Cell) -> None:
    record = cell("import pandas as pd\npd.DataFrame({'a': [1, 2]})")
    (frame,) = record.frames("display")
    assert frame["result"] is True
    assert "<table" in frame["data"]["text/html"]
    assert frame["data"]["text/plain"] == "   a\n0  1\n1  2"


def assert_picture(data: dict[str, str]) -> None:
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].startswith("<Figure size")


@needs_matplotlib
def test_figures_are_shown_by_show_and_at_the_end(cell: Cell) -> None:
    record = cell(
        """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
print("between", plt.get_fignums())
plt.figure(); plt.plot([1]);
plt.figure(); plt.plot([2]);
"""
    )
    assert [kind for kind, _ in record.merged()] == ["display", "stdout", "display", "display"]
    assert record.stdout == "between []\n"
    for data in record.data:
        assert_picture(data)


@needs_matplotlib
def test_figures_are_shown_also_when_the_cell_fails(cell: Cell) -> None:
    record = cell("import matplotlib.pyplot as plt\nplt.plot([1])\n1/0")
    assert record.exit_code == 1
    assert_picture(record.data[0])


@needs_matplotlib
@pytest.mark.parametrize("source", ["display(fig)", "fig"])
def test_a_figure_can_be_displayed_as_an_object(cell: Cell, source: str) -> None:
    record = cell(f"import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nplt.close(fig)\n{source}")
    (data,) = record.data
    assert_picture(data)


@needs_matplotlib
def test_the_inline_backend_works(cell: Cell) -> None:
    record = cell("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('x')")
    assert record.exit_code == 0, record.traceback
    (data,) = record.data
    assert_picture(data)


@needs_matplotlib
def test_a_backend_of_the_users_choice_is_kept(cell: Cell) -> None:
    record = cell(
        "import matplotlib.pyplot as plt\nplt.plot([1])\nprint(plt.get_backend())", env={"MPLBACKEND": "agg"}
    )
    assert record.stdout == "agg\n"
    assert record.data == []
