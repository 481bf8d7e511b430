"""A job whose cell brought values and modules runs again: elsewhere, or for somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import UserError
from running import AgentProcess, agent_command

CELL = "import pathlib\nprint(sum(data['x']), beside.RATE, pathlib.Path(beside.__file__).parent.name)"


@pytest.fixture
def agent(start_agent: Callable[..., AgentProcess]) -> AgentProcess:
    return start_agent("--gpus", "0", "--shared-uid")


@pytest.fixture
def session(
    settings: dict[str, str], start_agent: Callable[..., AgentProcess], tmp_path: Path
) -> Iterator[Session]:
    """Of a person who has two boxes."""
    other = start_agent("--gpus", "0")
    store = AttachmentStore(tmp_path / "config")
    token = str(other.home / "token")
    store.put(Attachment(name="big-box", url=other.url, credential="file", credential_from=token))
    session = Session(store, LocalAgent(tmp_path / "local"))
    yield session
    session.close()


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "beside"
    folder.mkdir()
    (folder / "beside.py").write_text("RATE = 7\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend("")


def beside_module() -> object:
    import importlib

    return importlib.import_module("beside")


def test_what_was_sent_goes_from_one_box_to_another(
    session: Session, beside: None, agent: AgentProcess
) -> None:
    notebook = {"data": {"x": [1.5] * 50_000}}
    first = api.submit(CELL, "gpu-box", send=notebook | {"beside": beside_module()}, session=session).wait()
    assert first.logs() == "75000.0 7 inputs\n"
    there = first.resubmit(on="big-box").wait()
    assert (there.ref, there.logs(), there.info.retry_of) == ("big-box/1", first.logs(), None)
    # what the job has changed is not what was sent
    (agent.home / "jobs" / "1" / "inputs" / "beside.py").write_text("RATE = 8\n")
    for blob in (agent.home / "blobs").glob("*/*"):
        blob.unlink()
    with pytest.raises(UserError, match=r"beside\.py is no longer what was sent with gpu-box/1"):
        first.resubmit()


def test_what_somebody_has_sent_is_sent_again_by_an_admin(session: Session, agent: AgentProcess) -> None:
    token = agent_command(agent.home, "token", "create", "ada")[0]
    (agent.home / "ada").write_text(token)
    session.store.put(
        Attachment(name="ada-box", url=agent.url, credential="file", credential_from=str(agent.home / "ada"))
    )
    api.submit("print(sum(data['x']))", "ada-box", send={"data": {"x": [1] * 5000}}, session=session).wait()
    again = api.find("gpu-box/1", session=session).resubmit().wait()
    assert again.logs() == "5000\n"
    assert again.info.user != "ada"
