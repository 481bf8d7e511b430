"""The environment in which git runs: the person's own, without what would make git run, ask or reach more. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlmagics.lab.git.configured import Pairs

#: Variables of git that are the person's own and are kept; all others could point git somewhere else.
_KEPT = (
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_HTTP_PROXY_AUTHMETHOD",
)  # fmt: skip

#: Settings that hold for every call, over what any file says.
_SETTINGS: Pairs = [
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("core.quotePath", "false"),
    ("color.ui", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("log.showSignature", "false"),
    ("user.useConfigOnly", "true"),
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("rebase.autoStash", "false"),
    ("merge.autoStash", "false"),
    ("rebase.autoSquash", "false"),
    ("rebase.updateRefs", "false"),
    ("rebase.backend", "merge"),
    ("push.followTags", "false"),
    ("push.gpgSign", "false"),
    ("push.pushOption", ""),
    ("safe.bareRepository", "explicit"),
    ("advice.addEmbeddedRepo", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
]

#: Variables that hold for every call.
_VARIABLES = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "force",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_MERGE_AUTOEDIT": "no",
    "GCM_INTERACTIVE": "never",
}
#: Transports that a call over the network may use; redirects and rewritten addresses are held to them, too.
_TRANSPORTS = "https:ssh"


class Environment(NamedTuple):
    """What is set, and what of the inherited is left out."""

    variables: dict[str, str]
    unset: list[str]


def environment(
    inherited: Mapping[str, str],
    *,
    above: str = "",
    network: bool = False,
    hooks: str | None = None,
    settings: Sequence[tuple[str, str]] = (),
    refuses: str = "",
    looks: bool = False,
) -> Environment:
    """The environment of one call.

    Parameters
    ----------
    inherited
        The environment of the Jupyter server.
    above
        The folder above the repository: git looks for none there.
    network
        Whether it may talk to a remote.
    hooks
        The folder of hooks that may run; None for none.
    settings
        More settings, which go before those that hold always.
    refuses
        A program that fails: what ssh asks is answered by it.
    looks
        Whether it is about the settings that the person has, without ours.
    """
    unset = [name for name in inherited if name.startswith("GIT_") and name not in _KEPT]
    always: Pairs = [] if looks else [*settings, *_SETTINGS, ("core.hooksPath", hooks or os.devnull)]
    pairs = [*_inherited_settings(inherited), *always]
    variables = {
        **_VARIABLES,
        "SSH_ASKPASS": refuses,
        "GIT_CEILING_DIRECTORIES": above,
        "GIT_ALLOW_PROTOCOL": _TRANSPORTS if network else "none",
        "PATH": os.pathsep.join(
            folder
            for folder in inherited.get("PATH", os.defpath).split(os.pathsep)
            if folder.startswith(os.sep)
        )
        if os.name == "posix"
        else inherited.get("PATH", ""),
        "GIT_CONFIG_COUNT": str(len(pairs)),
    }
    if network:
        del variables["GIT_NO_LAZY_FETCH"]
    for number, (key, value) in enumerate(pairs):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return Environment(variables, [name for name in unset if name not in variables])


def _inherited_settings(inherited: Mapping[str, str]) -> Pairs:
    """Settings that the person has given by variables, as images of containers do."""
    count = inherited.get("GIT_CONFIG_COUNT", "")
    if not count.isdecimal() or len(count) > 3:
        return []
    names = [(f"GIT_CONFIG_KEY_{number}", f"GIT_CONFIG_VALUE_{number}") for number in range(int(count))]
    return [
        (inherited[key], inherited[value]) for key, value in names if key in inherited and value in inherited
    ]
