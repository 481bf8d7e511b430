"""Defaults of options: cell before notebook before person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlmagics.cluster.preferences import Preferences
from mlmagics.errors import UserError
from mlmagics.magics.config import config_parser
from mlmagics.magics.defaults import NOTEBOOK, PERSON, inherited, over, with_origins, without
from mlmagics.magics.options import CellOptions, cell_options, cell_parser
from mlmagics.magics.words import WrongUse

PARSER = config_parser("%gpu-box config")


def options(line: str, *defaults: str, **environ: str) -> CellOptions:
    return cell_options("%%gpu-box", line, environ, defaults)


def test_the_nearer_level_wins_and_the_others_stay() -> None:
    person, notebook = ["--gpus=4", "--memory=8G"], ["--gpus=2", "--timeout=8h"]
    assert over(PARSER, person, notebook) == ["--gpus=2", "--memory=8G", "--timeout=8h"]
    found = options("--timeout 30m", *over(PARSER, person, notebook))
    assert (found.gpus, found.memory_bytes, found.timeout_s) == (2, 8 * 2**30, 1800.0)
    assert found.config == ("--gpus", "--memory")
    assert found.not_written() == " (config: --gpus --memory; defaults: --cpus)"


def test_without_defaults_the_bracket_is_as_ever() -> None:
    assert options("--gpus 2 --cpus 1").not_written() == " (defaults; --memory --timeout)"
    assert options("--gpus 2 --cpus 1 --mem 1G --time 1h").not_written() == ""
    assert options("--gpus 2 --cpus 1 --mem 1G", "--timeout=1h").not_written() == " (config: --timeout)"


@pytest.mark.parametrize(
    ("line", "default", "wait_s"),
    [
        ("", "--wait", float("inf")),
        ("", "--wait=5m", 300.0),
        ("--no-wait", "--wait", 0.0),
        ("-w 2s", "--no-wait", 2.0),
        ("--gpus 1", "--no-wait", 0.0),
    ],
)
def test_how_long_to_wait_is_one_thing_whatever_it_is_called(line: str, default: str, wait_s: float) -> None:
    assert options(line, default).wait_s == wait_s
    assert "--wait" not in options(line, default).config


def test_familiar_spellings_are_the_same_option() -> None:
    assert over(PARSER, ["--mem", "8G"], ["--memory=16G"]) == ["--memory=16G"]
    assert options("--mem 4G", "--memory=8G").memory_bytes == 4 * 2**30


def test_variables_are_defaults_one_by_one() -> None:
    found = options("--env A=3", "--env=A=1", "--env=B=2", "--env=HOME", HOME="/home/ada")
    assert found.env == {"A": "3", "B": "2", "HOME": "/home/ada"}
    with pytest.raises(WrongUse, match=r"no variable TOKEN here.*a default that was set with config"):
        options("", "--env=TOKEN")


def test_a_wrong_cell_is_told_as_its_own() -> None:
    with pytest.raises(WrongUse) as refused:
        options("--env NOPE", "--gpus=2")
    assert "config" not in refused.value.message


def test_a_default_before_an_option_with_an_optional_value_stays_apart() -> None:
    cell = ["--wait", "--gpus", "2"]
    assert [taken.word for taken in cell_parser("%%gpu-box").taken(cell)] == ["--wait", "--gpus=2"]
    assert inherited(PARSER, cell, ["--wait=5m"]) == []


def test_each_default_has_its_origin() -> None:
    found = with_origins(PARSER, ["--gpus=4", "--cpus=1"], ["--gpus=2"])
    assert {default.taken.word: default.origin for default in found} == {
        "--gpus=2": NOTEBOOK,
        "--cpus=1": PERSON,
    }


def test_some_are_forgotten_by_name() -> None:
    level = ["--gpus=2", "--memory=8G", "--wait", "--env=A=1"]
    assert without(PARSER, level, ["gpus", "--mem"], "m") == ["--wait", "--env=A=1"]
    assert without(PARSER, level, ["no-wait", "env"], "m") == ["--gpus=2", "--memory=8G"]
    with pytest.raises(WrongUse, match=r"m --reset: 'gpu' is not an option: did you mean gpus\?"):
        without(PARSER, level, ["gpu"], "m")


def test_preferences_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    kept = Preferences(tmp_path / "config")
    assert kept.of("gpu-box") == []
    kept.change("gpu-box", lambda _: ["--gpus=2"])
    kept.change("other", lambda _: ["--wait"])
    assert Preferences(tmp_path / "config").all() == {"gpu-box": ["--gpus=2"], "other": ["--wait"]}
    assert kept.path.stat().st_mode & 0o777 == 0o600
    kept.change("gpu-box", lambda _: [])
    assert kept.all() == {"other": ["--wait"]}


def test_preferences_changed_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    def add(number: int) -> None:
        Preferences(tmp_path).change("gpu-box", lambda level: [*level, f"--env=K{number}"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(16)))
    assert sorted(Preferences(tmp_path).of("gpu-box")) == sorted(f"--env=K{number}" for number in range(16))


@pytest.mark.parametrize(
    ("content", "says"), [("{", "is damaged"), ('{"version": 2}', "was written by a newer mlmagics")]
)
def test_preferences_that_cannot_be_understood_are_left_alone(
    tmp_path: Path, content: str, says: str
) -> None:
    kept = Preferences(tmp_path)
    kept.path.write_text(content)
    for act in (kept.all, lambda: kept.change("gpu-box", lambda _: ["--gpus=2"])):
        with pytest.raises(UserError, match=says):
            act()
    assert kept.path.read_text() == content
