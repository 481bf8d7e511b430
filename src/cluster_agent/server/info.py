"""Calls about the agent itself."""

from __future__ import annotations

import platform
import time

from cluster_agent import __version__
from cluster_agent.errors import StorageFault
from cluster_agent.protocol import PROTOCOL_VERSION, Health, Info
from cluster_agent.server.call import Call

CAPABILITIES = ["extend", "files", "idempotency", "project-files", "tail", "view-code"]


async def health(call: Call) -> Health:
    """Whether the agent serves and its disk takes writes."""
    if call.agent.store.fault:
        raise StorageFault("the agent's disk refuses to write")
    return Health(status="ok", agent_id=call.agent.agent_id)


async def info(call: Call) -> Info:
    """Who this agent is, what it has, and what of it is free."""
    agent = call.agent
    total, free = agent.slots.total, agent.dispatcher.free
    fault = agent.store.fault
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
        default_timeout_s=agent.policy.default_timeout_s,
        max_timeout_s=agent.policy.max_timeout_s,
        running=agent.dispatcher.running,
        queued=agent.dispatcher.waiting,
        python=agent.policy.python,
        python_version=agent.python_version or platform.python_version(),
        projects=agent.projects.describe(),
        capabilities=CAPABILITIES,
        durability="full",
        isolation="process",
        shared=agent.keyring.shared,
        survives_restart=agent.survives_restart,
        local=agent.config.local,
        draining=agent.dispatcher.draining,
        remark=f"the agent's disk refuses to write: {fault}" if fault else "",
        contact=agent.config.contact,
        uptime_s=time.monotonic() - agent.started,
    )
