"""Levels of isolation: what is asked for, what is in force, what a box is made of, who a person is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster_agent.errors import Forbidden
from cluster_agent.isolation.box import Box, command, gpu_devices
from cluster_agent.isolation.ids import Ids
from cluster_agent.isolation.levels import CannotIsolate, Found, choose, parse, sentence
from cluster_agent.isolation.people import Keeper, People, find_keeper

NOTHING = {"user": "no root", "cgroup": "no group", "bwrap": "no bwrap"}
IDS = Ids(
    name="ada",
    uid=1000,
    gid=1000,
    groups=(50,),
    home="/home/ada",
    login_shell="/bin/sh",
    keeper_uid=90,
    keeper_gid=90,
)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("auto", None),
        ("process", ("process",)),
        ("bwrap, user", ("user", "bwrap")),
        ("cgroup,process", ("process", "cgroup")),
    ],
)
def test_a_setting_names_levels(text, levels):
    assert parse(text) == levels


@pytest.mark.parametrize("text", ["", "users", "auto,user", "process,user", "none"])
def test_a_setting_that_names_none_is_refused(text):
    with pytest.raises(ValueError, match=r"auto, or some of|exclude"):
        parse(text)


@pytest.mark.parametrize(
    ("asked", "missing", "force"),
    [
        ((), NOTHING, ("process",)),
        ((), {"bwrap": "was not asked for"}, ("user", "cgroup")),
        ((), {"user": "no root", "bwrap": "x"}, ("process", "cgroup")),
        (("process",), {"user": "was not asked for", "bwrap": "x"}, ("process", "cgroup")),
        (("user",), {"cgroup": "no group", "bwrap": "x"}, ("user",)),
        (("user", "bwrap"), {"cgroup": "no group"}, ("user", "bwrap")),
        (("bwrap",), {"user": "was not asked for", "cgroup": "x"}, ("process", "bwrap")),
    ],
)
def test_in_force_is_what_was_asked_for_or_can_be_had(asked, missing, force):
    assert choose(asked, Found(missing=missing)) == force


@pytest.mark.parametrize("level", ["user", "cgroup", "bwrap"])
def test_what_was_asked_for_and_cannot_be_had_is_refused_with_the_reason(level):
    with pytest.raises(CannotIsolate, match=f"--isolation {level} cannot be had: {NOTHING[level]}"):
        choose((level,), Found(missing=NOTHING))


def test_a_sentence_says_what_is_in_force():
    assert sentence(("process",)) == "all jobs run as one unix user, which is one trust domain"
    assert sentence(("user", "cgroup", "bwrap")) == (
        "jobs run as the unix users of their people, each in a control group, each in a system of its own"
    )


def test_a_box_hides_the_home_before_it_shows_parts_of_it():
    box = Box(program="/usr/bin/bwrap", home=Path("/srv/agent"), project=Path("/data/p"), network=False)
    work = Path("/srv/agent/jobs/1/work")
    words = command(box, work=work, readable=[Path("/srv/agent/kit")], devices=[Path("/dev/nvidia0")])
    places = {word: place for place, word in enumerate(words)}
    assert "--unshare-net" in words
    assert words[words.index("/srv/agent") - 1] == "--tmpfs"
    assert words.index("/srv/agent") < min(places["/srv/agent/kit"], places[str(work)])
    writable = [words[place + 1] for place, word in enumerate(words) if word == "--bind"]
    assert writable == ["/data/p", str(work)]
    assert words[-3:] == ["--chdir", str(work), "--"]
    assert "--unshare-net" not in command(replace(box, network=True), work=work, readable=[])
    words = command(replace(box, people=Path("/srv/users")), work=work, readable=[])
    assert words[words.index("/srv/users") - 1] == "--tmpfs"


def driver(folder: Path) -> tuple[Path, Path]:
    dev, proc = folder / "dev", folder / "proc"
    dev.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "sda"):
        (dev / name).touch()
    for number, slot in enumerate(("0000:01", "0000:02")):
        gpu = proc / "driver" / "nvidia" / "gpus" / slot
        gpu.mkdir(parents=True)
        (gpu / "information").write_text(
            f"Model: \t H200\nGPU UUID: \t GPU-{number}x\nDevice Minor: \t {number}\n"
        )
    return dev, proc


@pytest.mark.parametrize(
    ("gpus", "names"),
    [
        ([], []),
        (["GPU-1x"], ["nvidia-uvm", "nvidia1", "nvidiactl"]),
        (["GPU-0x", "GPU-1x"], ["nvidia-uvm", "nvidia0", "nvidia1", "nvidiactl"]),
        (["0"], ["nvidia-uvm", "nvidia0", "nvidia1", "nvidiactl"]),
    ],
)
def test_a_box_has_the_devices_of_its_gpus_only(tmp_path, gpus, names):
    assert [path.name for path in gpu_devices(gpus, *driver(tmp_path))] == names


def test_a_users_own_group_may_write():
    assert IDS.umask == 0o007
    assert replace(IDS, gid=100).umask == 0o077


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("no-such-person", "there is no unix user 'no-such-person'"),
        ("root", "that is root"),
        ("daemon", "it is a service's"),
        ("somebody/../root", "there is no unix user"),
    ],
)
def test_who_cannot_have_jobs_is_told_why(user, reason):
    with pytest.raises(Forbidden, match=reason):
        People(Keeper("keeper", 90, 90), {}).ids(user)


def test_root_is_nobodys_keeper():
    assert find_keeper("root") is None
    assert find_keeper("no-such-user") is None


def test_a_name_can_be_given_to_a_service_on_purpose():
    ids = People(Keeper("keeper", 90, 90), {"ada": "daemon"}).ids("ada")
    assert (ids.name, ids.uid) == ("daemon", 1)
