"""The base of all handlers: who may, bodies in, values and errors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from cluster_agent.errors import BY_CODE
from mlmagics.errors import BadValue, UserError
from mlmagics.lab.back import SETTING, Back

#: What an authorizer of the Jupyter server is asked about.
RESOURCE = "mlmagics"
T = TypeVar("T")

#: Where the agent's own status would mean something else here: 401 is about this server's token, for one.
_STATUS = {
    "unauthorized": 403,
    "unknown_cluster": 404,
    "unreachable": 502,
    "local_agent": 503,
    "too_many_streams": 503,
}
_SAID = {
    403: "this Jupyter server does not let you do that: reload the page and log in again",
    404: "there is nothing at this address",
    405: "this address does not take that method",
}


class Handler(APIHandler):
    """One call of the sidebar. A subclass takes its caller through ``authenticated`` and ``authorized``."""

    auth_resource = RESOURCE
    #: a sidebar that looks is no reason to keep an idle server running
    _track_activity: ClassVar[bool] = False  # type: ignore[misc]

    @property
    def back(self) -> Back:
        """What all handlers share."""
        back: Back = self.settings[SETTING]
        return back

    async def answer(self, work: Callable[[], Any], status: int = 200) -> None:
        """Reply with what ``work`` gives; it is done in a thread."""
        value = await self.back.run(work)
        self.set_status(status)
        self.finish(msgspec.json.encode(value))

    def body(self, kind: type[T]) -> T:
        """The body of the request as a value of the type ``kind``; an empty one is an empty object.

        Raises
        ------
        BadValue
            When it is something else.
        """
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadValue(f"the request cannot be understood: {error}") from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one place where errors become replies."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, UserError):
            self.set_status(status_of(error))
            told = {"code": error.code, "message": error.message, "field": error.field}
            nearest = getattr(error, "nearest", None)
            told |= {"nearest": nearest} if nearest else {}
        else:
            message = _SAID.get(status_code, "")
            if not message and isinstance(error, HTTPError) and status_code < 500:
                message = error.log_message or ""
            told = {
                "code": f"http_{status_code}",
                "message": message or "something broke in the Jupyter server; its log says what",
            }
        self.finish(msgspec.json.encode({"error": told}))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log faults of ours only; what a caller did wrong is told to the caller."""
        if not isinstance(value, UserError):
            super().log_exception(typ, value, tb)


def status_of(error: UserError) -> int:
    """The HTTP status that tells ``error``."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    known = BY_CODE.get(error.code)
    return known.http_status if known is not None else 400
