"""The project: files that notebook, jobs and colleagues share, as ``project://`` or by :func:`path`.

``PROJECT_URL`` names the root: ``file:///folder``, or a URL of any other file system of fsspec. Works without
fsspec for a local root.
"""

import atexit
import builtins
import os
import shutil
import tempfile
from typing import IO, Any, Callable, Optional
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from .folder import AtomicText, Folder, OwnLines, relative, replace, sync, temporary_beside

#: File systems of fsspec that compute their content or reach elsewhere; no root is one of them.
_REFUSED = ("reference", "simplecache", "filecache", "blockcache", "project", "zip", "tar", "data")


class NoProjectError(OwnLines, RuntimeError):
    """No project is known here."""


def root_url() -> str:
    """The root of the job's project.

    Raises
    ------
    NoProjectError
        When ``PROJECT_URL`` is not set or no root.
    """
    url = os.environ.get("PROJECT_URL", "")
    if not url:
        raise NoProjectError(
            "no project is known here: set PROJECT_URL to its root, such as file:///data/project"
        )
    if "::" in url or url.split(":", 1)[0] in _REFUSED:
        raise NoProjectError("PROJECT_URL is %r: that cannot be the root of a project" % url)
    return url


def local_folder(url: str) -> Optional[str]:
    """The folder of this machine that the root ``url`` is; None when it is elsewhere."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    if parts.scheme not in ("file", "local"):
        return None
    if os.name == "nt":
        return url2pathname(parts.path)
    return unquote(parts.path)


class ProjectPath:
    """A path that libraries can open which know nothing of projects.

    For reading it is the path itself (``os.fspath``, ``str``), or in a ``with`` statement. For writing it is
    to be used in a ``with`` statement: what was written appears in the project when the block has ended well.
    """

    def __init__(self, project: "Project", name: Any, mode: str) -> None:
        if mode not in ("r", "w"):
            raise ValueError("mode is 'r' or 'w', not %r" % (mode,))
        self._project = project
        self._name = relative(name)
        self._mode = mode
        self._path = None  # type: Optional[str]

    def __repr__(self) -> str:
        return "<%s for %s>" % (self.url, "reading" if self._mode == "r" else "writing")

    @property
    def url(self) -> str:
        """The same file as a URL."""
        return "project://" + self._name

    def __fspath__(self) -> str:
        if self._path is None:
            if self._mode == "w":
                raise TypeError(
                    "write %s in a with statement: with project.path(%r, 'w') as path: ..."
                    % (self.url, self._name)
                )
            self._path = self._project.fetch(self._name)
        return self._path

    def __str__(self) -> str:
        return self.__fspath__()

    def __enter__(self) -> str:
        if self._mode == "r":
            return self.__fspath__()
        self._path = self._project.begin(self._name)
        return self._path

    def __exit__(self, exc_type: Any, *args: Any) -> None:
        if self._mode == "r":
            return
        written, self._path = self._path, None
        assert written is not None
        try:
            if exc_type is None:
                if not os.path.lexists(written):
                    raise FileNotFoundError("nothing was written for %s" % self.url)
                _sync_tree(written)
                self._project.publish(written, self._name)
        finally:
            shutil.rmtree(os.path.dirname(written), ignore_errors=True)


os.PathLike.register(ProjectPath)


class Project:
    """A project, found anew at each call.

    Parameters
    ----------
    root
        Gives the URL of the root, or raises :class:`NoProjectError`.
    filesystem
        Gives the fsspec file system for a root that is not a folder of this machine.
    """

    def __init__(self, root: Callable[[], str], filesystem: Callable[[str], Any]) -> None:
        self._root = root
        self._filesystem = filesystem
        self._downloads = []  # type: list[str]

    def __repr__(self) -> str:
        return "<project://>"

    def path(self, name: Any, mode: str = "r") -> ProjectPath:
        """A path of this machine for the file ``name`` of the project, for libraries that need one.

        Parameters
        ----------
        name
            ``models/m.json`` or ``project://models/m.json``.
        mode
            ``r``: the file itself where the project is a folder here, else a copy. ``w``: use it in a ``with``
            statement; the file appears in the project as a whole when the block has ended without exception.

        Examples
        --------
        >>> with project.path("models/m.json", "w") as path:  # doctest: +SKIP
        ...     model.save_model(path)
        """
        return ProjectPath(self, name, mode)

    def open(
        self, name: Any, mode: str = "r", encoding: Optional[str] = None, newline: Optional[str] = None
    ) -> IO[Any]:
        """The file ``name`` of the project, opened as by the builtin; written files appear as a whole.

        Text is UTF-8 unless ``encoding`` says otherwise.
        """
        text = "b" not in mode
        if text:
            encoding = encoding or "utf-8"
        root = self._root()
        folder = local_folder(root)
        if folder is None:
            options = {"encoding": encoding, "newline": newline} if text else {}
            found = self._filesystem(root).open(relative(name), mode, **options)  # type: IO[Any]
            return found
        local = Folder(folder)
        if mode.strip("bt") not in ("w", "x"):
            return builtins.open(local.real(name), mode, encoding=encoding, newline=newline)
        file = local.create(relative(name), exclusive="x" in mode)
        return AtomicText(file, encoding, newline) if text else file

    def fetch(self, name: str) -> str:
        """A path of this machine that holds what ``name`` holds now."""
        root = self._root()
        folder = local_folder(root)
        if folder is not None:
            local = Folder(folder)
            local.info(name)
            return local.real(name)
        files = self._filesystem(root)
        recursive = bool(files.info(name)["type"] == "directory")
        path = os.path.join(self._scratch(), os.path.basename(name))
        files.get(name, path, recursive=recursive)
        return path

    def begin(self, name: str) -> str:
        """A path, in a new folder of its own, to write what is to become ``name``."""
        # A folder of its own keeps the name, by whose ending libraries choose the format.
        folder = local_folder(self._root())
        if folder is None:
            parent = tempfile.mkdtemp(prefix="project-")
        else:
            target = Folder(folder).real(name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            parent = temporary_beside(target)
            os.mkdir(parent)
        return os.path.join(parent, os.path.basename(name))

    def publish(self, written: str, name: str) -> None:
        """Put what was written at ``name``, as a whole."""
        root = self._root()
        folder = local_folder(root)
        if folder is None:
            self._filesystem(root).put(written, name, recursive=os.path.isdir(written))
            return
        target = Folder(folder).real(name)
        if os.path.isdir(target):
            raise FileExistsError("project://%s is a folder that exists already: choose another name" % name)
        replace(written, target)

    def _scratch(self) -> str:
        parent = tempfile.mkdtemp(prefix="project-")
        if not self._downloads:
            atexit.register(self._forget_downloads, os.getpid())
        self._downloads.append(parent)
        return parent

    def _forget_downloads(self, pid: int) -> None:
        # A forked child runs this too, while its parent still reads.
        if os.getpid() == pid:
            for parent in self._downloads:
                shutil.rmtree(parent, ignore_errors=True)


def _sync_tree(path: str) -> None:
    if not os.path.isdir(path):
        sync(path)
        return
    for folder, _, names in os.walk(path):
        for name in names:
            if not os.path.islink(os.path.join(folder, name)):
                sync(os.path.join(folder, name))


def _filesystem(root: str) -> Any:
    try:
        from .filesystem import ProjectFileSystem
    except ImportError as error:
        raise NoProjectError(
            "the project is at %s, and this environment lacks what opens it: %s" % (root, error)
        ) from error
    return ProjectFileSystem(root=root)


_project = Project(root_url, _filesystem)
path = _project.path
open = _project.open  # noqa: A001


def __getattr__(name: str) -> Any:
    # The entry point names it here; fsspec is imported only when somebody uses it.
    if name == "ProjectFileSystem":
        from .filesystem import ProjectFileSystem

        return ProjectFileSystem
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
