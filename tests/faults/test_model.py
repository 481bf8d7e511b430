"""A real agent against a model: whatever people, networks and crashes do in whatever order, the promises hold.

The model knows what was accepted, what each reader has seen and what each cell has done; it knows nothing of
how the agent works.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from disks import fill
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from proxy import Proxy

from cluster_agent.client import AgentClient
from cluster_agent.errors import StorageFault, Unreachable
from cluster_agent.protocol import DONE, Event, State, Submit
from running import AgentProcess, NotReady, until

CELL = """
import os, sys, time
open({effects!r}, "a").write("x")
for i in range({lines}):
    print(i, "." * {width}, flush=i % 7 == 0)
while not os.path.exists({gate!r}):
    time.sleep(0.01)
    {chat}
sys.exit({code})
"""


@dataclass
class Known:
    """What the model knows of a job."""

    key: str
    spec: Submit
    effects: Path
    gate: Path
    code: int
    job_id: int | None = None
    #: events that a reader has seen, and where the next one goes on
    seen: list[Event] = field(default_factory=list)
    tag: str = ""
    cancelled: bool = False
    ended: Event | None = None


class AgentMachine(RuleBasedStateMachine):
    """Submits, cancels, follows, kills, restarts, cuts and heals; fills and frees the disk where it has one.

    Parameters
    ----------
    folder
        For what jobs leave as a trace of themselves.
    disk
        A small disk for the agent's home, which may be filled.
    """

    jobs: Bundle[Known] = Bundle("jobs")
    examples = itertools.count()

    def __init__(self, folder: Path, disk: Path | None = None) -> None:
        super().__init__()
        number = next(self.examples)
        self.disk = disk
        self.folder = folder / f"example-{number}"
        self.folder.mkdir()
        self.box = (disk or folder) / f"box-{number}"
        self.box.mkdir()
        self.agent = AgentProcess(self.box / "home")
        self.agent.stderr = self.folder / "stderr"
        self.agent.start()
        self.agent.flags = ("--port", self.agent.url.rpartition(":")[2])
        self.proxy = Proxy(self.agent.url)
        self.patient, self.hasty = (
            AgentClient(self.proxy.url, token=self.agent.token, timeout_s=limit_s) for limit_s in (60.0, 0.5)
        )
        self.known: list[Known] = []
        self.numbers = itertools.count()
        self.up = True
        self.connected = True
        #: what takes all that is left of the disk
        self.filler: Path | None = None
        #: the disk was filled, and the agent has not said since that it takes writes again
        self.doubt = False

    @property
    def client(self) -> AgentClient:
        """One that waits long for what must come, and not for what cannot."""
        return self.patient if self.up and self.connected else self.hasty

    def teardown(self) -> None:
        try:
            self.check_all_at_the_end()
        finally:
            self.patient.close()
            self.hasty.close()
            self.proxy.close()
            self.agent.destroy()
            if self.filler is not None:
                self.filler.unlink()
            until(self.box_is_gone)

    def box_is_gone(self) -> bool:
        """Bytecode may be compiled there for a moment longer, by a process of an agent that was killed."""
        shutil.rmtree(self.box, ignore_errors=True)
        return not self.box.exists()

    # --- people ---

    @rule(
        target=jobs,
        lines=st.integers(0, 200),
        width=st.integers(0, 500),
        code=st.sampled_from([0, 0, 3]),
        open_gate=st.booleans(),
        chatty=st.booleans(),
    )
    def submit(self, lines: int, width: int, code: int, open_gate: bool, chatty: bool) -> Known:
        number = next(self.numbers)
        effects, gate = self.folder / f"effects-{number}", self.folder / f"gate-{number}"
        if open_gate:
            gate.touch()
        source = CELL.format(
            effects=str(effects),
            gate=str(gate),
            lines=lines,
            width=width,
            code=code,
            chat='print("chat", flush=True)' if chatty else "pass",
        )
        known = Known(f"key-{number}", Submit(source=source, grace_s=0.5), effects, gate, code)
        self.known.append(known)
        self.send(known)
        return known

    @rule(known=jobs)
    def submit_again(self, known: Known) -> None:
        """The same key, as after a reply that was lost."""
        self.send(known)

    def send(self, known: Known) -> None:
        try:
            job = self.client.submit(known.spec, known.key)
        except Unreachable:
            assert not (self.up and self.connected)
            return
        except StorageFault:
            assert self.doubt
            assert known.job_id is None, "an accepted job is forgotten while the disk is full"
            if self.filler is None:
                self.wait_for_the_disk()
                self.send(known)
            return
        assert known.job_id in (None, job.job_id), "a second job under one key"
        known.job_id, known.tag = job.job_id, job.log_tag

    @rule(known=jobs)
    def open_gate(self, known: Known) -> None:
        known.gate.touch()

    @rule(known=jobs)
    def cancel(self, known: Known) -> None:
        if known.job_id is not None:
            known.cancelled = True
            try:
                self.client.cancel(known.job_id)
            except Unreachable:
                assert not (self.up and self.connected)
            except StorageFault:
                assert self.doubt

    @rule(known=jobs, count=st.integers(1, 100))
    def read_on(self, known: Known, count: int) -> None:
        """Some more events from where the reader stands."""
        if known.job_id is None:
            return
        after = f"{known.tag}.{known.seen[-1].seq}" if known.seen else "0"
        with contextlib.suppress(Unreachable):
            stream = self.client.events(known.job_id, after=after)
            with contextlib.closing(stream):  # type: ignore[type-var]
                for event in itertools.islice(stream, count):
                    known.seen.append(event)
                    assert event.seq == len(known.seen)

    # --- crashes and networks ---

    @precondition(lambda self: self.up)
    @rule()
    def kill(self) -> None:
        self.agent.kill()
        self.up = False

    @precondition(lambda self: self.up)
    @rule()
    def stop(self) -> None:
        self.agent.stop()
        self.up = False

    @precondition(lambda self: not self.up)
    @rule()
    def start(self) -> None:
        try:
            self.agent.start()
        except NotReady as error:
            if self.filler is None or "Traceback" in str(error):
                raise
        else:
            self.up = True

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        self.proxy.cut()
        self.connected = False

    @precondition(lambda self: self.connected)
    @rule()
    def stall(self) -> None:
        self.proxy.stall()
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule()
    def heal(self) -> None:
        self.proxy.cut()  # what stalled for long does not go on
        self.proxy.heal()
        self.connected = True

    @precondition(lambda self: self.disk is not None and self.filler is None)
    @rule()
    def fill(self) -> None:
        self.filler = fill(self.disk)
        self.doubt = True

    @precondition(lambda self: self.filler is not None)
    @rule()
    def free(self) -> None:
        self.filler.unlink()
        self.filler = None

    def wait_for_the_disk(self) -> None:
        """Until the agent has seen that it may write again."""

        def healthy() -> bool:
            try:
                return self.client.health().status == "ok"
            except StorageFault:
                return False

        until(healthy)
        self.doubt = False

    # --- promises ---

    @invariant()
    def each_cell_has_run_once_at_most(self) -> None:
        for known in self.known:
            assert not known.effects.exists() or known.effects.read_text() in {"", "x"}

    @invariant()
    def what_was_accepted_is_there(self) -> None:
        if not (self.up and self.connected):
            return
        told = {job.job_id: job for job in self.client.jobs(limit=1000).jobs}
        for known in self.known:
            if known.job_id is not None:
                assert known.job_id in told
                if known.ended is not None:
                    assert told[known.job_id].state is known.ended.state, "an end was revised"

    def check_all_at_the_end(self) -> None:
        """Everything heals; each job ends, and what was seen is what is in its log."""
        if self.filler is not None:
            self.free()
        if not self.up:
            self.agent.start()
        self.proxy.cut()
        self.proxy.heal()
        self.up = self.connected = True
        if self.doubt:
            self.wait_for_the_disk()
        for known in self.known:
            known.gate.touch()
            self.send(known)
        for known in self.known:
            assert known.job_id is not None
            until(lambda known=known: self.client.job(known.job_id).state in DONE)
            job = self.client.job(known.job_id)
            events = list(self.client.events(known.job_id))
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert [event.type for event in events].count("ended") == 1
            assert events[: len(known.seen)] == known.seen, "what a reader has seen has changed"
            assert (events[-1].type, events[-1].state) == ("ended", job.state)
            if job.state is State.CANCELLED:
                assert known.cancelled
                continue
            assert job.state is (State.FAILED if known.code else State.SUCCEEDED), job.reason
            assert (job.exit_code, job.complete) == (known.code, True)
            assert known.effects.read_text() == "x"
        ids = [known.job_id for known in self.known]
        assert len(set(ids)) == len(ids)


COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
}
#: The same examples each time; `make soak` draws others, and prints how to have a failed one again.
QUICK = settings(max_examples=4, derandomize=True, stateful_step_count=12, phases=[Phase.generate], **COMMON)
LONG = settings(max_examples=60, stateful_step_count=30, print_blob=True, **COMMON)
SOAK = [pytest.mark.soak, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    "chosen", [pytest.param(QUICK, id="quick"), pytest.param(LONG, marks=SOAK, id="long")]
)
def test_the_promises_hold_in_whatever_order_things_happen(chosen, tmp_path):
    run_state_machine_as_test(partial(AgentMachine, tmp_path), settings=chosen)


@pytest.mark.parametrize(
    "chosen", [pytest.param(QUICK, id="quick"), pytest.param(LONG, marks=SOAK, id="long")]
)
def test_the_promises_hold_on_a_disk_that_fills(chosen, tmp_path, tmpfs):
    run_state_machine_as_test(partial(AgentMachine, tmp_path, tmpfs), settings=chosen)
