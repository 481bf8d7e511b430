"""[runtimes] and [packages] of agent.toml, and the variables that uv gets."""

from pathlib import Path

import pytest

from cluster_agent.config import ConfigError, load_config
from cluster_agent.environments.base import Base
from cluster_agent.environments.reasons import explain, is_final
from cluster_agent.environments.settings import PackageSettings
from cluster_agent.environments.shelf import Entry, expired
from cluster_agent.environments.uv import Uv, find_uv, pip_settings, uv_variables

DAY = 86400.0


def load(tmp_path, text):
    file = tmp_path / "agent.toml"
    file.write_text(text)
    return load_config({}, {}, file)


def test_runtimes_and_packages_are_read(tmp_path):
    config = load(
        tmp_path,
        """
[runtimes.dl]
python = "/opt/envs/dl/bin/python"
description = "PyTorch"
env = { A = "b" }
[runtimes.tf-2]
python = "~/tf/bin/python"
[packages]
index = "https://ada:geheim@pypi.lab/simple"
extra_index = ["https://more.lab/simple"]
find_links = ["/srv/wheels", "https://lab/wheels"]
offline = true
timeout = "10m"
keep_size = "5G"
""",
    )
    assert list(config.runtimes) == ["dl", "tf-2"]
    assert config.runtimes["dl"].env == {"A": "b"}
    assert config.runtimes["tf-2"].python == str(Path.home() / "tf/bin/python")
    assert config.packages.find_links == ("/srv/wheels", "https://lab/wheels")
    assert (config.packages.offline, config.packages.timeout_s, config.packages.keep_bytes) == (
        True,
        600.0,
        5 * 2**30,
    )
    assert "geheim" not in repr(config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[runtimes.DL]\npython = '/p'", r"\[runtimes.DL\]"),
        ("[runtimes.dl]\ndescription = 'x'", "needs a line python"),
        ("[runtimes.dl]\npython = '/p'\nversion = 3", r"takes python, description, env, not 'version'"),
        ("[runtimes.dl]\npython = 3", r"\[runtimes.dl\] python"),
        ("[runtimes.dl]\npython = '/p'\nenv = { A = 1 }", r"\[runtimes.dl\] env"),
        ("runtimes = 3", r"\[runtimes\]"),
        ("[packages]\noffline = 'yes'", r"\[packages\] offline: 'yes' is neither true nor false"),
        ("[packages]\nindexes = 'x'", "not 'indexes'"),
        ("[packages]\ntimeout = 10", r"\[packages\] timeout"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


def test_settings_of_ops_win_over_uvs_over_pips(tmp_path):
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://file/simple\nextra-index-url = https://a/simple\n    https://b/simple\n"
        "no-index = false\ntrusted-host = file\ntimeout = 9\n"
    )
    environ = {
        "HOME": str(home),
        "PIP_FIND_LINKS": "/x /y",
        "UV_LINK_MODE": "copy",
        "SECRET": "no",
        "UV_PYTHON": "/other",
    }
    pip = {
        name: value
        for name, value in pip_settings(environ).items()
        if name in {"index-url", "extra-index-url", "no-index", "trusted-host"}
    }
    found = uv_variables(PackageSettings(), environ, tmp_path / "cache", pip)
    assert found == {
        "HOME": str(home),
        "UV_DEFAULT_INDEX": "https://file/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_INSECURE_HOST": "file",
        "UV_FIND_LINKS": "/x,/y",
        "UV_LINK_MODE": "copy",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    environ |= {"PIP_INDEX_URL": "https://variable/simple"}
    assert (
        uv_variables(PackageSettings(), environ, tmp_path, pip)["UV_DEFAULT_INDEX"]
        == "https://variable/simple"
    )
    environ |= {"UV_DEFAULT_INDEX": "https://uv/simple", "UV_CACHE_DIR": "/big/cache"}
    found = uv_variables(PackageSettings(), environ, tmp_path, pip)
    assert (found["UV_DEFAULT_INDEX"], found["UV_CACHE_DIR"]) == ("https://uv/simple", "/big/cache")
    ops = PackageSettings(index="https://ops/simple", offline=True, find_links=("/srv",))
    found = uv_variables(ops, environ, tmp_path, pip)
    assert (found["UV_DEFAULT_INDEX"], found["UV_OFFLINE"], found["UV_FIND_LINKS"]) == (
        "https://ops/simple",
        "1",
        "/srv",
    )


def test_credentials_of_an_index_are_masked():
    variables = {
        "UV_DEFAULT_INDEX": "https://ada:geheim1234@lab/simple",
        "UV_INDEX": "https://token-5678@more/simple",
        "UV_INDEX_LAB_PASSWORD": "hunter2hunter2",
    }
    uv = Uv("uv", variables)
    said = uv.masked(
        "GET https://ada:geheim1234@lab/simple/x geheim1234 token-5678 hunter2hunter2 https://u:p@other/"
    )
    assert said == "GET https://****@lab/simple/x **** **** **** https://****@other/"
    assert "geheim" not in repr(uv)


def test_uv_is_the_one_that_was_set_or_on_the_path(tmp_path):
    program = tmp_path / "uv"
    program.write_text("")
    assert find_uv(str(program), {"PATH": ""}) is None
    program.chmod(0o755)
    assert find_uv(str(program), {"PATH": ""}) == str(program)
    assert find_uv("", {"PATH": str(tmp_path)}) == str(program)
    assert find_uv("/nowhere/uv", {"PATH": str(tmp_path)}) is None


BASE = Base(python="/p", version="3.12.4", folders=(), fingerprint="0")


@pytest.mark.parametrize(
    ("said", "reason", "final"),
    [
        (
            (
                "error: No solution found when resolving dependencies\n  cause: Because only pandas<=3.1.1 is available and"
                " you require pandas>=99, we can conclude that your requirements are unsatisfiable.\n"
            ),
            "only pandas<=3.1.1 is available and you require pandas>=99; ask for other versions with --with",
            True,
        ),
        (
            (
                "  \u00d7 No solution found when resolving dependencies:\n  \u2570\u2500\u25b6 Because xyzzy was not found in the package registry"
                " and you require xyzzy, we can conclude that your requirements are unsatisfiable.\n"
            ),
            "there is no package xyzzy where this box looks for packages",
            True,
        ),
        (
            (
                "error: No solution found when resolving dependencies\n  cause: Because bad==1.0 has no usable wheels and only"
                " bad==1.0 is available, we can conclude that all versions of bad cannot be used.\n\nhint: Wheels are"
                " required for `bad` because building from source is disabled for all packages (i.e., with `--no-build`)\n"
            ),
            "bad==1.0 has no usable wheels",
            False,
        ),
        (
            (
                "error: Failed to fetch: `https://lab/simple/polars/`\n  cause: error sending request for url (https://lab/simp"
                "le/polars/)\n  cause: client error (Connect)\n  cause: tcp connect error\n  cause: Connection refused (os error 111)\n"
            ),
            "https://lab/simple/polars/ does not answer (Connection refused); try again, or tell whoever runs the box",
            False,
        ),
        (
            (
                "error: Failed to fetch: `https://lab/simple/polars/`\n  cause: HTTP status client error (401 Unauthorized) for"
                " url (https://lab/simple/polars/)\n"
            ),
            "https://lab/simple/polars/ answers 401 Unauthorized; tell whoever runs the box",
            False,
        ),
        (
            "   Building x==1.0\nerror: Failed to build `x==1.0`\n  cause: oh\n",
            "x 1.0 has no wheel for Python 3.12",
            False,
        ),
        (
            "error: failed to write\n  cause: No space left on device (os error 28)\n",
            "the disk of the box is full",
            False,
        ),
        ("error: something new\nmore\n", "something new; the log has all that uv said", False),
        ("", "; the log has all that uv said", False),
    ],
)
def test_reasons_are_one_line_with_a_next_step(said, reason, final, tmp_path):
    told = explain(said, BASE, tmp_path / "not" / "there")
    assert told.startswith("its environment cannot be built: ")
    assert reason in told
    assert "\n" not in told
    assert len(told) < 300
    assert is_final(said) is final


def test_environments_go_by_age_then_by_room_the_oldest_use_first():
    entries = [Entry(key=str(age), used_at=100 * DAY - age * DAY, size=10) for age in (40, 9, 5, 1)]

    def going(total, keep=100):
        found = expired(entries, keep_s=30 * DAY, keep_bytes=keep, total_bytes=total, now=100 * DAY)
        return [entry.key for entry in found]

    assert going(40) == ["40"]
    assert going(110) == ["40"]
    assert going(125) == ["40", "9", "5"]
    assert going(1000) == ["40", "9", "5", "1"]
    assert going(0) == ["40"]
