"""Wiring and life of a serving agent: open everything, serve, let go. Jobs outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket

from cluster_agent import __version__
from cluster_agent.config import Config, ConfigError
from cluster_agent.content.projects import Projects
from cluster_agent.executors.kit import install_kit
from cluster_agent.executors.local import LocalExecutor
from cluster_agent.folder import write_durably
from cluster_agent.home import Home, Instance, boot_id, user_name
from cluster_agent.jobs.dispatcher import Bounds, Dispatcher
from cluster_agent.jobs.gpus import declared_gpus, find_gpus
from cluster_agent.jobs.ids import IdSource, highest_folder
from cluster_agent.jobs.intake import Intake
from cluster_agent.jobs.life import MakeVariables
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.slots import Slots, box_capacity
from cluster_agent.jobs.sql import HomeInUse, SqlThread, connect
from cluster_agent.jobs.store import NewerDatabase, Store, migrate
from cluster_agent.jobs.submit import Policy
from cluster_agent.log.watch import LogWatcher
from cluster_agent.protocol import PROTOCOL_VERSION, Ready
from cluster_agent.server.app import Agent, make_application
from cluster_agent.server.auth import Keyring
from cluster_agent.server.history import load_static
from cluster_agent.server.routes import ROUTES, check_table
from cluster_agent.supervisor.environment import build_variables

_log = logging.getLogger(__name__)
_MAX_HEADER_BYTES = 65536
_DESCRIPTORS = 65536
_IDLE_LOOK_S = 2.0


def serve(config: Config) -> None:
    """Serve until a TERM or INT.

    Raises
    ------
    ConfigError
        When the agent cannot start with these settings; one line for people.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    check_table(ROUTES)
    os.umask(0o077)
    # Each follower takes two descriptors, each running job some more.
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, min(most, _DESCRIPTORS)), most))
    home = Home(config.home)
    instance = home.prepare()
    asyncio.run(_serve(config, home, instance))


async def _serve(config: Config, home: Home, instance: Instance) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _opened(config, home, instance) as agent:
        await agent.dispatcher.recover()
        with _listening(agent, home):
            print(f"cluster-agent ready: {agent.own_url} (home {home.path})", flush=True)  # noqa: T201
            await _until(stop, agent)


async def _until(stop: asyncio.Event, agent: Agent) -> None:
    """Return when told to, or when an agent of one's own has been idle for long enough."""
    while not stop.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), _IDLE_LOOK_S)
        idle_exit = agent.config.idle_exit
        busy = agent.dispatcher.running or agent.dispatcher.waiting
        if busy:
            agent.touch()
        elif idle_exit is not None and time.monotonic() - agent.last_request > idle_exit:
            return


@contextlib.asynccontextmanager
async def _opened(config: Config, home: Home, instance: Instance) -> AsyncIterator[Agent]:
    """The agent with everything open; all of it is closed in the opposite order."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            db = connect(home.database)
            migrate(db)
        except (HomeInUse, NewerDatabase) as error:
            raise ConfigError(str(error)) from None
        sql = SqlThread(db)
        stack.push_async_callback(sql.close)
        store = Store(sql)
        keyring = Keyring(store, await store.tokens(), shared_uid=config.shared_uid, secret=instance.secret)
        await _first_token(home, keyring)
        _check_users(config, keyring)
        ids = _ids(home, instance, await store.highest_id())
        stack.callback(ids.close)
        projects = _projects(config, home)
        found = find_gpus()
        gpus = found if config.gpus is None else declared_gpus(config.gpus, found)
        slots = Slots(gpus, box_capacity(gpus))
        watcher = LogWatcher()
        stack.callback(watcher.close)
        kit = install_kit(home.path)
        executor = LocalExecutor(kit, spares=config.spares, log=home.supervisor_log)
        await executor.open()
        stack.push_async_callback(executor.close)
        dispatcher = Dispatcher(
            store=store,
            executor=executor,
            slots=slots,
            watcher=watcher,
            folder=home.jobs,
            variables=_variables(config, projects, kit),
            bounds=Bounds(
                max_queue=config.max_queue,
                max_queue_user=config.max_queue_user,
                max_timeout_s=config.max_timeout,
                log_limit_bytes=config.log_limit,
            ),
            boot_id=boot_id(),
        )
        stack.push_async_callback(dispatcher.close)
        policy = _policy(config, slots, projects)
        yield Agent(
            agent_id=instance.agent_id,
            config=config,
            policy=policy,
            store=store,
            dispatcher=dispatcher,
            intake=Intake(store=store, dispatcher=dispatcher, ids=ids, policy=policy),
            keyring=keyring,
            slots=slots,
            projects=projects,
            watcher=watcher,
            routes=ROUTES,
            static=load_static(),
            python_version=await asyncio.to_thread(_python_version, config),
            survives_restart=survives_restart(),
        )


def _ids(home: Home, instance: Instance, highest_id: int) -> IdSource:
    at_least = max(highest_id + 1, highest_folder(home.jobs) + 1, instance.first_id)
    try:
        return IdSource(home.next_id, at_least=at_least, boot_id=boot_id())
    except OSError as error:
        raise ConfigError(f"{home.path} cannot be written: {error.strerror}") from None


def _projects(config: Config, home: Home) -> Projects:
    root = Path(config.project) if config.project else home.project
    try:
        return Projects({"default": root})
    except OSError as error:
        raise ConfigError(f"the project folder {root} cannot be used: {error.strerror}") from None


def _policy(config: Config, slots: Slots, projects: Projects) -> Policy:
    return Policy(
        total=slots.total,
        default_gpus=min(1, slots.total.gpus) if config.default_gpus is None else config.default_gpus,
        default_timeout_s=config.default_timeout,
        max_timeout_s=config.max_timeout,
        max_grace_s=config.max_grace,
        projects=[project.name for project in projects.describe()],
        python=config.python,
        any_python=config.local,
    )


def _variables(config: Config, projects: Projects, kit: Path) -> MakeVariables:
    """What builds the environment of a job: an allow-list of the agent's, ops', the job's own, then ours."""

    def build(record: JobRecord, env: Mapping[str, str]) -> dict[str, str]:
        ours = {
            "PROJECT_URL": projects.root(record.project).as_uri(),
            "MLMAGICS_JOB_ID": str(record.job_id),
            "CUDA_VISIBLE_DEVICES": ",".join(record.gpu_ids),
            "PYTHONPATH": str(kit),
        }
        return build_variables(os.environ, config.env, env, ours, record.python)

    return build


