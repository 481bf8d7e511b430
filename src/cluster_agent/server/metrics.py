"""``GET /metrics``: what Prometheus collects, in its text format. Names of people are not in it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from cluster_agent import __version__
from cluster_agent.protocol import DONE, State
from cluster_agent.server.call import Call, Route
from cluster_agent.server.info import free_bytes

TEXT = "text/plain; version=0.0.4"
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_Value = tuple[dict[str, str], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric: its values by their labels."""

    name: str
    #: ``counter``, ``gauge`` or ``histogram``
    kind: str
    help: str
    values: Sequence[_Value]


def text_of(metrics: Sequence[Metric]) -> str:
    """The metrics in Prometheus' text format. Pure."""
    lines: list[str] = []
    for metric in metrics:
        name = f"cluster_agent_{metric.name}"
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        for labels, value in metric.values:
            suffix = labels.get("", "")
            told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items() if key)
            lines.append(f"{name}{suffix}{f'{{{told}}}' if told else ''} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


@dataclass
class Meter:
    """Counts requests, and how long those take that are answered with a value."""

    _requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _slots: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * len(_BOUNDS)))
    _sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _counts: Counter[str] = field(default_factory=Counter)

    def count(self, route: Route | None, status: int, seconds: float) -> None:
        """Take note of a request that was answered."""
        method, path = (route.method, route.path) if route else ("-", "-")
        self._requests[method, path, str(status)] += 1
        if route is None or not isinstance(route.gives, type):
            return  # a stream lasts as long as it has something to say
        name = f"{method} {path}"
        self._sums[name] += seconds
        self._counts[name] += 1
        for number, bound in enumerate(_BOUNDS):
            if seconds <= bound:
                self._slots[name][number] += 1

    def metrics(self) -> list[Metric]:
        """What was counted."""
        requests = [
            ({"method": method, "route": path, "status": status}, float(count))
            for (method, path, status), count in sorted(self._requests.items())
        ]
        return [
            Metric(name="http_requests_total", kind="counter", help="Requests answered.", values=requests),
            Metric(
                name="http_request_seconds",
                kind="histogram",
                help="From the first byte of a request to the last of its answer.",
                values=[value for name in sorted(self._counts) for value in self._histogram(name)],
            ),
        ]

    def _histogram(self, name: str) -> Iterator[_Value]:
        for bound, count in zip(_BOUNDS, self._slots[name], strict=True):
            yield {"": "_bucket", "route": name, "le": f"{bound:g}"}, count
        yield {"": "_bucket", "route": name, "le": "+Inf"}, self._counts[name]
        yield {"": "_sum", "route": name}, self._sums[name]
        yield {"": "_count", "route": name}, self._counts[name]


async def metrics(call: Call) -> None:
    """The metrics as text."""
    agent = call.agent
    counts = await agent.store.counts()
    data = text_of([*_box(call, counts), *_health(call), *agent.meter.metrics()]).encode()
    call.start(f"{TEXT}; charset=utf-8", {"Content-Length": str(len(data))})
    await call.send(data)


def _one(name: str, help_text: str, value: float, kind: str = "gauge") -> Metric:
    return Metric(name=name, kind=kind, help=help_text, values=[({}, value)])


def _box(call: Call, counts: dict[str, int]) -> Iterator[Metric]:
    agent = call.agent
    total, free = agent.slots.total, agent.dispatcher.free
    yield Metric(
        name="info",
        kind="gauge",
        help="Which agent this is.",
        values=[({"version": __version__, "agent_id": agent.agent_id}, 1)],
    )
    yield Metric(
        name="jobs",
        kind="gauge",
        help="Jobs that are kept, by state.",
        values=[({"state": state.value}, counts.get(state.value, 0)) for state in State],
    )
    yield Metric(
        name="jobs_ended_total",
        kind="counter",
        help="Jobs that have ended since the start, by how.",
        values=[
            ({"state": state.value}, agent.dispatcher.ended.get(state, 0)) for state in State if state in DONE
        ],
    )
    for name, all_of, left in (
        ("gpus", total.gpus, free.gpus),
        ("cpus", total.cpus, free.cpus),
        ("memory_bytes", total.memory_bytes, free.memory_bytes),
    ):
        values: list[_Value] = [({"state": "free"}, max(0, left)), ({"state": "held"}, all_of - max(0, left))]
        yield Metric(
            name=name, kind="gauge", help="What jobs hold of the box, and what is free.", values=values
        )
    ready = Counter("imports" if kind.imports else "interpreter" for kind in agent.spares.warm)
    yield Metric(
        name="spares",
        kind="gauge",
        help="What waits for a job: supervisors, interpreters, and interpreters with imports done.",
        values=[
            ({"has": "supervisor"}, len(agent.spares)),
            *(({"has": name}, ready[name]) for name in ("interpreter", "imports")),
        ],
    )
    yield _one("kept_bytes", "What ended jobs take on disk.", agent.retention.kept_bytes)
    yield _one(
        "draining", "Whether no job is started for the time being.", agent.dispatcher.draining is not None
    )


def _health(call: Call) -> Iterator[Metric]:
    agent = call.agent
    process = psutil.Process()
    yield _one("up_seconds", "Since the start.", time.monotonic() - agent.started)
    yield _one("disk_free_bytes", "Free on the disk of the home.", free_bytes(agent.config.home))
    yield _one(
        "disk_refuses", "Whether the disk of the home refuses to write.", agent.storage.fault is not None
    )
    yield _one("follows", "Logs that are followed at present.", agent.reading.followers)
    failed = agent.token_attempts.total + agent.code_attempts.total
    yield _one("refused_logins_total", "Tokens and codes that were not accepted.", failed, "counter")
    yield _one("audit_lines_lost_total", "Acts that could not be recorded.", agent.audit.lost, "counter")
    if agent.certificate_ends_at is not None:
        yield _one("certificate_ends_timestamp_seconds", "End of the certificate.", agent.certificate_ends_at)
    yield _one("process_memory_bytes", "Memory of the agent itself.", process.memory_info().rss)
    yield _one("process_cpu_seconds_total", "CPU time of the agent itself.", time.process_time(), "counter")
    yield _one("process_open_files", "Open files of the agent itself.", process.num_fds())
