"""Addresses for ssh, hostile ones too, and what ssh says when it does not get there."""

from __future__ import annotations

import re

import pytest

from mlmagics.cluster.addresses import agent_url, history_url
from mlmagics.cluster.ssh_addresses import parse_ssh
from mlmagics.cluster.ssh_trouble import explain, why_closed
from mlmagics.cluster.store import Attachment
from mlmagics.errors import BadValue


@pytest.mark.parametrize(
    ("text", "url", "words", "typed"),
    [
        ("ssh://gpu-box", "ssh://gpu-box", ["--", "gpu-box"], "ssh gpu-box"),
        (" ssh://ada@gpu-box/ ", "ssh://ada@gpu-box", ["-l", "ada", "--", "gpu-box"], "ssh ada@gpu-box"),
        ("ssh://h:2222/srv/a", "ssh://h:2222/srv/a", ["-p", "2222", "--", "h"], "ssh -p 2222 h"),
        ("ssh://ada@[::1]:22", "ssh://ada@[::1]:22", ["-l", "ada", "-p", "22", "--", "::1"], "ssh -p 22 ada@::1"),
    ],
)  # fmt: skip
def test_an_address_has_one_form_and_becomes_words_of_ssh(text, url, words, typed):
    address = parse_ssh(text)
    assert (address.url, address.words, address.typed) == (url, words, typed)
    assert agent_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "ssh://-oProxyCommand=touch pwned",
        "ssh://-oProxyCommand=x/",
        "ssh://-Fx",
        "ssh://-l@host",
        "ssh://ada@-host",
        "ssh://-ada@host",
        "ssh://ada:secret@host",
        "ssh://$(id)",
        "ssh://host;id",
        "ssh://host`id`",
        "ssh://host%20x",
        "ssh://host%h",
        "ssh://a@b@c",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://host:22:33",
        "ssh://host:-1",
        "ssh://",
        "ssh:///path",
        "ssh://host/a/../b",
        "ssh://host/./b",
        "ssh://host/a:b",
        "ssh://host/a'b",
        'ssh://host/a"b',
        "ssh://host/$HOME",
        "ssh://host/a b",
        "ssh://host/a\nb",
        "ssh://host\n",
        "ssh://host?x=1",
        "ssh://host#code",
        "ssh://[::1",
        "ssh://hôst",
        "SSH://host",
    ],
)
def test_what_could_mean_more_than_a_place_is_refused(text):
    if text == "ssh://host\n":
        assert parse_ssh(text).host == "host"
        return
    with pytest.raises(BadValue) as caught:
        parse_ssh(text)
    assert "secret" not in caught.value.message


def test_where_the_socket_is_looked_for():
    assert '"/srv/a/people.sock"' in parse_ssh("ssh://h/srv/a").look
    assert '"$HOME/agent/people.sock"' in parse_ssh("ssh://h/~/agent").look
    assert '"/run/x.sock"' in parse_ssh("ssh://h/run/x.sock").look
    assert "/run/cluster-agent/people.sock" in parse_ssh("ssh://h").look


@pytest.mark.parametrize(
    ("url", "said", "found"),
    [
        ("ssh://h", "Welcome!\nmlmagics-socket /home/ada/people.sock\n", "/home/ada/people.sock"),
        ("ssh://h/srv/a", "This account is for forwarding only.", "/srv/a/people.sock"),
        ("ssh://h", "This account is for forwarding only.", "/run/cluster-agent/people.sock"),
    ],
)
def test_the_other_side_tells_where_it_is(url, said, found):
    assert parse_ssh(url).socket(said) == found


@pytest.mark.parametrize(
    ("url", "said", "line"),
    [
        ("ssh://h", "mlmagics-none", r"no agent's socket is there \(/run/cluster-agent/people.sock or ~/.local/share"),
        ("ssh://h/a", "mlmagics-closed /a/people.sock", "/a/people.sock is not open to you"),
        ("ssh://h", "mlmagics-socket /a:b", "ssh cannot forward to '/a:b'"),
        ("ssh://h", "mlmagics-socket -x", "ssh cannot forward to '-x'"),
        ("ssh://h/~/a", "no shell", "the address has to tell the socket"),
    ],
)  # fmt: skip
def test_what_the_other_side_tells_may_be_of_no_use(url, said, line):
    with pytest.raises(ValueError, match=line):
        parse_ssh(url).socket(said)


@pytest.mark.parametrize(
    ("said", "line", "lasting"),
    [
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
         r"another than before.*ssh-keygen -R '\[box\]:2222'", True),
        ("Host key verification failed.", "not known here yet: type ssh -p 2222 ada@box", True),
        ("ada@box: Permission denied (publickey,password).", r"not let in \(publickey,password\)", True),
        ("Received disconnect: Too many authentication failures", "offered too many keys", True),
        ("ssh: Could not resolve hostname box: Name or service not known", "unknown to ssh", False),
        ("ssh: connect to host box port 2222: Connection refused", "refused", False),
        ("ssh: connect to host box port 2222: Connection timed out", "does not answer ssh", False),
        ("command-line: line 0: Bad configuration option: streamlocalbindmask", "ssh here cannot do this", True),
        ("kex_exchange_identification: \x1b[1mread", r"kex_exchange_identification: \?\[1mread; does ssh -p", False),
    ],
)  # fmt: skip
def test_why_ssh_did_not_get_there(said, line, lasting):
    trouble = explain(said, parse_ssh("ssh://ada@box:2222"))
    assert re.search(line, trouble.line)
    assert trouble.lasting is lasting
    assert "\n" not in trouble.line


def test_why_nobody_answers_at_the_socket():
    assert "AllowStreamLocalForwarding" in why_closed(
        "channel 2: open failed: administratively prohibited: open failed"
    )
    assert "does the agent run" in why_closed("channel 2: open failed: connect failed: open failed")


def test_a_history_url_means_the_same_job_to_everybody():
    base, job_id = history_url("ssh://bob@gpu-box/srv/agent/history/42")
    assert (base, job_id) == ("ssh://gpu-box/srv/agent", 42)
    assert base in Attachment(name="box", url="ssh://ada@gpu-box/srv/agent").addresses
    with pytest.raises(BadValue, match="not a history URL"):
        history_url("ssh://gpu-box/42")
    with pytest.raises(BadValue):
        history_url("ssh://-oProxyCommand=x/history/42")
