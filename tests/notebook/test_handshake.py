"""Before values travel both sides are compared: what the job cannot load is not sent."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster_agent import __version__
from cluster_agent.client import AgentClient
from cluster_agent.protocol import State
from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.errors import BadCell
from mlmagics.job.handle import Job
from running import AgentProcess, until


def another_python() -> str | None:
    """One of another minor version that works."""
    for minor in range(9, 15):
        found = shutil.which(f"python3.{minor}")
        if found and minor != sys.version_info.minor:
            asked = subprocess.run([found, "-c", ""], capture_output=True, check=False)
            if asked.returncode == 0:
                return found
    return None


OTHER = another_python()
#: too long for a constant, and nobody's but Python's
PLAIN = b"x" * 5000
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An interpreter with nothing but the standard library; its folder of packages."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    [packages] = (tmp_path / "bare").glob("lib/*/site-packages")
    return packages


@pytest.fixture
def agent(start_agent: Callable[..., AgentProcess], tmp_path: Path, bare: Path) -> AgentProcess:
    home = tmp_path / "box"
    home.mkdir()
    runtimes = {"bare": f"{tmp_path}/bare/bin/python", "other": OTHER}
    settings = [f'[runtimes.{name}]\npython = "{python}"\n' for name, python in runtimes.items() if python]
    (home / "agent.toml").write_text("".join(settings))
    return start_agent("--gpus", "0", home=home)


@pytest.fixture
def submit(settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Job]]:
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield lambda source, **options: api.submit(source, "gpu-box", session=session, **options)
    session.close()


def claim(packages: Path, name: str, version: str) -> None:
    """Leave behind what an installer would, but for the package itself."""
    (packages / f"{name}.py").write_text("")
    for former in packages.glob(f"{name}-*.dist-info"):
        former.rename(packages / f"{name}-{version}.dist-info")
    info = packages / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}.py,,\n")


def refused(submit: Callable[..., Job], **options: object) -> str:
    with pytest.raises(BadCell) as refusal:
        submit("print('ran')", runtime="bare", **options)
    return refusal.value.message


def test_what_the_job_cannot_load_is_refused_before_anything_travels(
    submit: Callable[..., Job], agent: AgentProcess, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    plain = AgentClient.send_blob
    monkeypatch.setattr(
        AgentClient, "send_blob", lambda self, sha, *rest: (sent.append(sha), plain(self, sha, *rest))[1]
    )
    values = {"x": np.arange(3), "df": pd.DataFrame({"a": [1]})}
    told = refused(submit, send=values).splitlines()
    assert told[0].startswith("the cell cannot run on gpu-box, nothing was sent")
    assert told[1:] == [
        f'    x, df: numpy is not installed on gpu-box: add --with "numpy=={np.__version__}"',
        f'    df: pandas is not installed on gpu-box: add --with "pandas=={pd.__version__}"',
    ]
    # installed meanwhile, but another one
    major, minor = np.__version__.split(".")[:2]
    claim(bare, "numpy", "1.0.0")
    assert f"x: numpy is {np.__version__} here and 1.0.0 on gpu-box" in refused(
        submit, send={"x": values["x"]}
    )
    assert (sent, agent.client().jobs().jobs) == ([], [])
    # one that will do is remarked on, once
    near = f"{major}.{int(minor) + 1}.0"
    claim(bare, "numpy", near)
    jobs = [submit("print('ran')", runtime="bare", send={"x": values["x"]}) for _ in range(2)]
    assert jobs[0].notes == (f"x: numpy is {np.__version__} here and {near} on gpu-box",)
    assert not any("numpy" in note for note in jobs[1].notes)
    # what is nobody's but Python's goes anywhere, and --no-check sends all
    assert submit("print(len(n))", runtime="bare", send={"n": PLAIN}).wait().notes == ()
    assert submit("print('ran')", runtime="bare", send=values, check=False).wait_for_end() is State.FAILED


def test_an_agent_of_another_version_is_told_once(
    submit: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmagics.cluster.overview.__version__", "99.0")
    jobs = [submit("print(len(n))", send={"n": PLAIN}) for _ in range(2)]
    assert jobs[0].notes == (f"gpu-box: agent {__version__}, mlmagics here 99.0",)
    assert "agent" not in " ".join(jobs[1].notes)


@pytest.mark.skipif(OTHER is None, reason="no Python of another minor version on this machine")
def test_code_as_a_value_goes_to_the_same_python_only(
    submit: Callable[..., Job], agent: AgentProcess
) -> None:
    code = {"add": eval("lambda x: x + 2", {"__name__": "__main__"})}
    assert submit("print(add(1))", runtime="bare", send=code).wait().logs() == "3\n"
    client = agent.client()
    until(lambda: all(runtime.python_version for runtime in client.info().runtimes))
    with pytest.raises(BadCell) as refusal:
        submit("print(add(1))", runtime="other", send=code)
    assert "add: code that is sent as a value needs the same Python on both sides: here it is Python " in str(
        refusal.value
    )
    assert "; add --runtime bare" in str(refusal.value)
    # what is no code goes
    assert submit("print(len(n))", runtime="other", send={"n": PLAIN}).wait().logs() == "5000\n"
