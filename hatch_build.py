"""How a wheel and an sdist of mlmagics are built: by hatchling, with the sidebar for JupyterLab in them.

This is both the build backend, which knows what a build needs before it begins, and the hook of hatchling, which
builds. An editable install builds nothing: there the sidebar comes by ``python tools/sidebar.py``.
"""

from __future__ import annotations

from typing import Any

from hatchling import build as hatchling_build
from hatchling.build import *  # noqa: F403 - a backend is its hooks
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from tools import sidebar


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What a wheel needs: Node and jupyter-builder only where the sidebar has to be built."""
    return [*hatchling_build.get_requires_for_build_wheel(config_settings), *_needs()]


def get_requires_for_build_sdist(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What an sdist needs: it carries the sidebar, built."""
    return [*hatchling_build.get_requires_for_build_sdist(config_settings), *_needs()]


def _needs() -> list[str]:
    return sidebar.needs() if sidebar.due() else []


class Sidebar(BuildHookInterface[Any]):
    """Builds the sidebar, and puts it where JupyterLab finds it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        if version == "editable" or sidebar.skipped():
            return
        sidebar.build()
        if self.target_name == "wheel":
            build_data["shared_data"] |= {
                str(sidebar.OUTPUT): sidebar.SHARED,
                str(sidebar.FRONT / "install.json"): f"{sidebar.SHARED}/install.json",
            }
