"""The cell of a job once more, as a new job: what is not said anew is as it was."""

from __future__ import annotations

import ast
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from mlmagics.errors import BadValue
from mlmagics.job.asked import Asked
from mlmagics.job.handle import Job
from mlmagics.job.submitting import prepare
from mlmagics.sending.elsewhere import sent_with


def submit_again(old: Job, changes: Mapping[str, Any]) -> Job:
    """A new job with the cell and resources of ``old``, with other options where ``changes`` has them."""
    unknown = set(changes) - _AGAIN
    if unknown:
        raise BadValue(
            f"{min(unknown)!r} is not an option of a submit: choose from {', '.join(sorted(_AGAIN))}"
        )
    info = old.refresh().info
    env = dict(changes.get("env") or {})
    # values were told to nobody, so those that are not given anew come from this process
    env = {**{name: None for name in info.env_names if name not in env}, **env}
    missing = [name for name in info.env_names if env[name] is None and name not in os.environ]
    if missing:
        them, are = ("it", "is") if len(missing) == 1 else ("them", "are")
        raise BadValue(
            f"{', '.join(missing)} {are} not set here: {old.ref} had {them}, and values are kept nowhere. Set {them} "
            f"first (os.environ[{missing[0]!r}] = ...)",
            field="env",
        )
    options: dict[str, Any] = {
        "on": old.cluster,
        "name": info.name,
        "project": info.project,
        "gpus": info.gpus,
        "cpus": info.cpus,
        "memory": info.memory_bytes or None,
        "timeout": info.timeout_s or None,
        "grace": info.grace_s or None,
        "priority": info.priority,
        "fetch": info.fetch,
        "params": {name: ast.literal_eval(text) for name, text in info.params.items()},
        "packages": info.packages,
        "runtime": info.runtime,
        **changes,
        "env": env,
    }
    if info.packages and not changes.keys() & _OTHER_PACKAGES:
        options["lock"] = old.lock()
    source, on, check = (options.pop(name, None) for name in ("source", "on", "check"))
    same = on == old.cluster
    return prepare(
        info.source or "" if source is None else source,
        on,
        Asked(**options),
        check=check is not False,
        retry_of=info.job_id if same else None,
        parcel=None if "send" in changes else sent_with(old),
        session=old.session,
    ).send()


#: Changes after which a repeated job has other packages than the one before.
_OTHER_PACKAGES = frozenset({"source", "on", "packages", "runtime", "lock"})
_AGAIN = frozenset({"source", "on", "check", *(option.name for option in dataclasses.fields(Asked))})
