"""The calls of the sidebar on git."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from mlmagics.lab.git import asked, branches, changes, committing, differing, merging, transfer
from mlmagics.lab.git.answering import Asking, Changing, GitHandler, Looking, TaskStarter
from mlmagics.lab.git.grammar import check_place
from mlmagics.lab.git.keeping import Credential
from mlmagics.lab.git.refusals import ForeignOwner, GitMissing, HasChanged, NoRepository, OutsideRoot
from mlmagics.lab.git.repository import Repository
from mlmagics.lab.git.transfer import Ending, Reach
from mlmagics.lab.git.trust import Answer

View = dict[str, Any]


class Status(Asking):
    """How the repository stands; that there is none is an answer, too."""

    def work(self, body: asked.Asked) -> View:
        """With what goes on in it."""
        try:
            repository = self.desk.repository(self.served, body.path, self._cancel)
        except (NoRepository, OutsideRoot, ForeignOwner, GitMissing) as error:
            return {"repo": None, "reason": error.message, "code": error.code}
        task = self.desk.tasks.of(repository.root)
        return {**self.desk.looker.status(repository), "task": task.view() if task else None}


class Stage(Changing):
    """Files into the next commit."""

    takes = asked.Files

    def act(self, repository: Repository, body: asked.Files) -> View:
        """How many."""
        return {"done": changes.stage(repository, body.paths, body.all)}


class Unstage(Changing):
    """Files out of the next commit."""

    takes = asked.Files

    def act(self, repository: Repository, body: asked.Files) -> View:
        """How many."""
        return {"done": changes.unstage(repository, body.paths, body.all)}


class Discard(Changing):
    """Changes thrown away."""

    takes = asked.Discard

    def act(self, repository: Repository, body: asked.Discard) -> View:
        """How many."""
        return {"done": changes.discard(repository, [(file.path, file.kind) for file in body.files])}


class Diff(Looking):
    """What differs in a file."""

    takes = asked.Diff

    def act(self, repository: Repository, body: asked.Diff) -> View:
        """Its lines or cells."""
        return differing.difference(repository, body.file, staged=body.staged, kind=body.kind)


class Commit(Changing):
    """A commit."""

    takes = asked.Commit

    def act(self, repository: Repository, body: asked.Commit) -> View:
        """Its number."""
        person = body.author
        return committing.commit(
            repository,
            body.message,
            author=committing.Author(person.name, person.email) if person else None,
            keep=person.keep if person else False,
            strip=body.strip_outputs,
        )


class Identity(Looking):
    """Who commits here."""

    def act(self, repository: Repository, body: asked.Asked) -> View | None:  # noqa: ARG002 - the same for all
        """Name and address, or null."""
        found = committing.identity(repository)
        return found._asdict() if found else None


class Branches(Looking):
    """The branches."""

    def act(self, repository: Repository, body: asked.Asked) -> View:  # noqa: ARG002 - the same for all
        """All of them."""
        return branches.branches(repository)


class Switch(Changing):
    """Another branch."""

    takes = asked.Switch

    def act(self, repository: Repository, body: asked.Switch) -> View:
        """Its name."""
        return {"branch": branches.switch(repository, body.branch, remote=body.remote)}


class Trust(Changing):
    """Whether programs that the repository brings may run."""

    takes = asked.Trusting

    def act(self, repository: Repository, body: asked.Trusting) -> View:
        """The answer, kept."""
        brought = repository.brought
        if brought is None or brought.digest != body.digest:
            raise HasChanged("the programs of the repository are other ones now: look at them again")
        self.desk.trust.put(repository.folder, Answer(body.digest, body.trusted))
        return {"trusted": body.trusted}


class Abort(Changing):
    """Back to before a merge or rebase."""

    def act(self, repository: Repository, body: asked.Asked) -> View:  # noqa: ARG002 - the same for all
        """That it is done."""
        merging.abort(repository)
        return {"done": True}


class Continue(Changing):
    """A merge or rebase finished."""

    def act(self, repository: Repository, body: asked.Asked) -> View:  # noqa: ARG002 - the same for all
        """Whether it is done, or what has conflicts now."""
        conflicts = merging.go_on(repository)
        return {"done": repository.in_progress is None, "conflicts": conflicts}


class Resolve(Changing):
    """A side for files with conflicts."""

    takes = asked.Resolve

    def act(self, repository: Repository, body: asked.Resolve) -> View:
        """How many."""
        return {"done": changes.resolve(repository, body.paths, body.side)}


class Scan(Looking):
    """Secrets in what a push would send."""

    takes = asked.Scan

    def act(self, repository: Repository, body: asked.Scan) -> Ending:
        """Where they are."""
        return transfer.look_through(repository, body.remote)


class Credentials(GitHandler):
    """A user name and a token, kept for one host."""

    @authenticated
    @authorized
    async def post(self) -> None:
        """Keep or forget them."""
        body = self.body(asked.Credentials)
        host = check_place(body.host)
        vault = self.desk.vault
        if body.forget:
            await self.desk.run(lambda: vault.forget(host))
        else:
            credential = Credential(body.username, body.token)
            await self.desk.run(lambda: vault.put(host, credential, body.keep))
        self.reply({"kept": None if body.forget else body.keep})


class Fetch(TaskStarter):
    """A fetch."""

    takes, operation = asked.Fetch, "fetch"

    def do(self, repository: Repository, reach: Reach, body: asked.Fetch) -> Ending:
        """Get what is new."""
        return transfer.fetch(repository, reach, body.remote)


class Pull(TaskStarter):
    """A pull."""

    takes, operation = asked.Pull, "pull"

    def do(self, repository: Repository, reach: Reach, body: asked.Pull) -> Ending:
        """Get what is new, and bring it into the branch."""
        return transfer.pull(repository, reach, body.mode, keep=body.keep_conflicts)


class Push(TaskStarter):
    """A push."""

    takes, operation = asked.Push, "push"

    def do(self, repository: Repository, reach: Reach, body: asked.Push) -> Ending:
        """Send commits."""
        return transfer.push(
            repository, reach, remote=body.remote, set_upstream=body.set_upstream, allowed=body.allow
        )


class OneTask(GitHandler):
    """A task by its number."""

    @authenticated
    @authorized
    async def get(self, task_id: str) -> None:
        """How far it is."""
        self.reply(self.desk.tasks.get(task_id).view())

    @authenticated
    @authorized
    async def delete(self, task_id: str) -> None:
        """Have it end."""
        self.reply((await self.desk.run(lambda: self.desk.tasks.cancel(task_id))).view())


#: By the last word of the address.
CALLS: dict[str, type[GitHandler]] = {
    "abort": Abort,
    "branches": Branches,
    "commit": Commit,
    "continue": Continue,
    "credentials": Credentials,
    "diff": Diff,
    "discard": Discard,
    "fetch": Fetch,
    "identity": Identity,
    "pull": Pull,
    "push": Push,
    "resolve": Resolve,
    "scan": Scan,
    "stage": Stage,
    "status": Status,
    "switch": Switch,
    "trust": Trust,
    "unstage": Unstage,
}
