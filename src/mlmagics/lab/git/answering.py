"""What the calls on git have in common. Each is done in a thread, and ended when nobody waits for its answer any more."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError, authenticated

from mlmagics.errors import BadValue
from mlmagics.lab.git import asked
from mlmagics.lab.git.cancelling import Cancel
from mlmagics.lab.git.desk import SETTING, Desk
from mlmagics.lab.git.refusals import GitRefusal
from mlmagics.lab.git.repository import Repository
from mlmagics.lab.git.tasks import Task
from mlmagics.lab.git.transfer import Ending, Reach
from mlmagics.lab.handling import RESOURCE, Handler

T = TypeVar("T")
View = dict[str, Any]


class GitHandler(Handler):
    """One call. Names may hold bytes that are no UTF-8: half characters stand for them, in both directions."""

    def initialize(self) -> None:
        """Nothing is cancelled yet."""
        super().initialize()
        self._cancel = Cancel()

    @property
    def desk(self) -> Desk:
        """Git for all handlers."""
        desk: Desk = self.settings[SETTING]
        return desk

    @property
    def served(self) -> Path:
        """The folder that Jupyter serves."""
        return Path(self.settings["server_root_dir"]).expanduser()

    def body(self, kind: type[T]) -> T:
        """The body of the request as a value of the type ``kind``."""
        try:
            return msgspec.convert(json.loads(self.request.body or b"{}"), kind)
        except (ValueError, RecursionError) as error:
            raise BadValue(f"the request cannot be understood: {error}") from None

    def reply(self, value: Any, status: int = 200) -> None:
        """Send ``value``."""
        self.set_status(status)
        self.finish(json.dumps(value), set_content_type="application/json")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors with the files that they are about."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if not isinstance(error, GitRefusal):
            super().write_error(status_code, **kwargs)
            return
        told: View = {"code": error.code, "message": error.message, "field": error.field}
        told |= {"paths": error.paths} if error.paths else {}
        self.reply({"error": told}, error.http_status)

    def on_connection_close(self) -> None:
        """Nobody waits any more: end git."""
        self._cancel.set()
        super().on_connection_close()


class Asking(GitHandler, ABC):
    """A call that changes nothing, for all who may read."""

    #: what a body is
    takes: type[asked.Asked] = asked.Asked

    @authenticated
    async def post(self) -> None:
        """Reply with what is found."""
        # by its method it would be a change
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, "read", RESOURCE)):
            raise HTTPError(403)
        body = self.body(self.takes)
        self.reply(await self.desk.run(lambda: self.work(body)))

    @abstractmethod
    def work(self, body: Any) -> Any:
        """What the call finds; in a thread."""


class Looking(Asking):
    """One that looks into a repository."""

    def work(self, body: Any) -> Any:
        """What is in the repository of the place that the body names."""
        return self.act(self.desk.repository(self.served, body.path, self._cancel), body)

    @abstractmethod
    def act(self, repository: Repository, body: Any) -> Any:
        """What it finds there."""


class Changing(GitHandler, ABC):
    """A call that changes something, one at a time in each repository."""

    #: what a body is
    takes: type[asked.Asked] = asked.Asked

    @authenticated
    @authorized
    async def post(self) -> None:
        """Reply with what has come of it."""
        body = self.body(self.takes)
        self.reply(await self.desk.run(lambda: self._work(body)))

    @abstractmethod
    def act(self, repository: Repository, body: Any) -> Any:
        """What the call does; in a thread."""

    def _work(self, body: asked.Asked) -> Any:
        repository = self.desk.repository(self.served, body.path, self._cancel)
        with self.desk.turn(repository):
            return self.act(repository, body)


class TaskStarter(GitHandler, ABC):
    """The start of something that takes long."""

    takes: type[asked.Asked] = asked.Asked
    operation = ""

    @authenticated
    @authorized
    async def post(self) -> None:
        """Reply with its number at once."""
        body = self.body(self.takes)
        task = await self.desk.run(lambda: self._begin(body))
        self.reply({"task": task.task_id}, 202)

    @abstractmethod
    def do(self, repository: Repository, reach: Reach, body: Any) -> Ending:
        """What is done; in a thread."""

    def _begin(self, body: asked.Asked) -> Task:
        desk, served = self.desk, self.served
        place = desk.repository(served, body.path, self._cancel)

        def work(task: Task, watch: Callable[[bytes], None]) -> Ending:
            repository = desk.repository(served, body.path, task.cancel)
            return self.do(repository, Reach(vault=desk.vault, watch=watch), body)

        task = Task(place.root, self.operation, quiet=getattr(body, "quiet", False))
        return desk.tasks.start(str(place.folder), task, work)
