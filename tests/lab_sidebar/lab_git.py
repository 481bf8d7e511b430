"""A repository among the notebooks of a JupyterLab, and the section of git in the panel."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from lab_panel import Panel


def surroundings(home: Path) -> dict[str, str]:
    """Variables of a git that knows nothing but the configuration in ``home``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **inherited,
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",
    }


def as_bob(home: Path) -> dict[str, str]:
    """The same, of somebody whom git knows."""
    people = {f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**surroundings(home), **dict.fromkeys(people, "bob@example.org")}


def notebook_text(*cells: str, output: str = "") -> str:
    """A notebook, the last cell of it with an output."""
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {}, "execution_count": None,
         "source": source, "outputs": []}
        for at, source in enumerate(cells)
    ]  # fmt: skip
    if output:
        made[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": output}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}, indent=1) + "\n"


class GitSection:
    """The section of git."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.page = panel.page
        self.node = panel.node.get_by_role("region", name="Git Section")

    def open(self, jupyter: Any, folder: str) -> None:
        """Show it for a folder, without any notebook."""
        jupyter.lab(self.page, folder)
        self.panel.open()

    def row(self, kind: str, path: str) -> Any:
        """The row of a file: ``staged``, ``unstaged``, ``untracked`` or ``conflict``."""
        return self.page.locator(f'.mlmagics-change[data-key="{kind} {path}"]')

    def button(self, name: str) -> Any:
        """One of its buttons, also of those beside its heading, by the beginning of its name."""
        begins = "^" + re.escape(name).replace("/", r"\/")
        return self.panel.node.get_by_role("button", name=re.compile(begins))

    def press(self, name: str) -> None:
        """Press one of its buttons."""
        self.button(name).click()

    @property
    def message(self) -> Any:
        """Where the message of the next commit is written."""
        return self.node.get_by_label("Commit message")

    def answer(self, button: str) -> None:
        """Answer the dialog that is open."""
        self.page.get_by_role("dialog").get_by_role("button", name=button).click()

    def answer_with_enter(self, button: str) -> None:
        """Press Enter in the dialog that is open: the button that has the focus by itself is that one."""
        self.page.locator(f'dialog button:focus:has-text("{button}")').wait_for()
        self.page.keyboard.press("Enter")
