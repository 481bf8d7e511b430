"""What a cell says that it needs."""

import pytest

from cluster_agent.protocol import Runtime
from mlmagics.environments.wanted import Wanted, check_python, wanted
from mlmagics.errors import BadValue

BLOCK = """\
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "rich",
#   "pandas>=2,<4",  # frames
# ]
# ///
import pandas
"""


def test_the_block_of_pep_723_is_read():
    found = wanted(BLOCK)
    assert found.packages == ("rich", "pandas>=2,<4")
    assert found.requires_python == ">=3.11"
    assert found.names == {"rich", "pandas"}


def test_options_come_behind_the_block_and_each_once():
    assert wanted(BLOCK, ["rich,polars", "polars"]).packages == ("rich", "pandas>=2,<4", "polars")


@pytest.mark.parametrize(
    ("written", "packages"),
    [
        ("pandas", ("pandas",)),
        ("pandas>=2,<3", ("pandas>=2,<3",)),
        ("pandas>=2,<3,rich", ("pandas>=2,<3", "rich")),
        ("pandas[excel,parquet]==2.2, rich", ("pandas[excel,parquet]==2.2", "rich")),
        ("mine @ https://host/mine-1.0.whl", ("mine @ https://host/mine-1.0.whl",)),
        ("tomli; python_version < '3.11'", ("tomli; python_version < '3.11'",)),
        ("", ()),
        (["a", "b,c"], ("a", "b", "c")),
    ],
)
def test_packages_are_told_apart_by_commas(written, packages):
    assert wanted("1", written).packages == packages


def test_a_cell_without_any_needs_nothing():
    assert wanted("import os  # /// script is a word here") == Wanted()
    assert wanted("# /// other\n# a = 1\n# ///\n") == Wanted()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("# /// script\n# dependencies = []\nimport os\n", "has no end"),
        ("# /// script\n# dependencies = [\n# ///\n", "is not TOML"),
        ("# /// script\n# dependencies = 'rich'\n# ///\n", "is a list of texts"),
        ("# /// script\n# dependencies = [1]\n# ///\n", "is a list of texts"),
        ("# /// script\n# dependencies = ['-e .']\n# ///\n", "'-e .' is no package"),
        ("# /// script\n# requires-python = 3.11\n# ///\n", "requires-python"),
        ("# /// script\n# requires-python = 'new'\n# ///\n", "requires-python"),
        (f"{BLOCK}\n\n{BLOCK}", "two blocks"),
    ],
)
def test_a_block_that_cannot_be_understood_says_what_to_write(source, says):
    with pytest.raises(BadValue, match=says.replace("[", r"\[")) as refused:
        wanted(source)
    assert refused.value.field == "source"
    assert "\n" not in refused.value.message


def test_an_option_that_is_no_package_is_refused():
    with pytest.raises(BadValue, match="--with: '--index-url=x' is no package") as refused:
        wanted("1", "--index-url=x")
    assert refused.value.field == "packages"


def test_settings_of_tools_in_a_block_are_not_used_and_told():
    found = wanted("# /// script\n# dependencies = []\n# [tool.uv]\n# index-url = 'https://x'\n# ///\n")
    assert len(found.notes) == 1


def test_python_is_compared_with_what_the_cell_needs():
    check_python(Wanted(requires_python=">=3.11"), "3.11.9", "gpu-box", [])
    check_python(Wanted(), "3.8.1", "gpu-box", [])
    runtimes = [
        Runtime(name="old", python="/p", python_version="3.10.2"),
        Runtime(name="new", python="/p", python_version="3.13.1"),
        Runtime(name="gone", python="/p"),
    ]
    with pytest.raises(BadValue, match=r"jobs of gpu-box have 3.11.9: add --runtime new \(Python 3.13.1\)"):
        check_python(Wanted(requires_python=">=3.12"), "3.11.9", "gpu-box", runtimes)
    with pytest.raises(BadValue, match="change requires-python, or see %attachments"):
        check_python(Wanted(requires_python="<3"), "3.11.9", "gpu-box", runtimes)
