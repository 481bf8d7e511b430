"""What runs the jobs: settings, agent, interpreters, control groups, GPUs, the unit. Pure."""

from __future__ import annotations

from pathlib import Path

from cluster_agent.doctor.facts import Gpus, Groups, Interpreter, Isolation, Service, Serving
from cluster_agent.doctor.finding import Finding, ok, warning, wrong
from cluster_agent.isolation.levels import sentence


def settings(file: Path, error: str) -> Finding:
    """Whether the settings can be used."""
    if error:
        return wrong("settings", error, f"mend {file}; the agent does not start with it")
    return ok("settings", str(file) if file.exists() else "all as they are by default")


def serving(found: Serving, home: Path) -> Finding:
    """Whether an agent serves, and what it says of itself."""
    if not found.url:
        return warning(
            "agent", "no agent serves from this home", f"start it: cluster-agent serve --home {home}"
        )
    if found.remark:
        return warning("agent", f"{found.url} says: {found.remark}", "see the other lines")
    return ok("agent", f"serves at {found.url} (process {found.pid})")


def python(found: Interpreter) -> Finding:
    """Whether jobs can run in it, as in a notebook."""
    check = f"python {found.runtime}" if found.runtime else "python"
    where = f"the runtime {found.runtime} in agent.toml" if found.runtime else "python in agent.toml"
    if found.error:
        return wrong(check, f"{found.path} cannot be started: {found.error}", f"mend {where}")
    version = ".".join(map(str, found.version))
    if found.version < (3, 8):
        return wrong(check, f"{found.path} is Python {version}, and jobs need 3.8 or newer", f"mend {where}")
    if not found.ipython:
        return warning(
            check,
            f"{found.path} ({version}) has no IPython: cells are plain Python, without displays",
            f"{found.path} -m pip install ipython",
        )
    if found.own:
        return warning(
            check,
            f"jobs run in the agent's own Python, {found.path}: what people install there can break the agent",
            "give jobs one of their own: python in agent.toml",
        )
    return ok(check, f"{found.path} ({version}, IPython {found.ipython})")


def groups(found: Groups) -> Finding:
    """How exactly jobs are kept to the memory that they hold."""
    if not found.enforce:
        return warning("memory", "nobody keeps jobs to their memory", "enforce_memory = true in agent.toml")
    if found.place is not None and found.writable:
        if "memory" in found.controllers or not found.controllers:
            return ok("memory", f"each job has a control group in {found.place}")
        return warning(
            "memory",
            f"{found.place} has no controller for memory, so jobs are looked at once a second",
            "have it delegated: Delegate=yes in the unit, as init --service writes it",
        )
    if found.place is not None:
        return wrong(
            "memory",
            f"{found.place} cannot be used by this agent",
            "mend cgroup in agent.toml, or leave it out",
        )
    how = "" if found.serving else " (as far as can be told while no agent serves)"
    return warning(
        "memory",
        f"no control group is delegated to the agent{how}: what jobs use is looked at once a second",
        "run it as a service: cluster-agent init --service (exact with systemd 254 or newer)",
    )


def gpus(found: Gpus) -> Finding:
    """Whether the driver answers and has what the settings hand out."""
    if found.error:
        return wrong(
            "GPUs", found.error, "see nvidia-smi; is the driver loaded, and of the library's version?"
        )
    if found.devices and not found.found:
        return wrong("GPUs", f"{found.devices} device files and no GPU that answers", "see nvidia-smi")
    if found.wanted is not None and found.wanted > found.found:
        return warning(
            "GPUs",
            f"gpus = {found.wanted} in the settings, and {found.found} that answer: they are handed out by number",
            'gpus = "auto", unless these are slots for something else',
        )
    if not found.found:
        return ok("GPUs", "none")
    handed = found.found if found.wanted is None else found.wanted
    return ok("GPUs", f"{handed} of {found.found}, driver {found.driver or 'of an unknown version'}")


def restart(found: Service, agent: Serving) -> Finding:
    """Whether a restart of the agent would end its jobs, and whether it comes back by itself."""
    if agent.url and not agent.survives_restart:
        return wrong(
            "restart",
            "a restart of the agent would end all running jobs",
            "KillMode=process in its unit: cluster-agent init --service; in a container: docker run --init",
        )
    if not found.unit:
        return ok("restart", "no unit; jobs outlive an agent that is started by hand")
    if found.kill_mode != "process":
        return wrong(
            "restart",
            f"{found.unit} has KillMode={found.kill_mode or 'control-group'}: a restart ends all running jobs",
            "cluster-agent init --service writes a unit that does not",
        )
    if found.lingers is False:
        return warning(
            "restart",
            f"{found.unit} ends with your last session, and jobs with it",
            "sudo loginctl enable-linger $USER",
        )
    delegated = "" if found.delegated else "; without Delegate=yes, so without control groups for jobs"
    return ok("restart", f"jobs outlive a restart of {found.unit}{delegated}")


def isolation(found: Isolation) -> Finding:
    """What keeps jobs apart, and whether they can do less than all."""
    if found.error:
        return wrong("isolation", found.error, "mend that, or ask for less: isolation in agent.toml")
    levels = ", ".join(found.levels)
    if "user" in found.levels:
        return ok("isolation", f"{levels}: {sentence(found.levels)}")
    if found.uid == 0:
        return warning(
            "isolation",
            f"{levels}: the agent is root, and so is each job",
            f"have jobs run as their people's unix users ({found.no_users}), or make a user for the agent",
        )
    return ok("isolation", f"{levels}: uid {found.uid}, and so is each job")
