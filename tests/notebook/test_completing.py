"""Tab in a real kernel, as JupyterLab asks for it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from front_end import FrontEnd

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess, run_cell, until


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address where something listens and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("jedi", [True, False])
def test_completion_in_a_kernel(lab: FrontEnd, jedi: bool) -> None:
    lab.run(f"get_ipython().Completer.use_jedi = {jedi}")
    lab.run("%%gpu-box --name tour\n1")
    # an answer that comes too late for one Tab is there for the next
    until(lambda: lab.complete("%%gpu-box --project ") == ["%%gpu-box --project default"])
    for typed, expected in {
        "%%gp": ["%%gpu-box"],
        "%%on ": ["%%on gpu-box", "%%on local"],
        "%%gpu-box --priority l": ["%%gpu-box --priority low"],
        "%%gpu-box --priority=l": ["%%gpu-box --priority=low"],
        "%%gpu-box --wait --gp": ["%%gpu-box --wait --gpus"],
        "%%gpu-box \\\n --gp": ["%%gpu-box \\\n --gpus"],
        "%%gpu-box --project ": ["%%gpu-box --project default"],
        "%logs gpu-box/": ["%logs gpu-box/1"],
        "x = 1\n%cancel gpu": ["x = 1\n%cancel gpu-box/1"],
        "%jobs --state fa": ["%jobs --state failed"],
        "%attachments che": ["%attachments check"],
        "%attachments check gp": ["%attachments check gpu-box"],
        "%gpu-box con": ["%gpu-box config"],
        "%gpu-box config --gp": ["%gpu-box config --gpus"],
    }.items():
        assert lab.complete(typed) == expected, typed
    assert sorted(lab.complete("%gp")) == ["%%gpu-box", "%gpu-box"]


def test_completion_of_results(lab: FrontEnd) -> None:
    lab.run(
        "%%gpu-box --wait 30s --fetch rmse,odd\nimport _thread\nrmse, odd = 0.25, _thread.allocate_lock()"
    )
    # what was not kept cannot be had
    until(lambda: lab.complete("%fetch gpu-box/1 ") == ["%fetch gpu-box/1 rmse"])
    assert lab.complete("%fetch gpu-box/1 rmse --ov") == ["%fetch gpu-box/1 rmse --overwrite"]


def test_completion_leaves_the_rest_to_ipython(lab: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "log-of-today.txt").touch()
    lab.run(f"import os; os.chdir({str(tmp_path)!r}); number_of_trips = 5")
    assert lab.complete("%logs --save log-of") == ["%logs --save log-of-today.txt"]
    assert lab.complete("%%gpu-box\nnumber_of_tr") == ["%%gpu-box\nnumber_of_trips"]


def test_jobs_of_other_kernels_are_offered_and_a_silent_cluster_keeps_nobody_waiting(
    lab: FrontEnd, agent: AgentProcess, settings: dict[str, str], silent_address: str
) -> None:
    store = AttachmentStore(Path(settings["MLMAGICS_CONFIG_DIR"]))
    store.put(
        Attachment(
            name="silent",
            url=silent_address,
            credential="file",
            credential_from=str(agent.home / "token"),
        )
    )
    run_cell(agent.client(), "1", name="elsewhere")
    lab.run("1")
    # an answer that comes too late for one Tab is there for the next
    until(lambda: lab.complete("%logs ") == ["%logs gpu-box/1"])
    assert lab.complete("%logs silent/") == ["%logs silent/"]


def test_completion_where_there_is_nothing_offers_what_is_typed_and_no_names_in_python(
    lab: FrontEnd, agent: AgentProcess
) -> None:
    agent.stop()
    for typed in ("%logs gpu-box/", "%%gpu-box --gpus ", "%%gpu-box --name a", "%wait --timeout "):
        assert lab.complete(typed) == [typed]
    assert lab.run("print('alive')").text == "alive\n"


def test_a_name_that_is_nearly_right_is_told(lab: FrontEnd) -> None:
    for cell, says in {
        "%%gpubox\n1": "Did you mean %%gpu-box?",
        "%%GPU-box\n1": "Did you mean %%gpu-box?",
        "%%on gpubox\n1": "Error: no cluster 'gpubox' is attached: did you mean gpu-box?",
        "%on gpubox": "Error: no cluster 'gpubox' is attached: did you mean gpu-box?",
        "%gpu-box confg": "Error: %gpu-box takes no 'confg': did you mean config?",
        "%gpu-box config --gpu 2": "unknown option --gpu: did you mean --gpus?",
        "%attachments chek gpu-box": "did you mean check?",
        "%jobs --al": "unknown option --al: did you mean --all?",
    }.items():
        shown = lab.run(cell)
        assert shown.status == "error", cell
        assert says in shown.text, cell
    assert "Did you mean" not in lab.run("%%xyzzy\n1").text


def test_magics_are_there_once_however_often_they_are_loaded(lab: FrontEnd) -> None:
    state = (
        "ip = get_ipython()\n"
        "print(len(ip.Completer.custom_matchers), len(ip.ast_transformers), "
        "[len(ip.events.callbacks[name]) for name in sorted(ip.events.callbacks)], "
        "len(ip.magics_manager.magics['line']), len(ip.magics_manager.magics['cell']))"
    )
    loaded = lab.run(state).text
    assert "already loaded" in lab.run("%load_ext mlmagics").text
    lab.run("import mlmagics; mlmagics.load_ipython_extension(get_ipython())")
    lab.run("%reload_ext mlmagics")
    assert lab.run(state).text == loaded
    lab.run("%unload_ext mlmagics")
    without = lab.run(state).text
    lab.run("%load_ext mlmagics\n%unload_ext mlmagics")
    assert lab.run(state).text == without


def test_unloaded_kernel_is_as_it_was(open_front_end: Callable[..., FrontEnd]) -> None:
    state = (
        "ip = get_ipython(); m = ip.magics_manager.magics\n"
        "print([*map(str, ip.Completer.custom_matchers)], [*map(str, ip.ast_transformers)], "
        "{name: len(found) for name, found in ip.events.callbacks.items()}, sorted(m['line']), sorted(m['cell']))"
    )
    kernel = open_front_end(load=False)
    before = kernel.run(state).text
    kernel.run("%load_ext mlmagics")
    assert kernel.run(state).text != before
    kernel.run("%unload_ext mlmagics")
    assert kernel.run(state).text == before