async def _first_token(home: Home, keyring: Keyring) -> None:
    """Make the admin token at the first start, so that there is never an agent without one."""
    if keyring.infos:
        return
    token, _ = await keyring.create(user_name(os.geteuid()), "admin", label="first start")
    write_durably(home.token, f"{token}\n".encode())


def _check_users(config: Config, keyring: Keyring) -> None:
    users = {info.user for info in keyring.infos if info.revoked_at is None}
    if len(users) > 1 and not config.shared_uid:
        raise ConfigError(
            f"{', '.join(sorted(users))} have tokens, but all jobs run as one unix user: each could read and stop"
            " what the others run. If that is fine: --shared-uid; else revoke tokens with cluster-agent token"
        )


def _python_version(config: Config) -> str:
    """Version of the Python that jobs use; a Python that cannot be started is told at once."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    command = [config.python, "-I", "-S", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"--python {config.python} cannot be started: {error}") from None
    return done.stdout.strip()


def survives_restart() -> bool:
    """Whether jobs outlive this agent as it was started: not under a unit that kills its whole group.

    A first process of a container takes everything along; so does a systemd unit without
    ``KillMode=process``, which the unit of ``cluster-agent init --service`` has and announces here.
    """
    if os.getpid() == 1:
        return False
    return "INVOCATION_ID" not in os.environ or os.environ.get("CLUSTER_AGENT_KILL_MODE") == "process"


@contextlib.contextmanager
def _listening(agent: Agent, home: Home) -> Iterator[None]:
    """Serve on the address and the control socket, and say so in the home."""
    application = make_application(agent)
    web = HTTPServer(
        application,
        ssl_options=_tls(agent.config),
        max_body_size=2**50,  # each route has its own limit, checked before the body is read
        max_header_size=_MAX_HEADER_BYTES,
        idle_connection_timeout=120,
        chunk_size=2**20,
        xheaders=False,
    )
    sockets = _bind(agent.config, home)
    web.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    agent.own_url = _own_url(agent.config, port)
    control = HTTPServer(
        application, max_body_size=2**50, max_header_size=_MAX_HEADER_BYTES, chunk_size=2**20
    )
    control.add_socket(bind_unix_socket(str(home.socket), 0o600))
    ready = Ready(
        url=agent.own_url,
        socket=str(home.socket),
        pid=os.getpid(),
        version=__version__,
        protocol=PROTOCOL_VERSION,
        agent_id=agent.agent_id,
    )
    write_durably(home.ready, msgspec.json.encode(ready))
    try:
        yield
    finally:
        home.ready.unlink(missing_ok=True)
        web.stop()
        control.stop()
        home.socket.unlink(missing_ok=True)


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--tls-cert {config.tls_cert} cannot be used: {error}") from None
    return context


def _bind(config: Config, home: Home) -> list[socket.socket]:
    """The listening sockets; an agent of one's own takes the port again that it had last."""
    port = config.port
    if config.local and port == 0 and home.port.exists():
        with contextlib.suppress(OSError, ValueError):
            return bind_sockets(int(home.port.read_text(encoding="ascii")), config.host)
    try:
        sockets = bind_sockets(port, config.host)
    except OSError as error:
        hint = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise ConfigError(f"{config.host}:{port} cannot be used: {error.strerror}{hint}") from None
    if config.local:
        home.port.write_text(str(sockets[0].getsockname()[1]), encoding="ascii")
    return sockets


def _own_url(config: Config, port: int) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(config.host, config.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if config.tls else 'http'}://{shown}:{port}"
