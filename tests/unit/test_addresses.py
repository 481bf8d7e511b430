"""Addresses of agents: what a token may be sent to, and what a history URL names."""

import pytest

from mlmagics.cluster.addresses import agent_url, history_url, host_and_port
from mlmagics.errors import BadValue


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://gpu-box:8900", "https://gpu-box:8900"),
        ("https://gpu-box:8900/", "https://gpu-box:8900"),
        (" https://GPU-box:443 ", "https://gpu-box"),
        ("http://127.0.0.1:8900", "http://127.0.0.1:8900"),
        ("http://127.9.9.9:8900", "http://127.9.9.9:8900"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:8900", "http://[::1]:8900"),
        ("https://hub.lab/agents/gpu-box/", "https://hub.lab/agents/gpu-box"),
    ],
)
def test_one_agent_has_one_form_of_address(text, url):
    assert agent_url(text) == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gpu-box:8900", "write https://HOST:PORT"),
        ("gpu-box", "write https://HOST:PORT"),
        ("ftp://gpu-box", "write https://HOST:PORT"),
        ("https://", "write https://HOST:PORT"),
        ("https://gpu-box:99999", "not an address"),
        ("https://gpu-box:0", "not an address"),
        ("https://gpu box", "not an address"),
        ("https://gpu-box\\@evil", "not an address"),
        ("https://ada:pw@gpu-box", "does not belong in the address"),
        ("https://ada@gpu-box", "does not belong in the address"),
        ("https://gpu-box/?token=x", "no ?query"),
        ("https://gpu-box:8900#code", "ends before #"),
        ("ssh://me@-gpu-box", "is not an address for ssh: write ssh://USER@HOST"),
        ("http://gpu-box:8900", "is not encrypted"),
        ("http://10.0.0.1:8900", "is not encrypted"),
        ("http://127.0.0.1.evil.example", "is not encrypted"),
        ("http://localhost.evil.example", "is not encrypted"),
    ],
)
def test_other_addresses_are_refused_in_one_line(text, why):
    with pytest.raises(BadValue) as caught:
        agent_url(text)
    assert why in caught.value.message
    assert "\n" not in caught.value.message
    assert "pw" not in caught.value.message
    assert caught.value.field == "url"


def test_plain_http_to_another_machine_can_be_asked_for():
    assert agent_url("http://gpu-box:8900", insecure=True) == "http://gpu-box:8900"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://gpu-box:8900/history/42", ("https://gpu-box:8900", 42)),
        ("https://gpu-box:8900/history/42/", ("https://gpu-box:8900", 42)),
        ("https://GPU-BOX:443/history/42#code=abc", ("https://gpu-box", 42)),
        ("https://hub/agents/a/history/7", ("https://hub/agents/a", 7)),
    ],
)
def test_a_history_url_names_agent_and_job(text, found):
    assert history_url(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "https://gpu-box:8900",
        "https://gpu-box:8900/history/",
        "https://gpu-box:8900/history/0",
        "https://gpu-box:8900/history/4x",
        "https://gpu-box:8900/history/42/more",
        "https://ada:pw@gpu-box/history/42",
        "history/42",
    ],
)
def test_other_urls_are_no_history_urls(text):
    with pytest.raises(BadValue) as caught:
        history_url(text)
    assert "pw" not in caught.value.message


def test_a_port_that_is_left_out_is_that_of_the_scheme():
    assert host_and_port("https://gpu-box") == ("gpu-box", 443)
    assert host_and_port("http://[::1]") == ("::1", 80)
