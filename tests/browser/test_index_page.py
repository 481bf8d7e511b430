"""The agent's own page in a real browser: what the box has and its jobs."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from history_page import NETWORK, expect, state

pytestmark = pytest.mark.browser

GIB = 2**30
REASONS = {
    "succeeded": None,
    "failed": "ValueError: no rows",
    "cancelled": "cancelled by ada",
    "timed_out": "its time limit of 2 h was reached",
    "lost": "the machine went down while it ran",
}


def job(job_id: int, state: str, user: str = "ada", **fields: Any) -> dict[str, Any]:
    now = time.time()
    known = {"job_id": job_id, "name": f"job of {user}", "user": user, "project": "default", "state": state}
    known |= {"submitted_at": now - 5000, "started_at": None, "ended_at": None}
    if state == "running":
        known |= {"started_at": now - 3700, "deadline_at": now + 9000}
    elif state != "queued":
        known |= {"started_at": now - 4000, "ended_at": now - 3000 + job_id, "reason": REASONS[state]}
    return known | {"gpus": 1, "cpus": 8, "memory_bytes": 64 * GIB, "priority": "normal"} | fields


@pytest.fixture
def box(script: Any) -> Any:
    """The script of a box with two running jobs, two that wait and some that have ended."""
    script.info = {
        "user": "ada",
        "version": "0.1.0",
        "uptime_s": 266_500,
        "running": 2,
        "queued": 2,
        "gpus": 4,
        "gpus_free": 1,
        "gpu_names": ["NVIDIA H100"] * 4,
        "cpus": 64,
        "cpus_free": 24,
        "memory_bytes": 512 * GIB,
        "memory_free_bytes": 200 * GIB,
        "contact": "ops@example.org",
        "survives_restart": True,
        "limits": {"gpus": 2, "jobs": None},
        "kept_bytes": 3 * GIB,
        "disk_free_bytes": 900 * GIB,
    }
    waits = {"waiting_for": "needs 4 GPUs", "starts_by": time.time() + 9000}
    script.jobs = [
        job(50, "running", name="train taxi"),
        job(51, "running", "grace", name="tune"),
        job(60, "queued", "grace", name="sweep", gpus=4, position=1, **waits),
        job(61, "queued", position=2, waiting_for="behind job 60", priority="low"),
        *(job(20 + number, state) for number, state in enumerate(REASONS)),
    ]
    return script


def enter(page: Any, agent: Any, token: str = "secret-token") -> None:
    page.goto(agent.url + "/")
    page.get_by_label("Token of this agent").fill(token)
    page.get_by_role("button", name="Show the jobs").click()
    expect(page.locator("#board")).to_be_visible()
    expect(page.locator("#list tbody a").first).to_be_attached()


def listed(page: Any) -> list[str]:
    """What the rows tell, without what changes with the time."""
    rows = page.locator("#list tbody:not([hidden]) tr").all()
    texts = [" | ".join(row.locator("th, td").all_inner_texts()) for row in rows]
    return [re.sub(r"(?:\w+,? \d+ \w+, )?\d\d:\d\d:\d\d", "@", text) for text in texts]


def numbers(page: Any) -> list[str]:
    return [text.split()[0] for text in page.locator("#list tbody:not([hidden]) a").all_inner_texts()]


def test_without_a_token_the_page_tells_nothing(agent: Any, page: Any, box: Any) -> None:
    page.goto(agent.url + "/")
    expect(page.locator("#entry")).to_contain_text("It needs to know who you are first.")
    expect(page.locator("#board")).to_be_hidden()
    assert page.title() == "Jobs"
    assert box.asked("GET", "/v1/") == []


def test_a_wrong_token_is_told_and_not_kept(agent: Any, page: Any, box: Any) -> None:
    page.expected.append(NETWORK)
    page.goto(agent.url + "/")
    page.get_by_label("Token of this agent").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_label("Token of this agent").fill("secret-token")
    page.keyboard.press("Enter")
    expect(page.locator("#board")).to_be_visible()
    page.reload()
    expect(page.locator("#board")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    page.get_by_role("button", name="Forget the token in this tab").click()
    expect(page.locator("#entry")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_box_and_all_jobs_in_their_order(agent: Any, page: Any, box: Any) -> None:
    enter(page, agent)
    for name, used, most, text in [
        ("GPUs", "3", "4", "1 of 4 free"),
        ("CPUs", "40", "64", "24 of 64 free"),
        ("Memory", str(312 * GIB), str(512 * GIB), "200 GiB of 512 GiB free"),
    ]:
        meter = page.get_by_role("meter", name=f"{name} in use")
        expect(meter).to_have_attribute("aria-valuenow", used)
        expect(meter).to_have_attribute("aria-valuemax", most)
        expect(meter).to_have_attribute("aria-valuetext", text)
    expect(page.locator("#meters")).to_contain_text(re.compile("4 . NVIDIA H100"))
    expect(page.locator("#counts")).to_have_text(
        "2 jobs running, 2 queued; disk 900 GiB free, ended jobs take 3 GiB; you have at most 2 GPUs at once"
    )
    expect(page.locator("#version")).to_have_text("cluster-agent 0.1.0, up 3 d 2 h")
    expect(page.locator("#contact")).to_have_text("Questions about this box: ops@example.org")
    expect(page.locator("#who")).to_have_text("ada (admin)")
    given = "8 CPUs, 64 GiB"
    assert listed(page) == [
        "Running 2",
        f"51 tune | Running | grace | 1 GPU, {given} | runs 1 h 1 min | until @ at most",
        f"50 train taxi | Running | ada | 1 GPU, {given} | runs 1 h 1 min | until @ at most",
        "Queue 2",
        f"60 sweep | Queued | grace | 4 GPUs, {given} | waits 1 h 23 min | place 1; needs 4 GPUs; starts by @",
        f"61 job of ada | Queued | ada | 1 GPU, {given} | waits 1 h 23 min | place 2; behind job 60; low priority",
        "Ended 5",
        f"24 job of ada | Lost | ada | 1 GPU, {given} | ran 17 min 4 s | @; the machine went down while it ran",
        f"23 job of ada | Timed out | ada | 1 GPU, {given} | ran 17 min 3 s | @; its time limit of 2 h was reached",
        f"22 job of ada | Cancelled | ada | 1 GPU, {given} | ran 17 min 2 s | @; cancelled by ada",
        f"21 job of ada | Failed | ada | 1 GPU, {given} | ran 17 min 1 s | @; ValueError: no rows",
        f"20 job of ada | Finished | ada | 1 GPU, {given} | ran 17 min | @",
    ]
    assert page.title() == f"2 running, 2 queued · {agent.url.removeprefix('http://')}"


def test_jobs_are_filtered_by_text_state_and_person(agent: Any, page: Any, box: Any) -> None:
    enter(page, agent)
    page.keyboard.press("/")
    page.keyboard.type("GRACE")
    assert numbers(page) == ["51", "60"]
    expect(page.locator("#shown")).to_have_text("2 of 9 jobs")
    page.get_by_label("Show jobs with this").fill("nobody")
    expect(page.locator("#empty")).to_have_text("No job fits the filter.")
    page.get_by_label("Show jobs with this").press("Escape")
    assert len(numbers(page)) == 9
    page.get_by_label("State").select_option("Failed")
    assert numbers(page) == ["21"]
    page.get_by_label("State").select_option("any")
    page.keyboard.press("a")
    assert numbers(page) == ["51", "50", "60", "61"]
    page.keyboard.press("m")
    expect(page.get_by_label("Mine only")).to_be_checked()
    expect(page.locator("#list tbody:not([hidden]) a")).to_have_count(2)
    assert numbers(page) == ["50", "61"]
    expect(page.locator("#others")).to_have_text("2 more that run or wait here are not yours.")


def test_a_user_sees_only_what_is_theirs(agent: Any, page: Any, box: Any) -> None:
    box.role = "user"
    enter(page, agent)
    assert numbers(page)[:2] == ["50", "61"]
    expect(page.get_by_label("Mine only")).to_be_hidden()
    expect(page.locator("#others")).to_have_text("2 more that run or wait here are not yours.")


def test_the_page_keeps_itself_up_to_date(agent: Any, page: Any, box: Any) -> None:
    enter(page, agent)
    page.get_by_role("link", name="61 job of ada").focus()
    box.jobs[3] |= {"state": "running", "position": None, "waiting_for": None, "started_at": time.time()}
    box.jobs[0] |= {"state": "succeeded", "ended_at": time.time(), "seconds": 3700.0}
    box.info |= {"gpus_free": 0, "queued": 1}
    expect(page.locator("#counts")).to_contain_text("2 jobs running, 1 queued")
    assert numbers(page)[:4] == ["61", "51", "60", "50"]
    expect(page.get_by_role("link", name="61 job of ada")).to_be_focused()
    expect(page.get_by_role("meter", name="GPUs in use")).to_have_attribute("aria-valuetext", "0 of 4 free")
    box.info |= {"draining": True, "drain_until": time.time() + 60, "drain_message": "new driver"}
    box.info |= {"remark": "the agent's disk refuses to write: no space"}
    expect(page.locator("#remark")).to_have_text("the agent's disk refuses to write: no space")
    told = re.compile(r"^No job starts until .*\d\d:\d\d:\d\d: the box is being drained\. new driver$")
    expect(page.locator("#draining")).to_have_text(told)


def test_an_agent_that_is_away_is_told_with_the_time(agent: Any, page: Any, box: Any) -> None:
    page.expected += ["net::ERR", NETWORK]
    enter(page, agent)
    box.away = True
    expect(page.locator("#trouble")).to_contain_text("The agent does not answer")
    expect(page.locator("#as-of")).to_have_text(re.compile(r"as of \d\d:\d\d:\d\d"))
    assert numbers(page)[0] == "51"
    box.jobs[0] |= {"state": "failed", "ended_at": time.time(), "reason": "meanwhile"}
    box.away = False
    expect(page.locator("#list")).to_contain_text("meanwhile")
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("#as-of")).to_have_text("")
    box.token = "another"
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    expect(page.locator("#board")).to_be_hidden()


def test_a_job_is_opened_by_keyboard_with_the_same_token(agent: Any, page: Any, box: Any) -> None:
    box.jobs.append(box.job | {"job_id": 42})
    enter(page, agent)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="42 train taxi")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("train taxi")
    state(page, "Running")
    page.get_by_role("link", name="All jobs").click()
    expect(page.get_by_role("link", name="42 train taxi")).to_be_visible()


def test_older_jobs_come_when_asked_for(agent: Any, page: Any, box: Any) -> None:
    box.jobs = [job(number, "succeeded") for number in range(1, 121)]
    enter(page, agent)
    assert len(numbers(page)) == 50
    older = page.get_by_role("button", name="Show older jobs")
    older.click()
    expect(page.locator("#list tbody a")).to_have_count(100)
    older.click()
    expect(page.locator("#list tbody a")).to_have_count(120)
    expect(older).to_be_hidden()
    page.keyboard.press("r")
    box.jobs += [job(number, "failed") for number in range(121, 123)]
    expect(page.locator("#list tbody a")).to_have_count(122)
    assert numbers(page)[0] == "122"


def test_an_empty_box_says_how_to_begin(agent: Any, page: Any, box: Any) -> None:
    box.jobs = []
    page.goto(agent.url + "/")
    page.get_by_label("Token of this agent").fill("secret-token")
    page.keyboard.press("Enter")
    expect(page.locator("#empty")).to_contain_text("No jobs yet.")


def test_names_of_jobs_are_text(agent: Any, page: Any, box: Any) -> None:
    markup = "<img src=x onerror='window.hit=1'>\u202e"
    box.jobs[0] |= {"name": markup, "user": markup, "reason": markup}
    box.jobs[2] |= {"waiting_for": markup, "starts_by": 1e300, "started_at": "soon", "submitted_at": None}
    box.info |= {"contact": markup, "remark": markup, "gpu_names": [markup]}
    enter(page, agent)
    expect(page.locator("#list")).to_contain_text("50 <img src=x onerror='window.hit=1'>")
    assert page.locator("#board img").count() == 0
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_all_text_has_contrast(
    agent: Any, new_page: Any, box: Any, width: int, scheme: str
) -> None:
    box.jobs[0]["name"] = "a-very-long-name-without-any-space-" * 4
    box.info |= {"draining": True, "remark": "the agent's disk refuses to write"}
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    enter(page, agent)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate((Path(__file__).parent / "contrast.js").read_text()) == []
