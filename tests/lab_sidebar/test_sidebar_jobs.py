"""Jobs in the sidebar: followed, read, cancelled, run again, with the mouse and with the keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook
from lab_panel import Panel, submit
from lab_parts import BAR, COLOURS, CONTRAST, METRICS, PATIENCE_MS, PLOT, THEMES, Orders, job_of, number

from cluster_agent.protocol import ACTIVE, State
from running import AgentProcess, until, wait_ended

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect
SHOW = "from IPython.display import HTML, display; "


def test_sidebar_follows_a_job_of_a_cell_until_it_is_cancelled(
    open_notebook: Callable[..., Notebook], panel: Panel, page: Any, orders: Orders, box: AgentProcess
) -> None:
    notebook = open_notebook(orders.cell("%%gpu-box --name train --no-wait"))
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    ref = job_of(notebook, 1)
    expect(page.locator(".mlmagics-status")).to_have_text(re.compile(r"\d+ running"), timeout=PATIENCE_MS)
    page.locator(".mlmagics-status").click()
    row = panel.job(ref)
    expect(row).to_contain_text(re.compile(f"Running\\s*train\\s*{ref}"), timeout=PATIENCE_MS)
    orders(BAR.format(40), METRICS, "print('begun')")
    expect(row).to_contain_text("40 %", timeout=PATIENCE_MS)
    log = panel.log(ref)
    expect(log).to_contain_text("begun", timeout=PATIENCE_MS)
    expect(log.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "40", timeout=PATIENCE_MS)
    expect(log.get_by_role("img", name="loss by step")).to_be_visible(timeout=PATIENCE_MS)
    orders("print('more')")
    expect(log).to_contain_text("more", timeout=PATIENCE_MS)
    log.get_by_role("button", name="Cancel this job").click()
    page.get_by_role("dialog").get_by_role("button", name="Let it go on").click()
    log.get_by_role("button", name="Cancel this job").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(row).to_contain_text("Cancelled", timeout=PATIENCE_MS)
    expect(log.locator(".mlmagics-head .mlmagics-state")).to_have_text("Cancelled", timeout=PATIENCE_MS)
    expect(log.get_by_role("button", name="Cancel this job")).to_be_hidden()
    assert box.client().job(number(ref)).state is State.CANCELLED


def test_sidebar_tells_that_a_job_has_ended_also_with_its_panel_closed(
    open_notebook: Callable[..., Notebook], page: Any, panel: Panel, orders: Orders
) -> None:
    notebook = open_notebook(orders.cell("%%gpu-box --name brief --no-wait"))
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    ref = job_of(notebook, 1)
    expect(page.locator(".mlmagics-status")).to_be_visible(timeout=PATIENCE_MS)
    orders("raise ValueError('no such column')")
    toast = page.get_by_role("alert").filter(has_text=f"Job {ref} brief: Failed")
    expect(toast).to_contain_text("no such column", timeout=PATIENCE_MS)
    toast.get_by_role("button", name="Show log").click()
    expect(panel.shown_log(ref)).to_contain_text("ValueError", timeout=PATIENCE_MS)


def test_sidebar_log_shows_what_the_job_displayed_and_runs_none_of_it(
    open_lab: Callable[[], None], page: Any, panel: Panel, box: AgentProcess
) -> None:
    script = "<script>try { parent.hacked = 1 } catch {} hacked = 1</script>"
    source = "\n".join(
        (
            "import sys", PLOT,
            f"{SHOW}display(HTML('<table><tr><td onclick=\"hacked=1\">cell</td></tr></table>'))",
            f"{SHOW}display(HTML({script + 'framed'!r}))",
            "print('<img src=x onerror=hacked=1>')",
        )
    )  # fmt: skip
    ref = submit(box, source, name="<b onmouseover=hacked=1>bold</b>")
    wait_ended(box.client(), number(ref))
    open_lab()
    panel.open()
    expect(panel.job(ref)).to_contain_text("<b onmouseover=hacked=1>bold</b>", timeout=PATIENCE_MS)
    log = panel.log(ref)
    plot = log.locator(".display > img")
    expect(plot).to_be_visible(timeout=PATIENCE_MS)
    assert plot.evaluate("image => image.naturalWidth") > 0
    cell = log.locator(".display td")
    expect(cell).to_have_text("cell")
    assert cell.get_attribute("onclick") is None
    assert log.locator(".display iframe").get_attribute("sandbox") == "allow-scripts"
    expect(log).to_contain_text("<img src=x onerror=hacked=1>")
    assert page.evaluate("() => window.hacked") is None


def test_sidebar_tells_several_ends_in_one_notification(
    open_lab: Callable[[], None], page: Any, panel: Panel, box: AgentProcess, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    source = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)"
    refs = [submit(box, source, name=f"part-{n}") for n in range(2)]
    open_lab()
    panel.open()
    for ref in refs:
        expect(panel.job(ref)).to_contain_text("Running", timeout=PATIENCE_MS)
    go.touch()
    toast = page.get_by_role("alert").filter(has_text="part-")
    expect(toast).to_contain_text("2 jobs have ended.", timeout=PATIENCE_MS)
    for n, ref in enumerate(refs):
        expect(toast).to_contain_text(f"Job {ref} part-{n}: Finished")
    expect(toast).to_have_count(1)


def test_sidebar_log_is_searched_beyond_what_the_page_holds(
    open_lab: Callable[[], None], panel: Panel, box: AgentProcess
) -> None:
    ref = submit(box, "for n in range(30_000): print('line', n, 'of many')", name="long")
    wait_ended(box.client(), number(ref))
    open_lab()
    panel.open()
    expect(panel.job(ref)).to_be_visible(timeout=PATIENCE_MS)
    log = panel.log(ref)
    expect(log).to_contain_text("line 29999", timeout=PATIENCE_MS)
    log.get_by_label("Search in this log").fill("line 1234 of")
    expect(log).to_contain_text("not found")
    log.get_by_role("button", name="Search all of it").click()
    found = log.get_by_role("region", name="Found in the whole log")
    expect(found).to_contain_text("In the whole log: 1 line found", timeout=PATIENCE_MS)
    found.get_by_role("button", name="stdout 1235").click()
    expect(log.locator(".mlmagics-lines").get_by_text("line 1234 of many")).to_be_in_viewport(
        timeout=PATIENCE_MS
    )
    expect(log).to_contain_text("1 of 1")
    log.get_by_role("button", name="Show its end").click()
    expect(log.locator(".mlmagics-lines").get_by_text("line 29999 of many")).to_be_in_viewport(
        timeout=PATIENCE_MS
    )


def test_sidebar_can_be_used_with_the_keyboard_only(
    open_lab: Callable[[], None], page: Any, panel: Panel, box: AgentProcess
) -> None:
    client = box.client()
    # listed first is what goes on, such as what other tests have left, and then what has ended last
    for job in client.jobs(states=ACTIVE).jobs:
        client.cancel(job.job_id)
        wait_ended(client, job.job_id)
    first = submit(box, "for n in range(30): print('line', n)", name="first")
    wait_ended(client, number(first))
    second = submit(box, "print('other')", name="second")
    wait_ended(client, number(second))
    open_lab()
    panel.command("Show clusters, jobs and git")
    expect(panel.job(second)).to_be_visible(timeout=PATIENCE_MS)
    until(lambda: tabbed_to(page, panel.job(second)))
    page.keyboard.press("ArrowDown")
    expect(panel.job(first)).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    expect(panel.job(second)).to_be_focused()
    page.keyboard.press("Shift+F10")
    menu = page.get_by_role("menu")
    expect(menu).to_contain_text("Copy the command that shows the log")
    page.keyboard.press("Escape")
    panel.job(first).focus()
    page.keyboard.press("Enter")
    log = panel.shown_log(first)
    box_ = log.get_by_role("region", name=f"Log of {first}")
    expect(box_).to_contain_text("line 29", timeout=PATIENCE_MS)
    expect(box_).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("line 1")
    expect(log).to_contain_text("11 found")
    page.keyboard.press("Enter")
    expect(log).to_contain_text(re.compile(r"\d+ of 11"))


def tabbed_to(page: Any, row: Any) -> bool:
    page.keyboard.press("Tab")
    return bool(row.evaluate("row => row === document.activeElement"))


def test_sidebar_runs_a_job_again_and_copies_how_to_come_back(
    open_lab: Callable[[], None], page: Any, panel: Panel, box: AgentProcess
) -> None:
    ref = submit(box, "print('again')", name="repeat")
    wait_ended(box.client(), number(ref))
    open_lab()
    panel.open()
    row = panel.job(ref)
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    panel.choose(row, "Copy the command")
    until(lambda: page.evaluate("() => navigator.clipboard.readText()") == f"%logs {ref}")
    panel.choose(row, "Copy the history URL")
    url = f"{box.url}/history/{number(ref)}"
    until(lambda: page.evaluate("() => navigator.clipboard.readText()") == url)
    panel.choose(row, "Run the job again")
    expect(page.get_by_role("alert").filter(has_text=f"it runs the cell of {ref}")).to_be_visible()
    again = until(
        lambda: [job for job in box.client().jobs(name="repeat").jobs if job.retry_of == number(ref)]
    )
    expect(panel.job(f"gpu-box/{again[0].job_id}")).to_contain_text("Finished", timeout=PATIENCE_MS)


def test_sidebar_can_be_read_in_every_theme(
    open_notebook: Callable[..., Notebook], panel: Panel, page: Any, box: AgentProcess
) -> None:
    ref = submit(box, f"{METRICS}\n{COLOURS}\n1 / 0", name="colours")
    wait_ended(box.client(), number(ref))
    notebook = open_notebook()
    panel.open()
    expect(panel.job(ref)).to_contain_text("ZeroDivisionError", timeout=PATIENCE_MS)
    log = panel.log(ref)
    expect(log).to_contain_text("division by zero", timeout=PATIENCE_MS)
    expect(log.get_by_role("img", name="loss by step")).to_be_visible(timeout=PATIENCE_MS)
    for theme in THEMES:
        notebook.show_in(theme)
        assert panel.node.evaluate(CONTRAST) == [], theme
        assert log.locator(".mlmagics-log").evaluate(CONTRAST) == [], theme


def test_sidebar_says_what_to_do_when_the_server_has_no_part_of_it(
    bare_jupyter: JupyterLab, page: Any, panel: Panel
) -> None:
    bare_jupyter.open(page, [""])
    panel.open()
    expect(panel.node).to_contain_text('Install it where the server runs, pip install "mlmagics[lab]"')
    expect(panel.node.get_by_role("button", name="Try again")).to_be_visible()
