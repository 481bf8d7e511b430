"""Failed tries of each address: who fails too often is told to wait.

Nobody can guess a token, or the code of an invite, so this is about noise: what fails must not fill logs nor keep
the agent busy. A valid token therefore always works: behind one address there may be a whole JupyterHub, and one
notebook there with a token of last year must not lock the others out.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict

from cluster_agent.errors import TooManyTries

_WINDOW_S = 60.0
#: More addresses are not remembered; the ones that failed longest ago are forgotten first.
_ADDRESSES = 10_000


class Attempts:
    """Counts failures by address; ``most`` a minute are answered as such."""

    def __init__(self, most: int) -> None:
        self._most = most
        #: address -> (begin of its minute, failures since)
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()
        #: failures in all
        self.total = 0

    def check(self, address: str) -> None:
        """Refuse an address that has failed too often.

        Raises
        ------
        TooManyTries
            Until its minute is over.
        """
        began, count = self._failed.get(_group(address), (0.0, 0))
        left = began + _WINDOW_S - time.monotonic()
        if count >= self._most and left > 0:
            raise TooManyTries(f"too many failed tries from {address}; wait {max(1, round(left))} s")

    def failed(self, address: str) -> None:
        """Count a failure."""
        self.total += 1
        group, now = _group(address), time.monotonic()
        began, count = self._failed.get(group, (now, 0))
        if now - began > _WINDOW_S:
            began, count = now, 0
        self._failed[group] = began, count + 1
        self._failed.move_to_end(group)
        if len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)


def _group(address: str) -> str:
    """``address``, or the network that one customer has of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))
