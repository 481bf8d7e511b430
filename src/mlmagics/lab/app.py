"""The extension as the Jupyter server starts and stops it."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp

from mlmagics.cluster.session import current
from mlmagics.lab.back import SETTING, Back
from mlmagics.lab.routes import ROUTES


class Sidebar(ExtensionApp):
    """The server side of the sidebar."""

    name = "mlmagics"

    def initialize_settings(self) -> None:
        """Make what all handlers share."""
        base_url = self.serverapp.base_url if self.serverapp else "/"
        self.back = Back(current(), base_url)
        self.settings[SETTING] = self.back

    def initialize_handlers(self) -> None:
        """Put the routes below the server's own."""
        self.handlers.extend(ROUTES)

    async def stop_extension(self) -> None:
        """End all streams, so that no thread holds the server up."""
        self.back.close()
