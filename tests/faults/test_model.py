"""A real agent against a model: whatever people, networks and crashes do in whatever order, the promises hold.

The model knows what was accepted, what each reader has seen and what each cell has done; it knows nothing of
how the agent works.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
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
from cluster_agent.errors import Unreachable
from cluster_agent.protocol import DONE, Event, State, Submit
from running import AgentProcess, until

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
    """Submits, cancels, follows, kills, restarts, cuts and heals."""

    jobs: Bundle[Known] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model"))
        self.agent = AgentProcess(self.folder / "home")
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
            until(self.folder_is_gone)

    def folder_is_gone(self) -> bool:
        """Bytecode may be compiled there for a moment longer, by a process of an agent that was killed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

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
        assert known.job_id in (None, job.job_id), "a second job under one key"
        known.job_id, known.tag = job.job_id, job.log_tag

    @rule(known=jobs)
    def open_gate(self, known: Known) -> None:
        known.gate.touch()

    @rule(known=jobs)
    def cancel(self, known: Known) -> None:
        if known.job_id is not None:
            known.cancelled = True
            with contextlib.suppress(Unreachable):
                self.client.cancel(known.job_id)

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
        self.agent.start()
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
        if not self.up:
            self.agent.start()
        self.proxy.cut()
        self.proxy.heal()
        self.up = self.connected = True
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
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
}


def test_the_promises_hold_in_whatever_order_things_happen():
    chosen = settings(max_examples=6, stateful_step_count=12, phases=[Phase.generate], **COMMON)
    run_state_machine_as_test(AgentMachine, settings=chosen)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_promises_hold_for_long():
    chosen = settings(max_examples=60, stateful_step_count=30, **(COMMON | {"derandomize": False}))
    run_state_machine_as_test(AgentMachine, settings=chosen)
