"""The disk is full while an environment is built."""

import os

from cluster_agent.protocol import State
from running import run_cell, text_of
from wheels import make_wheel


def test_a_disk_that_is_too_small_for_an_environment_fails_the_job_and_stays_usable(
    tmpfs, tmp_path, make_agent
):
    links = tmp_path / "links"
    make_wheel(links, "large", files={"large.py": "", "large.bin": os.urandom(47 * 2**20)})
    make_wheel(links, "small")
    home = tmpfs / "home"
    home.mkdir()
    (home / "agent.toml").write_text(
        f'reserve = "1M"\n[packages]\nfind_links = ["{links}"]\noffline = true\n'
    )
    agent = make_agent(home)
    agent.start()
    client = agent.client()
    job, events = run_cell(client, "import large", packages=["large"])
    assert job.state is State.FAILED
    assert "the disk of the box is full" in job.reason
    assert text_of(events) == ""
    assert list((home / "environments").glob(".*-*")) == []
    job, _ = run_cell(client, "import small", packages=["small"])
    assert job.state is State.SUCCEEDED
