"""The stream that keeps the sidebar up to date: a WebSocket that only the server speaks on."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from mlmagics.lab.back import SETTING, Back
from mlmagics.lab.handling import RESOURCE


class Stream(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """One listener."""

    auth_resource = RESOURCE
    everyone = False

    def set_default_headers(self) -> None:
        """None: they make no sense here."""

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Let in who may read."""
        may = self.authorizer.is_authorized(self, self.current_user, "read", RESOURCE)
        if not await ensure_async(may):
            raise HTTPError(403)
        self.everyone = self.get_query_argument("all", "0") == "1"
        await super().get(*args, **kwargs)

    def open(self, *_args: Any, **_kwargs: Any) -> None:
        """Begin to tell."""
        super().open()
        self._board.join(self)

    def on_message(self, message: str | bytes) -> None:
        """Nothing is asked for on this stream."""

    def on_close(self) -> None:
        """Tell no more."""
        self._board.leave(self)
        super().on_close()

    def tell(self, message: bytes) -> None:
        """Send ``message``."""
        try:
            self.write_message(message.decode())
        except WebSocketClosedError:
            self._board.leave(self)

    @property
    def _board(self) -> Any:
        back: Back = self.settings[SETTING]
        return back.board
