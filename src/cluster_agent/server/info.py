"""Calls about the agent itself."""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_agent import __version__
from cluster_agent.protocol import PROTOCOL_VERSION, Health, Info
from cluster_agent.server.call import Call

if TYPE_CHECKING:
    from cluster_agent.server.app import Agent

CAPABILITIES = ["blobs", "extend", "files", "idempotency", "invites", "project-files", "tail", "view-code"]


async def health(call: Call) -> Health:
    """Whether the agent serves and its disk takes writes."""
    call.agent.storage.check()
    return Health(status="ok", agent_id=call.agent.agent_id)


async def info(call: Call) -> Info:
    """Who this agent is, what it has, and what of it is free."""
    agent = call.agent
    total, free = agent.slots.total, agent.dispatcher.free
    drain = agent.dispatcher.draining
    limits = agent.config.limits.of(call.caller.user, call.caller.role)
    return Info(
        agent_id=agent.agent_id,
        version=__version__,
        protocol=PROTOCOL_VERSION,
        public_url=agent.base_url(call.headers.get("Host", "")),
        user=call.caller.user,
        role=call.caller.role,
        gpus=total.gpus,
        gpus_free=max(0, free.gpus),
        gpu_names=[gpu.name for gpu in agent.slots.gpus],
        cpus=total.cpus,
        cpus_free=max(0, free.cpus),
        memory_bytes=total.memory_bytes,
        memory_free_bytes=max(0, free.memory_bytes),
        default_gpus=agent.policy.default_gpus,
        default_timeout_s=min(agent.policy.default_timeout_s, limits.timeout_s),
        max_timeout_s=limits.timeout_s,
        limits=limits,
        running=agent.dispatcher.running,
        queued=agent.dispatcher.waiting,
        python=agent.policy.python,
        python_version=agent.python_version or platform.python_version(),
        runtimes=agent.interpreters.describe(),
        projects=agent.projects.describe(),
        capabilities=_capabilities(agent),
        durability="full",
        isolation=agent.isolation.levels[0],
        isolation_levels=list(agent.isolation.levels),
        shared=agent.keyring.shared or (agent.config.shared_uid and bool(agent.config.users)),
        survives_restart=agent.survives_restart,
        local=agent.config.local,
        draining=drain is not None,
        drain_until=drain.until if drain else None,
        drain_message=drain.message if drain else "",
        kept_bytes=agent.retention.kept_bytes,
        disk_free_bytes=await asyncio.to_thread(free_bytes, agent.config.home),
        blob_folder=agent.blobs.open_folder(call.caller.user) if call.on_control_socket else "",
        remark=_remark(agent),
        contact=agent.config.contact,
        uptime_s=time.monotonic() - agent.started,
    )


def _capabilities(agent: Agent) -> list[str]:
    return sorted([*CAPABILITIES, "packages"]) if agent.provision.uv() else CAPABILITIES


def _remark(agent: Agent) -> str:
    """One sentence for each thing that is wrong."""
    fault = agent.storage.fault
    told = [f"the agent's disk refuses to write: {fault}" if fault else "", agent.gpu_watch.trouble]
    return "; ".join(part for part in told if part)


def free_bytes(folder: Path) -> int:
    """What is free on the disk of ``folder``; 0 where nobody can tell."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
