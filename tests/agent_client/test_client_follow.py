"""Following a job over connections that break in every way: each event once, in order, to the last one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from wire_server import (
    END,
    HEARTBEAT,
    KEEP,
    NDJSON,
    TAG,
    Request,
    WireServer,
    a_log,
    behind,
    chunk,
    error_reply,
    reply,
    stream_head,
)

from cluster_agent.client import AgentClient, Hook
from cluster_agent.errors import (
    AgentError,
    BadCursor,
    BeyondEnd,
    Forbidden,
    Gone,
    NotFound,
    Unauthorized,
    Unreachable,
)
from cluster_agent.protocol import Event, State
from running import until

LOG = a_log()
ALL = list(range(1, len(LOG) + 1))


def whole_answer(request: Request, lines: list[bytes] = LOG) -> bytes:
    return stream_head() + b"".join(map(chunk, behind(lines, request))) + END


def collect(into: list[Event], events: Iterable[Event]) -> None:
    for event in events:
        into.append(event)  # noqa: PERF402 - what came before an error counts


def seqs(events: Iterable[Event]) -> list[int]:
    return [event.seq for event in events if event.seq is not None]


def test_follow_gives_everything_by_one_connection() -> None:
    with WireServer(lambda request: [whole_answer(request)]) as server, AgentClient(server.url) as client:
        events = list(client.follow(42))
    assert seqs(events) == ALL
    assert events[-1].state is State.SUCCEEDED
    [request] = server.requests
    assert (request.path, request.query) == ("/v1/jobs/42/events", {"after": "0", "follow": "1"})


def test_follow_survives_a_cut_after_any_byte() -> None:
    """Also within the head, within a line, within a character and within the framing of the stream."""
    length = len(whole_answer(Request("", "", {"after": "0"}, {}, b"")))
    tries: dict[str, int] = {}

    def answer(request: Request) -> Iterator[bytes]:
        number = tries.setdefault(request.path, 0)
        tries[request.path] += 1
        data = whole_answer(request)
        cut = int(request.path.split("/")[3])
        yield data[:cut] if number == 0 else data

    def one(cut: int) -> list[int]:
        return seqs(client.follow(cut))

    with WireServer(answer) as server, AgentClient(server.url) as client, ThreadPoolExecutor(24) as pool:
        results = list(pool.map(one, range(length)))
    assert all(got == ALL for got in results)
    asked = {request.query["after"] for request in server.requests}
    assert asked == {"0", *(f"{TAG}.{seq}" for seq in ALL[:-1])}


def test_follow_survives_a_connection_for_each_event() -> None:
    def answer(request: Request) -> Iterator[bytes]:
        line = behind(LOG, request)[0]
        yield stream_head() + chunk(line[:-5])
        yield chunk(line[-5:])

    with WireServer(answer) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42)) == ALL
    assert len(server.requests) == len(ALL)


def test_an_unfinished_job_is_never_called_finished() -> None:
    """A stream that ends properly, but without ``ended``, is come back for."""
    growing = [LOG[:2], LOG[:2], LOG[:4], LOG]

    def answer(request: Request) -> Iterator[bytes]:
        # A stream without news makes the client ask for the last event: it is not `ended`.
        yield whole_answer(request, LOG[1:2] if "tail" in request.query else growing.pop(0))

    troubles: list[AgentError] = []
    with WireServer(answer) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42, on_trouble=troubles.append)) == ALL
    assert len(troubles) == 3
    assert "ended before the job did" in str(troubles[0])


def test_events_that_come_again_are_not_shown_again() -> None:
    answers = [
        stream_head() + b"".join(map(chunk, LOG[:4])),
        stream_head() + b"".join(map(chunk, [*LOG[1:3], *LOG[:6]])),
        stream_head() + b"".join(map(chunk, LOG)),
    ]
    with WireServer(lambda _: [answers.pop(0)]) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42)) == ALL


def test_events_that_are_left_out_are_asked_for_again() -> None:
    answers = [stream_head() + b"".join(map(chunk, [*LOG[:2], *LOG[3:]]))]
    troubles: list[AgentError] = []

    def answer(request: Request) -> Iterator[bytes]:
        yield answers.pop() if answers else whole_answer(request)

    with WireServer(answer) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42, on_trouble=troubles.append)) == ALL
    assert "event 4 after event 2" in str(troubles[0])


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(reply(b"<h1>Bad Gateway</h1>", "text/html", "502 Bad Gateway"), id="proxy"),
        pytest.param(error_reply("500 Oops", "server_fault", "a fault"), id="fault"),
        pytest.param(error_reply("429 Wait", "too_many_tries", "slowly"), id="too many tries"),
        pytest.param(reply(b"<h1>Hello</h1>", "text/html"), id="login page"),
        pytest.param(stream_head() + chunk(b"garbage\n"), id="garbage"),
        pytest.param(stream_head(tag="") + chunk(LOG[0]), id="no tag"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="ssh"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_may_pass_is_tried_again(broken: bytes) -> None:
    calls: list[Request] = []

    def answer(request: Request) -> Iterator[bytes]:
        calls.append(request)
        yield broken if len(calls) <= 2 else whole_answer(request)

    troubles: list[AgentError] = []
    with WireServer(answer) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42, on_trouble=troubles.append)) == ALL
    assert 1 <= len(troubles) <= 2


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("401 No", "unauthorized", Unauthorized),
        ("403 No", "forbidden", Forbidden),
        ("404 No", "not_found", NotFound),
        ("410 No", "gone", Gone),
        ("416 No", "beyond_end", BeyondEnd),
        ("400 No", "bad_cursor", BadCursor),
    ],
)
def test_what_cannot_pass_is_raised(status: str, code: str, kind: type[AgentError]) -> None:
    answers = [stream_head() + chunk(LOG[0]), error_reply(status, code, "so it is", nearest=f"{TAG}.1")]
    got: list[Event] = []
    with (
        WireServer(lambda _: [answers.pop(0)]) as server,
        AgentClient(server.url) as client,
        pytest.raises(kind, match="so it is") as caught,
    ):
        collect(got, client.follow(42))
    assert type(caught.value) is kind
    assert caught.value.nearest == f"{TAG}.1"
    assert seqs(got) == [1]


def test_silence_means_a_new_connection() -> None:
    done = threading.Event()
    calls: list[Request] = []

    def answer(request: Request) -> Iterator[bytes]:
        calls.append(request)
        if len(calls) > 1:
            yield whole_answer(request)
            return
        yield stream_head() + chunk(LOG[0]) + chunk(HEARTBEAT)
        done.wait(60)

    troubles: list[AgentError] = []
    with WireServer(answer) as server, AgentClient(server.url, silence_s=0.3) as client:
        assert seqs(client.follow(42, on_trouble=troubles.append)) == ALL
        done.set()
    assert "nothing came for 0.3 s" in str(troubles[0])
    assert [request.query["after"] for request in server.requests] == ["0", f"{TAG}.1"]


def test_unstored_lines_are_given_out_and_move_no_cursor() -> None:
    queue = b'{"type":"queue","state":"queued","position":2,"waiting_for":"a GPU"}\n'
    first = stream_head() + chunk(queue) + chunk(HEARTBEAT)

    def answer(request: Request) -> Iterator[bytes]:
        yield first if len(server.requests) == 1 else whole_answer(request)

    with WireServer(answer) as server, AgentClient(server.url) as client:
        events = list(client.follow(42))
    assert [event.type for event in events[:2]] == ["queue", "heartbeat"]
    assert (events[0].position, events[0].waiting_for) == (2, "a GPU")
    assert seqs(events) == ALL
    assert [request.query["after"] for request in server.requests] == ["0", "0"]


def test_tail_is_asked_for_until_something_came_and_then_a_cursor() -> None:
    answers = [b"", stream_head() + chunk(LOG[3])]

    def answer(request: Request) -> Iterator[bytes]:
        yield answers.pop() if request.query.get("tail") and answers else whole_answer(request)

    with WireServer(answer) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42, tail=4)) == [4, 5, 6, 7]
    assert server.requests[0].query == {"tail": "4", "follow": "1"}
    assert server.requests[-1].query == {"after": f"{TAG}.4", "follow": "1"}


def test_follow_from_a_cursor() -> None:
    with WireServer(lambda request: [whole_answer(request)]) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42, after=f"{TAG}.5")) == [6, 7]
        with pytest.raises(BadCursor, match="'yesterday'"):
            list(client.follow(42, after="yesterday"))


def test_events_without_follow_end_where_the_log_ends() -> None:
    lines = LOG[:3]
    with WireServer(lambda r: [whole_answer(r, lines)]) as server, AgentClient(server.url) as client:
        assert seqs(client.events(42)) == [1, 2, 3]
        assert seqs(client.events(42, tail=2)) == [2, 3]
    assert "follow" not in server.requests[0].query


@pytest.mark.parametrize("follow", [False, True])
def test_events_of_one_connection_say_when_it_broke(follow: bool) -> None:
    data = stream_head() + chunk(LOG[0]) + chunk(LOG[1][:9])
    for ending in (b"", END):
        with (
            WireServer(lambda _, ending=ending: [data + ending]) as server,
            AgentClient(server.url) as client,
        ):
            got: list[Event] = []
            with pytest.raises(Unreachable):
                collect(got, client.events(42, follow=follow))
            assert seqs(got) == [1]


def test_an_answer_without_a_length_is_not_believed() -> None:
    """Nobody could tell its end from a broken connection."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {NDJSON}\r\nLog-Tag: {TAG}\r\n\r\n".encode()
    with (
        WireServer(lambda _: [head + LOG[0]]) as server,
        AgentClient(server.url) as client,
        pytest.raises(Unreachable, match="without a length"),
    ):
        list(client.events(42))


