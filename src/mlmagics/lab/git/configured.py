"""What the configuration of a repository would have git run or reach, and what is said against it. Pure.

Whoever made the repository may have written its own configuration, so each program in it waits for a yes. What the
person's own files say (scopes system and global) is theirs and holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

#: What an operation does, as far as programs of a repository may have a part in it.
Need = Literal["files", "merge", "network"]
Pairs = list[tuple[str, str]]

#: Keys of a repository's own configuration that are not followed until its owner says so, and what they are in.
_WITHHELD: tuple[tuple[str, Need], ...] = (
    (r"filter\..*\.(clean|smudge|process)", "files"),
    (r"merge\..*\.driver", "merge"),
    (r"branch\..*\.mergeoptions", "merge"),
    (r"core\.(sshcommand|gitproxy|alternaterefscommand)", "network"),
    (r"credential\.(.*\.)?helper", "network"),
    (r"http\.(.*\.)?(proxy|sslverify|curloptresolve|sslbackend|sslcainfo|sslcapath)", "network"),
    (r"remote\..*\.(proxy|vcs|uploadpack|receivepack)", "network"),
    (r"fetch\.bundleuri", "network"),
)
_RULES = tuple((re.compile(pattern, re.DOTALL), need) for pattern, need in _WITHHELD)
#: Helpers that come with git or with systems, as every tutorial has people set them.
_KNOWN_HELPERS = re.compile(r"|store|cache( --timeout=\d+)?|osxkeychain|libsecret|manager(-core)?|wincred")
#: The same for git-lfs, by ``git lfs install --local``.
_LFS = re.compile(r"git-lfs (clean -- %f|smudge( --skip)? -- %f|filter-process( --skip)?)")
#: Programs for signing: those of the person, whatever the repository has.
_SIGNING = {
    "gpg.program": "gpg",
    "gpg.openpgp.program": "gpg",
    "gpg.x509.program": "gpgsm",
    "gpg.ssh.program": "ssh-keygen",
    "gpg.ssh.defaultkeycommand": "",
}
_FILTER = re.compile(r"filter\.(.*)\.(clean|smudge|process|required)", re.DOTALL)
_OWN = ("system", "global", "command")


class Setting(NamedTuple):
    """One line of a configuration."""

    scope: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Programs:
    """What a repository's own configuration would run, or reach the network through."""

    settings: tuple[Setting, ...]
    needs: frozenset[Need]

    @property
    def names(self) -> list[str]:
        """The keys."""
        return list(dict.fromkeys(setting.key for setting in self.settings))


class Configuration:
    """All settings that hold in a repository, by scope."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self.settings = list(settings)

    def get(self, key: str, scopes: Sequence[str] | None = None) -> str | None:
        """The value of ``key`` that holds; from ``scopes`` only where given."""
        return next(iter(reversed(self.all(key, scopes))), None)

    def all(self, key: str, scopes: Sequence[str] | None = None) -> list[str]:
        """All values of ``key`` in order."""
        return [
            setting.value
            for setting in self.settings
            if setting.key == key and (scopes is None or setting.scope in scopes)
        ]

    def own(self, key: str) -> str | None:
        """The value of ``key`` in the person's own files."""
        return self.get(key, _OWN)

    def remotes(self) -> dict[str, str]:
        """Address of each remote as it is written."""
        return {
            setting.key[len("remote.") : -len(".url")]: setting.value
            for setting in self.settings
            if setting.key.startswith("remote.") and setting.key.endswith(".url")
        }

    def helpers(self, *, trusted: bool) -> Pairs:
        """The credential helpers that may be asked, in order: the person's, and those of the repository if trusted."""
        return [
            (setting.key, setting.value)
            for setting in self.settings
            if is_helper(setting.key) and (trusted or setting.scope in _OWN or _need(setting) is None)
        ]

    def programs(self) -> Programs:
        """What waits for a yes."""
        found, needs = [], set()
        for setting in self.settings:
            need = _need(setting) if setting.scope not in _OWN else None
            if need is not None:
                found.append(setting)
                needs.add(need)
        return Programs(tuple(found), frozenset(needs))

    def silenced(self, programs: Programs) -> Pairs:
        """Settings that take the effect of ``programs`` away where they would be in use all the same."""
        pairs: Pairs = []
        for setting in programs.settings:
            found = _FILTER.fullmatch(setting.key)
            if found is not None:
                pairs += [(f"filter.{found[1]}.{word}", "") for word in ("clean", "smudge", "process")]
                pairs.append((f"filter.{found[1]}.required", "false"))
        return list(dict.fromkeys(pairs))

    def signing(self) -> Pairs:
        """How the person signs; the repository has no say in it."""
        local = {setting.key for setting in self.settings if setting.scope not in _OWN}
        return [(key, self.own(key) or default) for key, default in _SIGNING.items() if key in local]


def read_configuration(data: bytes) -> Configuration:
    """What ``git config --list --show-scope -z`` says."""
    words = data.decode("utf-8", "surrogateescape").split("\0")
    settings = []
    for scope, text in zip(words[::2], words[1::2], strict=False):
        key, _, value = text.partition("\n")
        settings.append(Setting(scope, key, value))
    return Configuration(settings)


def is_helper(key: str) -> bool:
    """Whether ``key`` names a credential helper."""
    return key.startswith("credential.") and key.endswith(".helper")


def _need(setting: Setting) -> Need | None:
    if is_helper(setting.key) and _KNOWN_HELPERS.fullmatch(setting.value):
        return None
    if _LFS.fullmatch(setting.value) and setting.key.startswith("filter."):
        return None
    return next((need for rule, need in _RULES if rule.fullmatch(setting.key)), None)
