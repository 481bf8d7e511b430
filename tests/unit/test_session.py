"""What a kernel knows of its clusters, and how an agent's answers are told."""

import pytest

from cluster_agent.errors import BadRequest, Gone, NotFound, Unauthorized, Unreachable
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session, notebook_id, told
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import BadValue, ClusterError, UnknownCluster, UserError
from mlmagics.job.references import find
from mlmagics.job.submitting import submit


@pytest.fixture
def session(tmp_path):
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield session
    session.close()


def attach(session, name, url="http://127.0.0.1:9", **fields):
    session.store.put(Attachment(name=name, url=url, **fields), token="t")


def test_local_is_the_cluster_when_nothing_is_attached(session):
    assert session.clusters() == ["local"]
    assert session.choose(None) == "local"


def test_the_only_attachment_is_the_cluster(session):
    attach(session, "gpu-box")
    assert session.choose(None) == "gpu-box"
    assert session.choose("local") == "local"


def test_of_several_one_has_to_be_named(session):
    attach(session, "gpu-box")
    attach(session, "big-box")
    with pytest.raises(
        BadValue, match="several clusters are attached, say which: gpu-box, big-box"
    ) as caught:
        session.choose(None)
    assert caught.value.field == "on"


def test_an_unknown_cluster_is_answered_with_the_nearest(session):
    attach(session, "gpu-box")
    with pytest.raises(UnknownCluster, match="did you mean gpu-box"):
        session.client("gpu-bx")
    with pytest.raises(UnknownCluster):
        session.use("nothing")


def test_a_client_is_kept_until_address_or_token_change(session):
    attach(session, "gpu-box")
    first = session.client("gpu-box")
    assert session.client("gpu-box") is first
    session.store.put(session.store.get("gpu-box"), token="another")
    second = session.client("gpu-box")
    assert second is not first
    attach(session, "gpu-box", url="http://127.0.0.1:10")
    assert session.client("gpu-box") is not second


def test_a_certificate_file_that_is_gone_is_told(session, tmp_path):
    attach(session, "gpu-box", url="https://127.0.0.1:9", ca=str(tmp_path / "gone.pem"))
    with pytest.raises(UserError, match=r"gpu-box: the CA file .*gone.pem cannot be used"):
        session.client("gpu-box")


def test_looking_does_not_start_the_agent_of_ones_own(session):
    with pytest.raises(UserError, match="starts with the first %%local cell"):
        session.client("local", start=False)
    assert not session.local.home.exists()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            BadRequest("9 GPUs: this box has 2", field="gpus"),
            "gpu-box: 9 GPUs: this box has 2 (ask for less with --gpus, or see %attachments for another cluster)",
        ),
        (BadRequest("too long", field="name"), "gpu-box: too long"),
        (NotFound(), "gpu-box has no job 42 of yours"),
        (Gone(), "job 42 was on gpu-box and has been deleted"),
        (
            Unreachable("https://gpu-box:8900: connection refused"),
            "gpu-box: https://gpu-box:8900: connection refused",
        ),
    ],
)
def test_an_answer_is_told_with_its_cluster_code_and_field(error, line):
    with pytest.raises(ClusterError) as caught, told("gpu-box", "job 42"):
        raise error
    assert (caught.value.message, caught.value.code, caught.value.field) == (line, error.code, error.field)
    assert caught.value.cluster == "gpu-box"


def test_a_refused_token_is_told_with_what_to_do():
    with (
        pytest.raises(
            ClusterError, match="ask whoever runs it for a new one, then %attachments remove gpu-box"
        ),
        told("gpu-box"),
    ):
        raise Unauthorized


def test_errors_are_one_line_in_ipython(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert UserError("no such box")._render_traceback_() == ["\x1b[31mError:\x1b[0m no such box"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert UserError("no such box")._render_traceback_() == ["Error: no such box"]


def test_a_notebook_is_known_by_an_opaque_id(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert notebook_id() == ""
    assert notebook_id({"__vsc_ipynb_file__": 3}) == ""
    code = notebook_id({"__vsc_ipynb_file__": "/home/ada/taxi.ipynb"})
    assert code
    assert "taxi" not in code
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/taxi.ipynb")
    assert notebook_id() == code
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/other.ipynb")
    assert notebook_id() not in ("", code)


@pytest.mark.parametrize(
    "ref", ["gpu-box", "gpu-box/", "/42", "gpu-box/0", "gpu-box/4 2", "-3", "0", "4.2", "", "a/b/c"]
)
def test_what_is_no_job_is_refused(session, ref):
    attach(session, "gpu-box")
    with pytest.raises(BadValue, match="is not a job: write for example gpu-box/42"):
        find(ref, session=session)


def test_a_job_and_a_url_at_once_are_refused(session):
    with pytest.raises(BadValue, match="not both"):
        find("gpu-box/42", "https://gpu-box/history/42", session=session)


def test_a_url_of_a_host_that_is_not_attached_is_told_and_not_asked(session):
    attach(session, "gpu-box", url="https://gpu-box:8900")
    for url in (
        "https://gpu-box.lab:8900/history/42",
        "https://gpu-box:8901/history/42",
        "http://gpu-box:8900/history/1",
    ):
        host = url.split("/")[2]
        with pytest.raises(BadValue) as caught:
            find(url, session=session)
        assert caught.value.message.startswith(
            f"{host} is not attached; if it is one of yours: %attachments alias NAME "
        )


def test_a_url_that_two_attachments_share_is_ambiguous(session):
    attach(session, "a", url="https://a:1", public_url="https://box:8900")
    attach(session, "b", url="https://b:1", aliases=["https://box:8900"])
    with pytest.raises(BadValue, match="write a/42 or b/42"):
        find("https://box:8900/history/42", session=session)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"source": " "}, "the cell is empty"),
        ({"source": "x ="}, "syntax error in line 1"),
        ({"on": "nothing"}, "no cluster 'nothing' is attached"),
        ({"gpus": -1}, "--gpus takes a whole number from 0, not -1"),
        ({"gpus": True}, "--gpus takes a whole number"),
        ({"cpus": 0}, "--cpus takes a whole number from 1"),
        ({"memory": "16"}, "--memory: '16' is not a size with a unit"),
        ({"memory": 0}, "--memory takes a whole number from 1"),
        ({"timeout": "3"}, "--timeout: '3' has no unit"),
        ({"timeout": 0}, "--timeout takes seconds above zero"),
        ({"timeout": float("inf")}, "--timeout takes seconds above zero"),
        ({"grace": "soon"}, "--grace: 'soon' is not a duration"),
        ({"priority": "high"}, "--priority is low or normal"),
        ({"env": {"A=B": "1"}}, "cannot be a variable's name"),
        ({"env": {"SURELY_NOT_SET": None}}, "SURELY_NOT_SET is not set in this process"),
    ],
)
def test_a_wrong_option_is_told_before_anything_starts(session, options, line):
    with pytest.raises(BadValue) as caught:
        submit(**{"source": "print(1)", **options}, session=session)
    assert line in caught.value.message
    assert not session.local.home.exists()
    assert not (session.store.folder / "submits").exists()
