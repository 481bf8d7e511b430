from __future__ import annotations

import pytest

from cluster_agent.supervisor.environment import build_variables

AGENT = {
    "HOME": "/home/ada",
    "USER": "ada",
    "LANG": "en_GB.UTF-8",
    "LC_TIME": "C",
    "TZ": "UTC",
    "PATH": "/usr/bin:/bin",
    "PYTHONUNBUFFERED": "1",
    "PYTHONPATH": "/agent",
    "AWS_SECRET_ACCESS_KEY": "s3",
    "HTTPS_PROXY": "http://proxy",
    "VIRTUAL_ENV": "/agent/venv",
    "LD_PRELOAD": "x.so",
    "MLMAGICS_AGENT_TOKEN": "t",
}


def test_variables_take_over_only_what_is_on_the_list():
    variables = build_variables(AGENT, {}, {}, {}, "/opt/py/bin/python")
    assert variables == {
        "HOME": "/home/ada",
        "USER": "ada",
        "LANG": "en_GB.UTF-8",
        "LC_TIME": "C",
        "TZ": "UTC",
        "PATH": "/opt/py/bin:/usr/bin:/bin",
    }


def test_later_variables_win():
    variables = build_variables(
        {"HOME": "agent"},
        {"HOME": "ops", "A": "ops", "B": "ops"},
        {"A": "job", "B": "job", "PROJECT_URL": "job"},
        {"PROJECT_URL": "ours", "B": "ours"},
        "/py/bin/python",
    )
    assert [variables[name] for name in ("HOME", "A", "B", "PROJECT_URL")] == ["ops", "job", "ours", "ours"]


@pytest.mark.parametrize(
    ("agent", "ops", "job", "path"),
    [
        ({}, {}, {}, "/py/bin:/usr/local/bin:/usr/bin:/bin"),
        ({"PATH": ""}, {}, {}, "/py/bin:/usr/local/bin:/usr/bin:/bin"),
        ({"PATH": "/a"}, {"PATH": "/ops"}, {}, "/py/bin:/ops"),
        ({"PATH": "/a"}, {"PATH": "/ops"}, {"PATH": "/job"}, "/job"),
    ],
)
def test_path_begins_with_the_interpreters_folder(agent, ops, job, path):
    assert build_variables(agent, ops, job, {}, "/py/bin/python3")["PATH"] == path


def test_virtual_environment_is_named(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    variables = build_variables({}, {}, {}, {}, str(tmp_path / "bin" / "python"))
    assert variables["VIRTUAL_ENV"] == str(tmp_path)


def test_values_that_are_no_text_are_left_out():
    assert "HOME" not in build_variables({"HOME": "/caf\udce9"}, {}, {}, {}, "/py/bin/python")