def test_a_follower_that_stops_gives_its_connection_back() -> None:
    with (
        WireServer(lambda request: [whole_answer(request), KEEP]) as server,
        AgentClient(server.url) as client,
    ):
        events = client.follow(42)
        assert next(events).seq == 1
        events.close()
        assert seqs(client.follow(42)) == ALL


def test_follow_ends_at_once_when_somebody_hangs_up_and_the_client_goes_on() -> None:
    """However long the agent would be silent; over TCP, where the connection belongs to the stream alone."""
    held = threading.Event()

    def answer(request: Request) -> Iterator[bytes]:
        if request.path.endswith("/7/events"):
            yield whole_answer(request)
            return
        yield stream_head() + chunk(LOG[0])
        held.wait(30)

    hook = Hook()
    with WireServer(answer) as server, AgentClient(server.url) as client, ThreadPoolExecutor(1) as pool:
        seen: list[Event] = []
        following = pool.submit(collect, seen, client.follow(42, hook=hook))
        try:
            until(lambda: seen)
            hook.hang_up()
            following.result(10)
        finally:
            held.set()
        assert seqs(seen) == [1]
        assert list(client.follow(42, hook=hook)) == []
        assert seqs(client.follow(7)) == ALL


def test_follow_hanging_up_after_the_end_leaves_the_connections_of_others_alone() -> None:
    hook = Hook()
    with WireServer(lambda request: [whole_answer(request)]) as server, AgentClient(server.url) as client:
        assert seqs(client.follow(42, hook=hook)) == ALL
        with_same_connection = client.follow(43)
        first = next(with_same_connection)
        hook.hang_up()
        assert seqs([first, *with_same_connection]) == ALL
        assert len(server.requests) == 2


def test_follow_waits_for_another_connection_no_longer_than_somebody_wants() -> None:
    hook = Hook()
    troubles: list[AgentError] = []

    def troubled(error: AgentError) -> None:
        troubles.append(error)
        hook.hang_up()

    with AgentClient("http://127.0.0.1:9") as client:
        assert list(client.follow(42, on_trouble=troubled, hook=hook)) == []
    assert len(troubles) == 1
