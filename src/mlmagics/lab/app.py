"""The extension as the Jupyter server starts and stops it."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp

from mlmagics.cluster.folders import config_folder
from mlmagics.cluster.session import current
from mlmagics.lab.back import SETTING, Back
from mlmagics.lab.git.desk import SETTING as GIT_SETTING
from mlmagics.lab.git.desk import Desk
from mlmagics.lab.routes import ROUTES


class Sidebar(ExtensionApp):
    """The server side of the sidebar."""

    name = "mlmagics"

    def initialize_settings(self) -> None:
        """Make what all handlers share."""
        base_url = self.serverapp.base_url if self.serverapp else "/"
        self.back = Back(current(), base_url)
        self.settings[SETTING] = self.back
        self.desk = Desk(config_folder(), self.back.board.tell)
        self.settings[GIT_SETTING] = self.desk

    def initialize_handlers(self) -> None:
        """Put the routes below the server's own."""
        self.handlers.extend(ROUTES)

    async def stop_extension(self) -> None:
        """End all streams and all of git, so that no thread holds the server up."""
        self.desk.close()
        self.back.close()
