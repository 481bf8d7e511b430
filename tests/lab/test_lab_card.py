"""The card in JupyterLab as a person sees it: updated, in every theme, after an interrupt, a reload, a restart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook
from lab_parts import BAR, COLOURS, CONTRAST, METRICS, PATIENCE_MS, PLOT, THEMES, Orders, job_of, number

from cluster_agent.protocol import State
from running import AgentProcess, until

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect


def test_card_is_updated_while_another_cell_runs(
    open_notebook: Callable[..., Notebook], orders: Orders, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    busy = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)"
    notebook = open_notebook(orders.cell("%%gpu-box --name train --no-wait"), busy)
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.run(2)
    card, bar = notebook.card(1), notebook.card(1).get_by_role("progressbar")
    orders(BAR.format(20))
    expect(bar).to_have_attribute("aria-valuenow", "20", timeout=PATIENCE_MS)
    # none in the moment in which a card takes the place of the last one
    width = until(bar.locator("div").bounding_box)["width"]
    orders(BAR.format(60), METRICS)
    expect(bar).to_have_attribute("aria-valuenow", "60", timeout=PATIENCE_MS)
    assert until(bar.locator("div").bounding_box)["width"] == pytest.approx(3 * width, rel=0.02)
    assert notebook.prompt(2) == "[*]:"
    expect(card.get_by_role("img", name="loss by step")).to_be_visible(timeout=PATIENCE_MS)
    expect(card).to_contain_text(re.compile(r"Running, for .* as of \d\d:\d\d:\d\d"))
    orders(PLOT, "print('last line')", "raise SystemExit")
    expect(card).to_contain_text("Finished after", timeout=PATIENCE_MS)
    assert notebook.prompt(2) == "[*]:"
    expect(card).to_contain_text("last line")
    plot = card.locator("img")
    expect(plot).to_be_visible()
    assert plot.evaluate("image => image.naturalWidth") > 0
    assert bar.count() == 0
    go.touch()


def test_card_can_be_read_in_every_theme(open_notebook: Callable[..., Notebook], orders: Orders) -> None:
    orders(METRICS, COLOURS, BAR.format(40))
    notebook = open_notebook(orders.cell("%%gpu-box --name train --no-wait --timeout 10m"))
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    card = notebook.card(1)
    expect(card.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE_MS)
    expect(card).to_contain_text("colour97")
    expect(card).to_contain_text(re.compile("memory .* of .* CPU"), timeout=PATIENCE_MS)
    assert hard_to_read(notebook, card) == {}
    orders("1 / 0")
    expect(card).to_contain_text("Failed after", timeout=PATIENCE_MS)
    expect(card).to_contain_text("ZeroDivisionError: division by zero")
    assert hard_to_read(notebook, card) == {}


def hard_to_read(notebook: Notebook, card: Any) -> dict[str, list[str]]:
    """Texts of too little contrast, by theme."""
    found = {}
    for theme in reversed(THEMES):
        notebook.show_in(theme)
        poor = card.evaluate(CONTRAST)
        if poor:
            found[theme] = poor
    return found


def test_stop_button_stops_the_watching_and_the_job_goes_on(
    open_notebook: Callable[..., Notebook], orders: Orders, box: AgentProcess
) -> None:
    notebook = open_notebook(orders.cell("%%gpu-box --wait"))
    notebook.run_to_end(0)
    notebook.run(1)
    orders("print('begun')")
    name = job_of(notebook, 1)
    expect(notebook.outputs(1)).to_contain_text("begun", timeout=PATIENCE_MS)
    notebook.page.locator('[data-jp-item-name="interrupt"]').first.click()
    expect(notebook.outputs(1)).to_contain_text("stopped watching", timeout=PATIENCE_MS)
    expect(notebook.outputs(1)).to_contain_text(f"To come back: %logs {name}")
    until(lambda: notebook.prompt(1) == "[2]:")
    assert box.client().job(number(name)).state is State.RUNNING
    orders("raise SystemExit")


def test_card_of_a_page_that_was_reloaded_is_still_true(
    open_notebook: Callable[..., Notebook], orders: Orders, box: AgentProcess, page: Any
) -> None:
    notebook = open_notebook(orders.cell("%%gpu-box --name train --no-wait"), "%logs")
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    orders("print('seen')", BAR.format(30))
    expect(notebook.card(1).get_by_role("progressbar")).to_be_visible(timeout=PATIENCE_MS)
    notebook.save()
    page.reload()
    notebook.ready()
    orders(PLOT, "raise SystemExit")
    name = job_of(notebook, 1)
    until(lambda: box.client().job(number(name)).ended_at)
    expect(notebook.card(1)).to_contain_text(
        re.compile(r"Running, for .* as of \d\d:\d\d:\d\d on \d+ \w+ \d{4}")
    )
    expect(notebook.card(1)).to_contain_text(f"%logs {name}")
    notebook.run(2)
    expect(notebook.outputs(2)).to_contain_text("Job Status: Finished", timeout=PATIENCE_MS)
    expect(notebook.outputs(2)).to_contain_text("seen")
    plot = notebook.outputs(2).locator("img")
    expect(plot).to_be_visible(timeout=PATIENCE_MS)
    assert plot.evaluate("image => image.naturalWidth") > 0


def test_logs_draw_everything_again_after_the_kernel_was_restarted(
    open_notebook: Callable[..., Notebook], orders: Orders
) -> None:
    notebook = open_notebook(orders.cell("%%gpu-box --name train --no-wait"), "%load_ext mlmagics\n%logs")
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    orders("print('before')")
    expect(notebook.card(1)).to_contain_text("before", timeout=PATIENCE_MS)
    notebook.restart()
    orders("print('after')", PLOT, METRICS, "raise SystemExit")
    notebook.run(2)
    output = notebook.outputs(2)
    expect(output.locator("img")).to_be_visible(timeout=PATIENCE_MS)
    expect(output).to_contain_text(re.compile("before\\s+after"))
    expect(output.get_by_role("img", name="loss by step")).to_be_visible(timeout=PATIENCE_MS)
    expect(output).to_contain_text(re.compile(r"gpu-box/\d+ train: Finished"), timeout=PATIENCE_MS)
    expect(notebook.card(1)).to_contain_text(re.compile(r"Running, for .* as of"))


def test_card_in_a_notebook_that_is_not_trusted_keeps_its_words(
    open_notebook: Callable[..., Notebook], jupyter: JupyterLab, orders: Orders, page: Any
) -> None:
    notebook = open_notebook(orders.cell("%%gpu-box --name train --no-wait"))
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    orders(METRICS, PLOT, "print('printed')", "raise SystemExit")
    expect(notebook.card(1)).to_contain_text("Finished after", timeout=PATIENCE_MS)
    saved = notebook.save()
    # as on another machine: its signature is not known here
    copy = jupyter.notebooks / f"copy-{notebook.path.name}"
    copy.write_text(json.dumps({**saved, "metadata": {**saved["metadata"], "from": "elsewhere"}}))
    notebook = open_notebook(name=copy.name)
    card = notebook.card(1)
    expect(card).to_contain_text("Finished after")
    expect(card).to_contain_text("printed")
    expect(card).to_contain_text("loss by step")
    expect(card.get_by_role("table").first).to_contain_text("0.05 at 19")
    assert card.locator("svg").count() == 0
    plot = card.locator("img")
    assert plot.evaluate("image => image.naturalWidth") > 0
    border = card.evaluate("card => getComputedStyle(card).borderTopStyle")
    assert border == "solid"
