"""Which unix user a person of this agent is: the one of the same name, or the one that ``[users]`` names."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from cluster_agent.errors import Forbidden
from cluster_agent.isolation.ids import Ids

#: Ids below are those of services; somebody called as one of these has to be named on purpose.
_FIRST_PERSON = 1000


@dataclass(frozen=True, slots=True)
class Keeper:
    """The unix user that supervisors act as; logs belong to it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class People:
    """Looks up unix users; may ask a directory, so call it in threads.

    Parameters
    ----------
    names
        Unix users by the names that people have here, where these differ.
    """

    keeper: Keeper
    names: Mapping[str, str]

    def ids(self, user: str) -> Ids:
        """The ids of the jobs of ``user``.

        Raises
        ------
        Forbidden
            When no job can run as that person.
        """
        name = self.names.get(user, user)
        try:
            found = pwd.getpwnam(name)
        except (KeyError, ValueError):
            raise Forbidden(
                f"jobs run as the unix users of their people here, and there is no unix user {name[:60]!r}: whoever"
                f' runs the box adds one, or says under [users] in agent.toml who "{user[:60]}" is',
                field="user",
            ) from None
        if reason := self._unfit(found, named=user in self.names):
            raise Forbidden(f"no job can run as the unix user {name!r}: {reason}", field="user")
        groups = tuple(sorted({*os.getgrouplist(name, found.pw_gid)} - {0, self.keeper.gid}))
        return Ids(
            name=name,
            uid=found.pw_uid,
            gid=found.pw_gid,
            groups=groups,
            home=found.pw_dir,
            login_shell=found.pw_shell,
            keeper_uid=self.keeper.uid,
            keeper_gid=self.keeper.gid,
        )

    def _unfit(self, found: pwd.struct_passwd, *, named: bool) -> str:
        if found.pw_uid == 0 or found.pw_gid == 0:
            return "that is root; name another one for them under [users] in agent.toml"
        if found.pw_uid == self.keeper.uid or found.pw_gid == self.keeper.gid:
            return "the agent keeps its logs as this one"
        if found.pw_uid < _FIRST_PERSON and not named:
            return f"it is a service's (uid {found.pw_uid}); if that is meant, name it under [users] in agent.toml"
        return ""


def find_keeper(name: str) -> Keeper | None:
    """The unix user ``name`` as keeper; None when there is none, or it is root."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Keeper(name, found.pw_uid, found.pw_gid) if found.pw_uid and found.pw_gid else None
