"""What the history page offers beside the log itself: search, keys, progress, charts, results, print."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from history_page import enter, expect, lines, state, until

from mlmagics.display.chart import charts, metric, number
from mlmagics.display.progress import ProgressReader
from mlmagics.display.series import Metrics

pytestmark = pytest.mark.browser

MARKED = "[...CSS.highlights].map(([name, ranges]) => [name, [...ranges].map(String)])"
GIB = 2**30


def marked(page: Any) -> dict[str, list[str]]:
    """The texts that are marked as found, and the current one."""
    return dict(page.evaluate(MARKED))


# ---- search ----


def test_search_marks_counts_and_goes_around(agent: Any, page: Any, script: Any) -> None:
    for row in range(400):
        script.out(f"row {row} \x1b[31mer\x1b[32mror\x1b[0m\n" if row % 100 == 5 else f"row {row}\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("row 399")
    page.keyboard.press("/")
    page.keyboard.type("ERROR")
    expect(page.locator("#find-count")).to_have_text("4 found")
    assert marked(page)["found"] == ["error"] * 4
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#find-count")).to_have_text("4 of 4")
    expect(page.get_by_text("row 305 error")).to_be_in_viewport(ratio=1)
    expect(page.get_by_label("Follow")).not_to_be_checked()
    assert marked(page) == {"found": ["error"] * 3, "current": ["error"]}
    page.keyboard.press("Enter")
    expect(page.locator("#find-count")).to_have_text("1 of 4")
    expect(page.get_by_text("row 5 error")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#find-count")).to_have_text("4 of 4")
    expect(page.locator("#said")).to_have_text("4 of 4")
    page.locator("#log-box").focus()
    page.keyboard.press("N")
    expect(page.locator("#find-count")).to_have_text("3 of 4")
    page.keyboard.press("n")
    expect(page.locator("#find-count")).to_have_text("4 of 4")
    script.out("one more error\n")
    expect(page.locator("#find-count")).to_have_text("4 of 5")
    page.get_by_label("Search in the log").fill("not there")
    expect(page.locator("#find-count")).to_have_text("not found")
    page.get_by_label("Search in the log").press("Escape")
    expect(page.locator("#log-box")).to_be_focused()
    assert marked(page) == {"found": [], "current": []}


def test_the_whole_log_can_be_searched_and_each_place_shown(agent: Any, page: Any, script: Any) -> None:
    for row in range(6000):
        script.out(f"row {row:05d}\n" if row % 1000 else f"\x1b[33mneedle\x1b[0m {row}\r\n")
    script.add("error", ename="KeyError", evalue="needle", traceback=["\x1b[31mKeyError\x1b[39m: needle"])
    script.end("failed", exit_code=1)
    enter(page, agent)
    expect(page.locator("#log .error")).to_be_visible()
    page.get_by_label("Search in the log").fill("Needle")
    expect(page.locator("#find-count")).to_have_text("2 found")
    page.get_by_role("button", name="Search the whole log").click()
    expect(page.locator("#hits-state")).to_have_text("In the whole log: 7 lines found")
    hits = page.locator("#hits-list button")
    assert hits.all_text_contents() == [
        *(f"stdout {number + 1:,}needle {number}" for number in range(0, 6000, 1000)),
        "errorKeyError: needle",
    ]
    hits.nth(2).click()
    expect(page.get_by_text("needle 2000", exact=True)).to_have_count(2)
    until(page, "CSS.highlights.get('current')?.size === 1")
    expect(page.locator("#log").get_by_text("needle 2000")).to_be_in_viewport(ratio=1)
    assert lines(page)[0] == "row 01960"
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#hits")).to_be_hidden()
    page.get_by_role("button", name="Jump to end").click()
    expect(page.locator("#log .error")).to_be_in_viewport()


def test_a_log_that_is_shown_whole_offers_no_other_search(agent: Any, page: Any, script: Any) -> None:
    script.out("all of it\n")
    enter(page, agent)
    page.get_by_label("Search in the log").fill("all")
    expect(page.locator("#find-count")).to_have_text("1 found")
    expect(page.get_by_role("button", name="Search the whole log")).to_be_hidden()


# ---- keys and switches ----


def test_follow_and_wrap_can_be_switched(agent: Any, page: Any, script: Any) -> None:
    for row in range(100):
        script.out(f"row {row}\n")
    script.out("wide " * 200 + "\n")
    enter(page, agent)
    expect(page.get_by_label("Follow")).to_be_checked()
    page.keyboard.press("f")
    box = page.locator("#log-box")
    top = box.evaluate("node => node.scrollTop")
    script.out("more\n")
    expect(page.locator("#log > .line").last).to_have_text("more")
    assert box.evaluate("node => node.scrollTop") == top
    page.get_by_label("Follow").check()
    expect(page.get_by_text("more", exact=True)).to_be_in_viewport(ratio=1)
    page.keyboard.press("w")
    expect(page.get_by_label("Wrap lines")).not_to_be_checked()
    assert box.evaluate("node => node.scrollWidth > node.clientWidth")
    page.keyboard.press("g")
    expect(page.get_by_text("row 0", exact=True)).to_be_in_viewport()
    page.keyboard.press("G")
    expect(page.get_by_label("Follow")).to_be_checked()


def test_the_keys_are_listed_and_can_be_switched_off(agent: Any, page: Any) -> None:
    enter(page, agent)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("search in the log")
    page.keyboard.press("w")
    expect(page.get_by_label("Wrap lines")).to_be_checked()
    dialog.get_by_label("Single keys do this").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("w")
    page.keyboard.press("?")
    expect(page.get_by_label("Wrap lines")).to_be_checked()
    expect(dialog).to_be_hidden()
    page.reload()
    page.get_by_role("button", name="Keys").click()
    expect(dialog.get_by_label("Single keys do this")).not_to_be_checked()


def test_the_page_can_be_used_by_keyboard_alone(agent: Any, page: Any, script: Any) -> None:
    script.out("one\n")
    enter(page, agent)
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    for name in ("copy-url", "Cell 2 lines", "find", "follow", "save-stdout", "log-box", "all-jobs"):
        assert name in names
    page.keyboard.press("e")
    expect(page.locator("#source")).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator("#spec-list")).to_be_visible()


# ---- the job ----


def test_the_command_is_short_for_the_one_who_submitted(agent: Any, new_page: Any, script: Any) -> None:
    script.job["cluster"] = "gpu-box"
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    with page.expect_response("**/v1/info"):
        enter(page, agent)
    page.get_by_role("button", name="Copy command").click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "%logs gpu-box/42"
    page.keyboard.press("c")
    expect(page.locator("#said")).to_have_text("Copied: %logs gpu-box/42")
    script.job["user"] = "grace"
    with page.expect_response("**/v1/info"):
        page.reload()
    page.get_by_role("button", name="Copy command").click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "%logs --url https://gpu-box:8900/history/42"


def test_what_was_asked_for_and_when_it_starts_and_ends(agent: Any, page: Any, script: Any) -> None:
    script.job |= {"state": "queued", "started_at": None, "deadline_at": None, "position": 2}
    script.job |= {"waiting_for": "needs 2 GPUs, 1 free", "starts_by": script.job["submitted_at"] + 3600}
    script.job |= {"grace_s": 60, "priority": "low", "env_names": ["HF_TOKEN"], "fetch": ["model", "rmse"]}
    script.job |= {
        "runtime": "dl",
        "packages": ["rich>=13", "polars"],
        "environment": "3f2a9c",
        "params": {"lr": "0.1"},
    }
    enter(page, agent)
    expect(page.locator("#reason")).to_have_text(
        re.compile(r"^Place 2 in the queue: needs 2 GPUs, 1 free\. Starts by .*\d\d:\d\d:\d\d\.$")
    )
    page.get_by_text("Spec what was asked for").click()
    told = page.locator("#spec-list").inner_text()
    for part in (
        "Grace\n1 min",
        "low",
        "HF_TOKEN (values are not shown)",
        "model, rmse",
        "Runtime\ndl",
        "Packages\nrich>=13, polars",
        "Environment\n3f2a9c",
        "Constants\nlr = 0.1",
        "CPUs\n8",
        "64 GiB",
    ):
        assert part in told
    now = script.job["submitted_at"] + 100
    script.job |= {"state": "running", "position": None, "started_at": now, "deadline_at": now + 14400}
    script.add("started", pid=7)
    expect(page.locator("#facts")).to_contain_text(re.compile(r"4 h, until .*, 3 h 59 min left|, 4 h left"))


def test_progress_is_a_bar_with_words_while_the_job_runs(agent: Any, page: Any, script: Any) -> None:
    script.out("\rtrain:  25%|##5       | 50/200 [00:10<00:30,  5.00it/s]", "stderr")
    enter(page, agent)
    bar = page.get_by_role("progressbar", name="Progress of the job")
    expect(bar).to_have_attribute("aria-valuenow", "25")
    expect(page.locator("#progress")).to_have_text("train: 25 %, 50 of 200, 30 s left")
    expect(bar).to_have_attribute("aria-valuetext", "train: 25 %, 50 of 200, 30 s left")
    script.out("\rtrain:  99%|#########9| 198/200 [00:39<00:00,  5.00it/s]", "stderr")
    expect(bar).to_have_attribute("aria-valuenow", "99")
    script.end(exit_code=0)
    state(page, "Finished")
    expect(page.locator("#progress")).to_be_hidden()


def test_results_and_files_can_be_downloaded(agent: Any, page: Any, script: Any) -> None:
    script.add("result", name="rmse", kind="float", format="json", size=18, sha256="a" * 64)
    script.add("result", name="model", kind="Booster", reason="a Booster has no plain form")
    script.add("file", path="plots/of loss.png", size=9, sha256="b" * 64)
    script.add("file", path="../cancel", size=9, sha256="b" * 64)
    script.end(exit_code=0)
    enter(page, agent)
    page.get_by_text("Results 2 results").click()
    items = page.locator("#result-list li").all_text_contents()
    assert items == ["rmse float, 18 B", "model not kept: a Booster has no plain form"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="rmse").click()
    assert saved.value.suggested_filename == "rmse.json"
    assert Path(saved.value.path()).read_text() == "results rmse"
    page.get_by_text("Files 2 files").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="plots/of loss.png").click()
    assert saved.value.suggested_filename == "of loss.png"
    assert Path(saved.value.path()).read_text() == "files plots/of loss.png"
    assert page.locator("#file-list button").count() == 1


def test_results_that_the_shown_part_of_the_log_lacks_come_from_the_list(
    agent: Any, page: Any, script: Any
) -> None:
    script.results.append({"name": "late", "kind": "int", "format": "json", "size": 1, "sha256": "a" * 64})
    script.files.append({"path": "left.txt", "type": "file", "size": 6})
    for row in range(2100):
        script.out(f"row {row}\n")
    script.end(exit_code=0)
    enter(page, agent)
    expect(page.locator("#result-list")).to_have_text("late int, 1 B")
    expect(page.locator("#file-list")).to_have_text("left.txt 6 B")


# ---- charts ----


def test_metrics_are_drawn_with_words_and_tables(agent: Any, page: Any, script: Any) -> None:
    for step in range(30):
        script.out(f"[{step}]\ttrain-rmse:{3 / (step + 1):.5f}\tvalidation-rmse:{4 / (step + 1):.5f}\n")
        script.add("metric", values={"loss": 1 / (step + 1), "lr": "nan" if step == 3 else 0.1}, step=step)
    enter(page, agent)
    panels = page.locator("#metric-charts .chart")
    expect(panels).to_have_count(3)
    assert panels.locator("figcaption").all_text_contents() == ["rmse", "loss", "lr"]
    rmse = panels.first.get_by_role("img", name="rmse by round.")
    expect(rmse).to_be_visible()
    assert rmse.locator("path").count() == 2
    first = panels.first.locator("table").first.locator("tbody tr").first
    expect(first).to_have_text(re.compile(r"^ train-rmse0\.10\.1 at 293 at 0$"))
    expect(panels.nth(2)).to_contain_text("0.1 (1 not finite)")
    assert panels.nth(2).locator(".plot path").get_attribute("d").count("M") == 2
    panels.first.get_by_text("Values").click()
    rows = panels.first.locator(".values tbody tr")
    expect(rows).to_have_count(30)
    script.out("[30]\ttrain-rmse:0.05\tvalidation-rmse:0.06\n")
    expect(rows).to_have_count(31)
    drawing = rmse.bounding_box()
    page.mouse.move(drawing["x"] + drawing["width"] - 2, drawing["y"] + 20)
    expect(panels.first.locator(".readout")).to_have_text("round 30: train-rmse 0.05, validation-rmse 0.06")


def test_charts_begin_where_the_log_begins(agent: Any, page: Any, script: Any) -> None:
    for step in range(3000):
        script.add("metric", values={"loss": 5 - step / 1000}, step=step)
        script.out(f"step {step}\n")
    enter(page, agent)
    expect(page.locator("#earlier")).to_be_visible()
    chart = page.locator("#metric-charts .chart")
    expect(chart.locator("tbody tr").first).to_contain_text("5 at 0")
    expect(chart.locator("tbody tr").first).to_contain_text("2.001")
    page.get_by_role("button", name="Read from the start").click()
    expect(page.locator("#log > .line").first).to_have_text("step 0")
    script.add("metric", values={"loss": 1.5}, step=3000)
    page.get_by_role("button", name="Jump to end").click()
    expect(chart.locator("tbody tr").first).to_contain_text("1.5 at 3000")
    assert chart.locator(".plot path").get_attribute("d").count("M") == 1


def test_use_of_the_box_is_drawn(agent: Any, page: Any, script: Any) -> None:
    for second in range(1, 20):
        gpus = [
            {"id": f"GPU-{n}", "percent": 90 + n, "memory_bytes": 31 * GIB, "memory_total_bytes": 80 * GIB}
            for n in range(2)
        ]
        script.add("sample", values={"cpus": 1.93, "memory_bytes": second * GIB, "gpus": gpus})
    enter(page, agent)
    panels = page.locator("#use-charts .chart")
    expect(panels).to_have_count(4)
    assert panels.locator("figcaption").all_text_contents() == [
        "GPU busy",
        "GPU memory",
        "CPUs in use",
        "Memory",
    ]
    assert panels.first.locator("tbody th").all_text_contents() == [" GPU 1", " GPU 2"]
    assert "80 GiB" in panels.nth(1).locator(".ends").inner_text()
    assert panels.nth(3).locator(".ends span").all_text_contents() == ["64 GiB", "0 B"]
    assert "19 GiB at 19 s" in panels.nth(3).inner_text().replace("\n", " ")


LINES = [
    "train:  62%|######2   | 620/1000 [00:10<00:06, 61.30it/s]",
    " 12%|█▏        | 1.20k/10.0k [00:01<00:07, 1.18kit/s]",
    "download: 3.81MB [00:01, 2.4MB/s]",
    "12/100 [==>...........] - ETA: 3s - loss: 0.4",
    "  12/100 ━━━━━━━━━━━━━━━━━━━━ 3s 5ms/step - loss: 0.3",
    "Working ━━━━━━━━━━━━━━━━━━━━━━━━━  62% 0:00:12",
    "   ━━━━━━━━━━━━━━ 5.2/8.3 MB 1.1 MB/s eta 0:00:03",
    " 62%|#####    | of my own",
    "Progress: 12.5 %",
    "Epoch 3/10",
    "step 300 of 1000, loss 0.3",
    "100%|##########| 10/10 [00:01<00:00,  9.9it/s]",
    "200%|##########| 20/10 [00:01<00:00,  9.9it/s]",
    "accuracy 93% of the time",
    "2026/01/02 10:00:00 nothing",
]
FEEDS = [
    ["Epoch 1/2\n", "\r  0%|          | 0/8 [00:00<?, ?it/s]", "\r 50%|#####     | 4/8 [00:02<00:02, 2it/s]"],
    [
        "outer:  25%|##5       | 1/4 [00:01<00:03, 1s/it]\n",
        "\rinner:  50%|#####     | 1/2 [00:00<00:00, 9it/s]\x1b[A",
        "\nouter:  50%|#####     | 2/4 [00:01<00:03, 1s/it]\n",
    ],
    [line + "\n" for line in LINES],
]


def test_progress_is_read_as_the_card_reads_it(agent: Any, page: Any) -> None:
    def told(reader: ProgressReader) -> list[Any]:
        bar = reader.current
        return [bar.text, bar.percent, bar.fraction] if bar else [None, None, None]

    def python(texts: list[str]) -> list[Any]:
        reader = ProgressReader()
        return [[reader.feed(text), *told(reader)] for text in texts]

    feeds = [*FEEDS, *([line] for line in LINES)]
    page.goto(agent.page)
    script = """async (feeds) => {
      const { ProgressReader } = await import("/static/progress.js");
      return feeds.map((texts) => {
        const reader = new ProgressReader();
        return texts.map((text) => {
          const told = reader.feed(text);
          const bar = reader.current;
          return [told, bar?.text ?? null, bar?.percent ?? null, bar?.fraction ?? null];
        });
      });
    }"""
    for texts, shown in zip(feeds, page.evaluate(script, feeds), strict=True):
        assert shown == python(texts), texts


SCORES = [
    "[0]\ttrain-rmse:0.45\tvalidation-rmse:0.5",
    "[1]\ttrain-rmse:0.41+0.01\tvalidation-rmse:nan",
    "[2]\tvalid_0's l2: 0.3\tvalid_0's auc: 1e-05",
    "[3]\tcv_agg's valid l2: 0.3 + 0.01",
    "[4] no tab",
    "[5]\tnot a score",
    "{'loss': 0.5, 'grad_norm': 1.5, 'epoch': 0.25}",
    "{'eval_loss': '0.4', 'eval_runtime': 3.0, 'epoch': 0.5}",
    "{'no': 'epoch here', 'loss': 3}",
]


def test_metrics_are_read_and_grouped_as_the_card_does(agent: Any, page: Any) -> None:
    metrics = Metrics()
    for line in SCORES:
        metrics.read_line(line)
    for step in range(3000):
        metrics.add({"wave": math.sin(step / 50)}, None)
    traces = metrics.traces()
    page.goto(agent.page)
    script = """async (lines) => {
      const { Metrics } = await import("/static/series.js");
      const { grouped, metricOf } = await import("/static/charts.js");
      const { figure } = await import("/static/chart.js");
      const metrics = new Metrics();
      for (const line of lines) metrics.readLine(line);
      for (let step = 0; step < 3000; step += 1) metrics.add({ wave: Math.sin(step / 50) }, null);
      return [
        metrics.all.map((one) => [one.name, one.axis, one.count, one.notFinite, one.points.map(({ step, gap }) => [step, gap])]),
        grouped(metrics.all).map(({ title, group }) => [title, group.map(({ name }) => name)]),
        ["train-rmse", "valid_0's l2", "val_loss", "test", "loss/train"].map(metricOf),
        [0, 3, 12345678, 0.123456, 1234.5678, 12345.678, 0.000012345, -1.5, 100, 99999.5].map(figure),
      ];
    }"""
    series, groups, names, figures = page.evaluate(script, SCORES)
    assert series == [
        [
            trace.name,
            trace.axis,
            trace.count,
            trace.not_finite,
            [[point.step, point.gap] for point in trace.points],
        ]
        for trace in traces
    ]
    assert groups == [[chart.title, [trace.name for trace in chart.traces]] for chart in charts(traces)]
    assert names == [
        metric(name) for name in ("train-rmse", "valid_0's l2", "val_loss", "test", "loss/train")
    ]
    values = (0, 3, 12345678, 0.123456, 1234.5678, 12345.678, 0.000012345, -1.5, 100, 99999.5)
    assert figures == [number(value) for value in values]


# ---- looks ----


def test_on_paper_all_lines_are_there_and_no_buttons(agent: Any, page: Any, script: Any) -> None:
    for row in range(300):
        script.out(f"row {row}\n")
    enter(page, agent)
    expect(page.locator("#log > .line")).to_have_count(300)
    page.emulate_media(media="print", color_scheme="dark")
    box = page.locator("#log-box")
    assert box.evaluate("node => node.scrollHeight === node.clientHeight")
    assert page.locator("button:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_with_forced_colours_nothing_is_told_by_colour_alone(agent: Any, new_page: Any, script: Any) -> None:
    script.out("to stderr\n", "stderr")
    script.out("\r50%|#####     | 1/2 [00:01<00:01, 1it/s]", "stderr")
    script.add("metric", values={"train_loss": 1.0, "val_loss": 2.0}, step=1)
    script.add("metric", values={"train_loss": 2.0, "val_loss": 1.0}, step=2)
    page = new_page(forced_colors="active")
    enter(page, agent)
    assert (
        page.locator(".line.stderr").first.evaluate("node => getComputedStyle(node).borderLeftWidth") == "3px"
    )
    paths = page.locator("#metric-charts .plot path")
    expect(paths).to_have_count(2)
    dashes = paths.evaluate_all("paths => paths.map((path) => getComputedStyle(path).strokeDasharray)")
    assert len(set(dashes)) == 2
    fill, ground = (
        page.locator(f"#progress {part}").evaluate("node => getComputedStyle(node).backgroundColor")
        for part in (".fill", ".track")
    )
    assert fill != ground
    assert json.loads(page.evaluate("JSON.stringify(document.querySelector('#state-word').textContent)"))
