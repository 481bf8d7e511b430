import msgspec
import pytest

from cluster_agent import protocol
from cluster_agent.errors import BY_CODE, AgentError, Unconfirmed
from cluster_agent.protocol import ACTIVE, DONE, WORDS, Cursor, State, Submit, parse_states, word


def test_every_state_has_a_word_and_is_active_or_done():
    assert set(WORDS) == set(State)
    assert set(State) == ACTIVE | DONE
    assert not ACTIVE & DONE


def test_word_says_stopping_only_while_active():
    assert word(State.RUNNING, stopping=True) == "Stopping"
    assert word(State.SUCCEEDED, stopping=True) == "Finished"


def test_parse_states_takes_words_values_and_groups_in_any_case():
    assert parse_states("Finished, TIMED OUT,lost") == {State.SUCCEEDED, State.TIMED_OUT, State.LOST}
    assert parse_states("active") == ACTIVE
    assert parse_states("timed_out,DONE") == DONE


def test_parse_states_names_what_it_does_not_know():
    with pytest.raises(ValueError, match="'finito' is not a state"):
        parse_states("running,finito")


def test_cursor_round_trip():
    assert str(Cursor.parse("0123abcd.17")) == "0123abcd.17"
    assert Cursor.parse("0") == Cursor(tag="", seq=0)


@pytest.mark.parametrize(
    "text", ["", "1", "0123abcd", "0123abcd.", ".5", "0123ABCD.5", "0123abcd.-1", "0123abcd.5 ", "x" * 99]
)
def test_cursor_refuses_what_is_none(text):
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.parse(text)


def test_smallest_submit():
    assert msgspec.json.decode(b'{"source": "print(1)"}', type=Submit) == Submit(source="print(1)")


def test_submit_refuses_unknown_fields():
    with pytest.raises(msgspec.ValidationError, match="gpu"):
        msgspec.json.decode(b'{"source": "1", "gpu": 1}', type=Submit)


def test_event_keeps_what_it_knows_of_a_newer_agents_line():
    event = protocol.decode_event(b'{"seq":3,"at":1.5,"t":0.1,"type":"hologram","text":"x","beam":[1]}')
    assert (event.seq, event.type, event.text) == (3, "hologram", "x")


def test_every_error_has_its_own_code():
    def tree(cls):
        return [cls, *(leaf for sub in cls.__subclasses__() for leaf in tree(sub))]

    # one of them is the client's own, and told by no agent
    ours = [
        cls for cls in tree(AgentError) if cls.__module__ == "cluster_agent.errors" and cls is not Unconfirmed
    ]
    assert len({cls.code for cls in ours}) == len(ours)
    assert all(BY_CODE[cls.code] is cls for cls in ours)
    assert all(cls().message for cls in ours)
