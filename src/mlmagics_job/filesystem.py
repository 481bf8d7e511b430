"""``project://`` for everything that speaks fsspec. Needs fsspec; the rest of the kit does not.

Two layers: :class:`ProjectFileSystem` gives paths their meaning and hands each call to a base, which is a
:class:`FolderFileSystem` for a local root and any file system of fsspec with a prefix otherwise.
"""

import os
import shutil
from typing import Any, Dict, List, Optional, Tuple, Union

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileOpener
from fsspec.spec import AbstractFileSystem

from .folder import Folder, is_hidden, relative
from .project import local_folder, root_url

Entries = Union[List[str], List[Dict[str, Any]]]


class FolderFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """A local folder: nothing escapes it, and files are written as a whole."""

    protocol = "project-folder"
    cachable = False

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Folder(root)

    def info(self, path: str, **_: Any) -> Dict[str, Any]:
        return self.folder.info(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> Entries:
        found = self.folder.info(path)
        entries = self.folder.list(path) if found["type"] == "directory" else [found]
        return entries if detail else [entry["name"] for entry in entries]

    def _open(self, path: str, mode: str = "rb", autocommit: bool = True, **_: Any) -> Any:
        if mode in ("wb", "xb"):
            return self.folder.create(path, exclusive=mode == "xb", publish=autocommit)
        if "a" in mode:
            os.makedirs(os.path.dirname(self.folder.real(path)), exist_ok=True)
        elif self.folder.info(path)["type"] == "other":
            raise OSError("project://%s is a pipe, socket or device, not a file" % path)
        return LocalFileOpener(self.folder.real(path), mode, fs=self)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        os.makedirs(self.folder.real(path), exist_ok=exist_ok)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        if create_parents:
            self.makedirs(path)
        else:
            os.mkdir(self.folder.real(path))

    def rmdir(self, path: str) -> None:
        os.rmdir(self.folder.real(path))

    def rm_file(self, path: str) -> None:
        # The folder is resolved, the last name is not: a link is removed, not what it leads to.
        parent, _, name = path.rpartition("/")
        os.remove(os.path.join(self.folder.real(parent), name))

    def rm(self, path: Any, recursive: bool = False, maxdepth: Optional[int] = None) -> None:
        if maxdepth is not None:
            super().rm(path, recursive=recursive, maxdepth=maxdepth)
            return
        for found in self.expand_path(path):
            if self.isfile(found):
                self.rm_file(found)
            elif recursive:
                shutil.rmtree(self.folder.real(found))
            else:
                raise IsADirectoryError("project://%s is a folder: delete it with recursive=True" % found)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        if self.folder.info(path1)["type"] == "directory":
            self.makedirs(path2, exist_ok=True)
            return
        with open(self.folder.real(path1), "rb") as source, self.folder.create(path2) as copy:
            for block in iter(lambda: source.read(2**20), b""):
                copy.write(block)

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        self.folder.info(path1)
        target = self.folder.real(path2)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(self.folder.real(path1), target)


class _Rooted(type(AbstractFileSystem)):  # type: ignore[misc]
    """Puts the root into the arguments, by which fsspec keeps instances: another root, another instance."""

    def __call__(cls, *args: Any, root: Optional[str] = None, **kwargs: Any) -> Any:
        return super().__call__(*args, root=root or cls.current_root(), **kwargs)


class ProjectFileSystem(AbstractFileSystem, metaclass=_Rooted):  # type: ignore[misc]
    """The files of the project, whatever its root is.

    Parameters
    ----------
    root
        ``file:///folder``, or a URL of any other file system of fsspec. The project's own when left out.
    """

    protocol = "project"
    root_marker = ""

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = root
        self._base, self._prefix = self.open_base(root)
        self.local_file = isinstance(self._base, FolderFileSystem)

    @classmethod
    def current_root(cls) -> str:
        """The root in force when none is given."""
        return root_url()

    @classmethod
    def open_base(cls, root: str) -> Tuple[Any, str]:
        """The file system that holds the root's files, and the root's path in it."""
        folder = local_folder(root)
        if folder is not None:
            return FolderFileSystem(folder), ""
        base, prefix = url_to_fs(root)
        return base, prefix.rstrip("/")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, (list, tuple)):
            return [cls._strip_protocol(item) for item in path]
        return relative(path)

    def _join(self, path: str) -> str:
        path = relative(path)
        if not self._prefix:
            return path
        return self._prefix + "/" + path if path else self._prefix

    def _told(self, entry: Dict[str, Any]) -> Dict[str, Any]:
        name = entry["name"].lstrip("/")
        prefix = self._prefix.lstrip("/")
        if prefix:
            name = name[len(prefix) :].lstrip("/")
        return dict(entry, name=name)

    def info(self, path: str, **kwargs: Any) -> Dict[str, Any]:
        return self._told(self._base.info(self._join(path), **kwargs))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Entries:
        found = [self._told(entry) for entry in self._base.ls(self._join(path), detail=True, **kwargs)]
        # Object stores may list the folder itself.
        entries = [e for e in found if e["name"] and not is_hidden(e["name"])]
        return entries if detail else [entry["name"] for entry in entries]

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        return self._base.open(self._join(path), mode, **kwargs)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._base.makedirs(self._join(path), exist_ok=exist_ok)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        self._base.mkdir(self._join(path), create_parents=create_parents, **kwargs)

    def rmdir(self, path: str) -> None:
        self._base.rmdir(self._join(path))

    def rm_file(self, path: str) -> None:
        self._base.rm_file(self._join(path))

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: Optional[int] = None) -> None:
        paths = [relative(item) for item in ([path] if isinstance(path, (str, os.PathLike)) else path)]
        if "" in paths:
            raise ValueError("the project itself cannot be deleted")
        self._base.rm([self._join(item) for item in paths], recursive=recursive, maxdepth=maxdepth)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        self._base.cp_file(self._join(path1), self._join(path2), **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self._base.mv(self._join(path1), self._join(path2), **kwargs)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> Any:
        return self._base.cat_file(self._join(path), start=start, end=end, **kwargs)

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        if truncate or not self.exists(path):
            with self.open(path, "wb"):
                pass

    def checksum(self, path: str) -> int:
        return int(self._base.checksum(self._join(path)))

    def ukey(self, path: str) -> str:
        return str(self._base.ukey(self._join(path)))

    def modified(self, path: str) -> Any:
        return self._base.modified(self._join(path))

    def invalidate_cache(self, path: Optional[str] = None) -> None:
        self._base.invalidate_cache(None if path is None else self._join(path))
        super().invalidate_cache(path)
