"""The control channel, when the other side is gone."""

from __future__ import annotations

from cluster_agent.supervisor.channels import Control, control_pair


def test_what_was_sent_before_an_answer_that_nobody_read_is_taken():
    ours, theirs = control_pair()
    control = Control(ours)
    try:
        theirs.send(b"one")
        theirs.send(b"two")
        control.acknowledge()
        theirs.close()
        assert [packet for packet, _ in control.packets(64)] == [b"one", b"two"]
        assert not control.open
    finally:
        control.close()
        theirs.close()
