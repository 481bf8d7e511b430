"""The code of an invite: what it carries, and what becomes of one that was damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_agent.protocol import InviteCode
from cluster_agent.server.invites import cluster_name


@given(st.binary(min_size=16, max_size=16), st.sampled_from([b"", bytes(range(32)), b"\xff" * 32]))
def test_a_code_carries_its_secret_and_the_print(secret, certificate):
    code = InviteCode(secret=secret, print=certificate)
    assert InviteCode.parse(code.text) == code
    assert InviteCode.parse(f"  {code.text.upper()}. ") == code
    assert code.text.isalnum()
    assert len(code.text) in InviteCode.LENGTHS


@given(st.binary(min_size=16, max_size=16), st.data())
def test_a_damaged_code_is_noticed(secret, data):
    text = InviteCode(secret=secret, print=bytes(32)).text
    at = data.draw(st.integers(4, len(text) - 2))
    kind = data.draw(st.sampled_from(["cut", "changed", "swapped", "added"]))
    damaged = {
        "cut": text[:at],
        "changed": text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :],
        "swapped": text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        "added": text[:at] + "a" + text[at:],
    }[kind]
    if damaged == text:
        return
    with pytest.raises(ValueError, match="invite"):
        InviteCode.parse(damaged)


@given(st.text(max_size=200))
def test_any_other_text_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^[^\n]{20,200}$"):
        InviteCode.parse(text)


def test_what_is_kept_says_nothing_of_the_secret():
    code = InviteCode.new(bytes(32))
    assert code.secret.hex() not in code.digest
    assert InviteCode.new(bytes(32)).secret != code.secret


@pytest.mark.parametrize(
    ("url", "host_name", "name"),
    [
        ("https://gpu-box:8900", "vm", "gpu-box"),
        ("https://gpu-box.lab.example:8900", "vm", "gpu-box"),
        ("https://GPU_Box", "vm", "gpu_box"),
        ("https://10.0.0.7:8900", "node-1.lab", "node-1"),
        ("https://[::1]:8900", "node", "node"),
        ("http://localhost:8900", "node", "node"),
        ("https://127.0.0.1", "4711", "box"),
        ("https://9lives:1", "localhost", "box"),
        (f"https://{'x' * 60}:1", "vm", "x" * 32),
    ],
)
def test_a_cluster_is_called_as_its_box(url, host_name, name):
    assert cluster_name(url, host_name) == name
