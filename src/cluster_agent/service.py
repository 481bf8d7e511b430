"""Wiring and life of a serving agent: open everything, serve, let go. Jobs outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import time
from collections.abc import AsyncIterator

from cluster_agent import __version__, service_log, settled
from cluster_agent.audit import Audit
from cluster_agent.config import Config, ConfigError
from cluster_agent.content.blobs import Blobs
from cluster_agent.environments.provision import Provision
from cluster_agent.executors.kit import install_kit
from cluster_agent.executors.local import LocalExecutor
from cluster_agent.folder import FOLDER_VERSION, write_durably
from cluster_agent.home import Home, Instance, boot_id, user_name
from cluster_agent.isolation.force import open_kit
from cluster_agent.jobs.access import Access
from cluster_agent.jobs.dispatcher import Dispatcher
from cluster_agent.jobs.gpu_use import GpuWatch
from cluster_agent.jobs.gpus import declared_gpus, find_gpus
from cluster_agent.jobs.intake import Intake
from cluster_agent.jobs.ledger import newest_format
from cluster_agent.jobs.orders import Orders
from cluster_agent.jobs.past import Past
from cluster_agent.jobs.retention import Readers, Retention, Terms
from cluster_agent.jobs.slots import Slots, box_capacity
from cluster_agent.jobs.sql import HomeInUse, NoDatabase, SqlThread
from cluster_agent.jobs.store import NewerDatabase, Store, open_database
from cluster_agent.log.watch import LogWatcher
from cluster_agent.pages import load_static
from cluster_agent.restarts import survives_restart
from cluster_agent.server.app import Agent
from cluster_agent.server.auth import Keyring
from cluster_agent.server.listening import listening
from cluster_agent.server.peers import Peers
from cluster_agent.server.routes import ROUTES, check_table
from cluster_agent.storage import Storage

_log = logging.getLogger(__name__)
_DESCRIPTORS = 65536
_IDLE_LOOK_S = 2.0


def serve(config: Config) -> None:
    """Serve until a TERM or INT.

    Raises
    ------
    ConfigError
        When the agent cannot start with these settings; one line for people.
    """
    service_log.set_up(config.log_format, config.log_level)
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
        await _check_formats(agent)
        await agent.dispatcher.recover()
        with listening(agent, home):
            who = {"user": user_name(os.geteuid()), "from": "box"}
            agent.audit.note("start", **who, version=__version__, outcome="ok")
            print(f"cluster-agent ready: {agent.own_url} (home {home.path})", flush=True)  # noqa: T201
            chores = [
                asyncio.create_task(agent.retention.run()),
                asyncio.create_task(agent.retention.keep_measured(lambda: agent.dispatcher.change)),
                asyncio.create_task(agent.storage.watch()),
                asyncio.create_task(agent.keyring.watch()),
                asyncio.create_task(agent.gpu_watch.watch()),
                asyncio.create_task(agent.interpreters.look()),
            ]
            try:
                await _until(stop, agent)
            finally:
                for chore in chores:
                    chore.cancel()
                await asyncio.gather(*chores, return_exceptions=True)
                agent.audit.note("stop", **who, outcome="ok")


async def _check_formats(agent: Agent) -> None:
    """Refuse to touch jobs whose files a newer agent has begun."""
    for record in await agent.store.active():
        folder = agent.dispatcher.folder_of(record.job_id)
        found = await asyncio.to_thread(newest_format, folder)
        if found > FOLDER_VERSION:
            raise ConfigError(
                f"{folder.path} has files of version {found}, this agent knows {FOLDER_VERSION}: job"
                f" {record.job_id} was started by a newer agent, which must be installed again"
            )


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
        storage = Storage(home.path, config.reserve)
        try:
            db = open_database(home.database, storage)
        except (HomeInUse, NoDatabase, NewerDatabase) as error:
            raise ConfigError(str(error)) from None
        if not await asyncio.to_thread(storage.verify):
            storage.give_up_part()  # for what must be written to serve at all
        sql = SqlThread(db, storage)
        stack.push_async_callback(sql.close)
        store = Store(sql)
        access, audit = Access(sql), Audit(home.audit)
        force = await asyncio.to_thread(settled.isolation, config, home)
        apart = config.shared_uid or force.people is not None
        keyring = Keyring(access, await access.tokens(), shared_uid=apart, secret=instance.secret)
        stack.push_async_callback(keyring.note_uses)
        await _first_token(home, keyring)
        if not apart:
            _check_users(keyring)
        ids = await asyncio.to_thread(settled.ids, home, instance, await store.highest_id(), storage)
        stack.callback(ids.close)
        projects = settled.projects(config, home, force)
        blobs = Blobs(home.blobs, quota_bytes=config.blob_quota, room_bytes=config.reserve)
        await asyncio.to_thread(blobs.sweep)
        found = find_gpus()
        gpus = found if config.gpus is None else declared_gpus(config.gpus, found)
        slots = Slots(gpus, box_capacity(gpus))
        watcher = LogWatcher()
        stack.callback(watcher.close)
        kit = install_kit(home.path)
        if force.people is not None:
            await asyncio.to_thread(open_kit, kit)
        interpreters = settled.interpreters(config, kit)
        provision = Provision(
            settings=config.packages,
            keep_s=config.keep,
            shelf=home.environments,
            interpreters=interpreters,
            environ=os.environ,
            force=force,
        )
        executor = LocalExecutor(
            kit,
            spares=config.spares,
            warm=config.warm,
            log=home.supervisor_log,
            enforce_memory=not config.local if config.enforce_memory is None else config.enforce_memory,
            cgroup=force.place,
            compiled=open_kit if force.people is not None else None,
        )
        await executor.open(settled.expected(config, kit) if force.people is None else None)
        stack.push_async_callback(executor.close)
        past, gpu_watch, readers = Past(sql), GpuWatch(gpus), Readers()
        dispatcher = Dispatcher(
            store=store,
            storage=storage,
            past=past,
            executor=executor,
            slots=slots,
            gpu_watch=gpu_watch,
            limits=config.limits,
            max_queue=config.max_queue,
            watcher=watcher,
            folder=home.jobs,
            drain_file=home.drain,
            orders=Orders(
                variables=settled.variables(interpreters, projects, kit, force),
                confine=settled.confine(config, projects, force),
                alone=force.people is None,
                log_limit_bytes=config.log_limit,
                keep_each_bytes=config.keep_each,
                keep_all_bytes=config.keep_all,
            ),
            lay_inputs=blobs.lay,
            provide=provision.order,
            boot_id=boot_id(),
        )
        stack.push_async_callback(dispatcher.close)
        retention = Retention(
            past=past,
            jobs=home.jobs,
            trash=home.trash,
            terms=Terms(keep_s=config.keep, keep_bytes=config.keep_size),
            tidy_environments=provision.tidy,
            collect_blobs=blobs.collect,
            busy=lambda job_id: dispatcher.holds(job_id) or job_id in readers,
        )
        stack.callback(retention.stop)
        policy = settled.policy(config, slots, projects, provision)
        yield Agent(
            agent_id=instance.agent_id,
            config=config,
            policy=policy,
            store=store,
            storage=storage,
            past=past,
            ids=ids,
            dispatcher=dispatcher,
            intake=Intake(
                store=store,
                storage=storage,
                dispatcher=dispatcher,
                ids=ids,
                policy=policy,
                limits=config.limits,
                blobs=blobs,
            ),
            retention=retention,
            readers=readers,
            keyring=keyring,
            peers=Peers(
                users=config.users,
                people=force.people,
                keyring=keyring,
                role="viewer" if config.people_role == "viewer" else "user",
                admins=config.admins,
            ),
            access=access,
            audit=audit,
            slots=slots,
            spares=executor.spares,
            gpu_watch=gpu_watch,
            projects=projects,
            blobs=blobs,
            interpreters=interpreters,
            provision=provision,
            isolation=force,
            watcher=watcher,
            routes=settled.routes(config),
            **settled.certificate(config),
            static=load_static(),
            python_version=await asyncio.to_thread(settled.python_version, config),
            survives_restart=survives_restart(),
        )


async def _first_token(home: Home, keyring: Keyring) -> None:
    """Make the admin token at the first start, so that there is never an agent without one."""
    if keyring.infos:
        return
    token, _ = await keyring.create(user_name(os.geteuid()), "admin", label="first start")
    write_durably(home.token, f"{token}\n".encode())


def _check_users(keyring: Keyring) -> None:
    users = {info.user for info in keyring.infos if info.revoked_at is None}
    if len(users) > 1:
        raise ConfigError(
            f"{', '.join(sorted(users))} have tokens, but all jobs run as one unix user: each could read and stop"
            " what the others run. If that is fine: --shared-uid; else --isolation user, or revoke tokens with cluster-agent token"
        )
