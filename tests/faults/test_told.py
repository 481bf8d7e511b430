"""What people see of trouble on the box: in the table of clusters, in a terminal, in a notebook's card."""

import subprocess
import sys
from pathlib import Path

import pytest
from disks import fill

import fake_nvml
from broken import Change, copy_package
from cluster_agent.protocol import State, Submit
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.display.card import bundle
from mlmagics.display.telling import Contact, Subject
from mlmagics.display.view import View
from running import run_cell, until

#: The driver, as a module in the place of the real one; it does not answer while a file exists.
DRIVER = """
import os, time

class Driver(FakeNvml):
    def nvmlInit(self):
        while os.path.exists({mark!r}):
            time.sleep(0.01)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self.nvmlInit()
        return super().nvmlDeviceGetHandleByUUID(uuid)

NVMLError, nvmlMemory_v2 = FakeNvml.NVMLError, 2
_driver = Driver(1)
globals().update((name, getattr(_driver, name)) for name in dir(_driver) if name.startswith("nvml") and "v2" not in name)
"""
#: What makes the sync of a log fail while a file exists, in supervisors too.
FAILING = """\
            if os.path.exists({mark!r}):
                raise OSError(5, os.strerror(5))
            _fdatasync(self._descriptor)
        except OSError:
            self.unsynced = True
"""


@pytest.fixture
def person(tmp_path):
    """Runs ``mlmagics`` for somebody who has attached an agent as ``box``: exit status, stdout, stderr."""

    def run(agent, *words, given=""):
        config = tmp_path / "config"
        AttachmentStore(config).put(
            Attachment(
                name="box", url=agent.url, credential="file", credential_from=str(agent.home / "token")
            )
        )
        done = subprocess.run(
            [sys.executable, "-m", "mlmagics", *words],
            env={"MLMAGICS_CONFIG_DIR": str(config), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_full_disk_is_a_remark_and_one_line(tmpfs, make_agent, person):
    agent = make_agent(tmpfs / "home")
    agent.start()
    filler = fill(tmpfs)
    refusal = "refuses to write (No space left on device); nothing was accepted"
    status, _, told = person(agent, "run", "-", "--on", "box", given="print(1)")
    assert (status, told.count("\n"), refusal in told) == (1, 1, True), told
    assert "the agent's disk refuses to write: No space left on device" in person(agent, "attachments")[1]
    filler.unlink()
    until(lambda: not agent.client().info().remark)
    assert "remark" not in person(agent, "attachments")[1]


def test_a_driver_that_does_not_answer_is_a_remark_and_jobs_start_all_the_same(make_agent, person, tmp_path):
    look = Change("cluster_agent/jobs/gpu_use.py", "_TROUBLE_LOOK_S = 30.0", "_TROUBLE_LOOK_S = 0.1")
    wait = Change("cluster_agent/jobs/gpu_use.py", "\nANSWER_S = 3.0", "\nANSWER_S = 0.2")
    python, mark = copy_package(tmp_path / "copy", [look, wait]), tmp_path / "hangs"
    driver = Path(fake_nvml.__file__).read_text() + DRIVER.format(mark=str(mark))
    (tmp_path / "copy" / "src" / "pynvml.py").write_text(driver)
    agent = make_agent(tmp_path / "home", python=python)
    agent.start()
    client = agent.client()
    assert (client.info().gpus, client.info().remark) == (1, "")
    mark.touch()
    job, _ = run_cell(client, "import os\nprint(os.environ['CUDA_VISIBLE_DEVICES'])", gpus=1)
    assert job.state is State.SUCCEEDED
    told = person(agent, "attachments")[1]
    assert "the NVIDIA driver does not answer, so GPUs in use by others cannot be told" in told
    mark.unlink()
    until(lambda: not client.info().remark)


def test_a_log_that_the_disk_failed_to_keep_is_told_everywhere(make_agent, person, tmp_path):
    mark = tmp_path / "fails"
    old = "            _fdatasync(self._descriptor)\n        except OSError:\n            self.unsynced = True\n"
    change = Change("cluster_agent/log/append.py", old, FAILING.format(mark=str(mark)))
    agent = make_agent(tmp_path / "home", python=copy_package(tmp_path / "copy", [change]))
    agent.start()
    client = agent.client()
    go = tmp_path / "go"
    source = f"import os, time\nprint('one', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nprint('two')"
    job = client.submit(Submit(source=source), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    mark.touch()
    until(lambda: any(event.type == "storage" for event in client.events(job.job_id)))
    view, live = View(), Contact(as_of=0.0)
    subject = Subject(ref="box/1", cluster="box", job_id=1, agent_id="", history_url="", name="")
    for event in client.events(job.job_id):
        view.feed(event)
    said = "the disk failed to keep its log (Input/output error): lines may be missing after a restart of the box"
    assert said[1:] in bundle(subject, view, live)["text/html"]
    mark.unlink()  # that later syncs succeed proves nothing
    go.touch()
    *_, ended = events = list(client.follow(job.job_id))
    assert [event.message for event in events if event.type == "storage"] == [said]
    assert (ended.state, ended.exit_code, ended.complete, ended.reason) == (State.SUCCEEDED, 0, False, said)
    job = client.job(job.job_id)
    assert (job.complete, job.reason) == (False, said)
    status, out, told = person(agent, "logs", "box/1")
    assert (status, out) == (0, "one\ntwo\n")
    assert told.count(f"... {said}\n") == 1
    view.feed(ended)
    assert f"... {said}" in bundle(subject, view, live)["text/plain"]
