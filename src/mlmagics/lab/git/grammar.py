"""The grammar of what may be handed to git: paths, branches, remotes, addresses, names of people. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from mlmagics.errors import BadValue
from mlmagics.lab.git.refusals import AddressRefused

_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,99}"
#: host:path as ssh takes it; a slash before the colon would make it a path
_SHORT = re.compile(rf"(?:(?P<user>{_USER})@)?(?P<host>{_HOST}):(?P<path>[^:-].*)", re.DOTALL)
_HOST_AND_PORT = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_REFS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_PERSON = re.compile(r"[^\x00-\x1f\x7f<>\"\\-][^\x00-\x1f\x7f<>\"\\]{0,199}")
_MAIL = re.compile(r"[^\s\x00-\x1f\x7f<>\"\\-][^\s\x00-\x1f\x7f<>\"\\]{0,199}")
_USERINFO = re.compile(r"(?<=//)[^/\s@]*@")


class Address(NamedTuple):
    """Where a remote repository is."""

    scheme: str
    #: with the port where it is not the usual one
    host: str
    user: str


def check_path(path: str) -> str:
    """``path`` when it can be one below the root of a repository.

    Raises
    ------
    BadValue
        When it leads elsewhere or into git's own files.
    """
    parts = path.removesuffix("/").split("/")
    if "\x00" in path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise BadValue(f"{shown(path)!r} is not a file of the repository", field="paths")
    return path


def check_branch(name: str) -> str:
    """``name`` when git takes it as that of a branch.

    Raises
    ------
    BadValue
        When it does not.
    """
    parts = name.split("/")
    fine = (
        0 < len(name) <= 255
        and not _NOT_IN_REFS.search(name)
        and not name.startswith("-")
        and "" not in parts
        and not any(part.startswith(".") or part.endswith((".lock", ".")) for part in parts)
        and name not in ("@", "HEAD")
    )
    if not fine:
        raise BadValue(f"{shown(name)!r} is not the name of a branch", field="branch")
    return name


def is_remote(name: str) -> bool:
    """Whether ``name`` is one that a remote may have here."""
    return bool(_REMOTE.fullmatch(name)) and not _NOT_IN_REFS.search(name) and "/." not in name


def check_remote(name: str) -> str:
    """``name`` when it can be that of a remote.

    Raises
    ------
    BadValue
        When it cannot.
    """
    if not is_remote(name):
        raise BadValue(f"{shown(name)!r} is not the name of a remote", field="remote")
    return name


def check_place(text: str) -> str:
    """``text`` as what lets somebody in: the host, and port, of a remote, or the file of a key.

    Raises
    ------
    BadValue
        When it cannot be one.
    """
    if text.startswith("/") and not _CONTROL.search(text):
        return text
    if not _HOST_AND_PORT.fullmatch(text):
        raise BadValue(f"{shown(text)!r} is not a host, with a port or without", field="host")
    return text.lower()


def check_person(name: str, email: str) -> tuple[str, str]:
    """Name and address of an author, without blanks around them.

    Raises
    ------
    BadValue
        When git could not keep them as they are.
    """
    name, email = name.strip(), email.strip()
    if not _PERSON.fullmatch(name):
        raise BadValue('a name is one line without any of < > " \\', field="author")
    if not _MAIL.fullmatch(email):
        raise BadValue('an e-mail address is one word without any of < > " \\', field="author")
    return name, email


def read_address(url: str) -> Address:
    """The parts of the address of a remote repository.

    Raises
    ------
    AddressRefused
        When it is not one for https or ssh, holds a password, or could be taken for something else.
    """
    if not url or _CONTROL.search(url) or " " in url or len(url) > 2000 or url.startswith("-"):
        raise AddressRefused("the address of the remote cannot be one: set it with git remote set-url")
    if "://" in url:
        return _read_url(url)
    short = _SHORT.fullmatch(url)
    if short is None or "::" in url:
        raise AddressRefused(
            f"{redacted(url)} is not used from here: only https:// and ssh addresses are; "
            "use git in a terminal, or git remote set-url"
        )
    return Address("ssh", short["host"].lower(), short["user"] or "")


def _read_url(url: str) -> Address:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressRefused(
            "the address of the remote cannot be one: set it with git remote set-url"
        ) from None
    if parts.scheme not in ("https", "ssh"):
        raise AddressRefused(
            f"{redacted(url)} is not used from here: only https:// and ssh addresses are; "
            "use git in a terminal, or git remote set-url"
        )
    userinfo, _, host = parts.netloc.rpartition("@")
    if ":" in userinfo:
        raise AddressRefused(
            f"the address {redacted(url)} holds a password: take it out with git remote set-url, "
            "you are asked for it then"
        )
    found = _HOST_AND_PORT.fullmatch(host)
    if found is None or (userinfo and not re.fullmatch(_USER, userinfo)) or parts.path.startswith("/-"):
        raise AddressRefused("the address of the remote cannot be one: set it with git remote set-url")
    usual = {"https": "443", "ssh": "22"}[parts.scheme]
    port = found["port"] if found["port"] not in (None, usual) else None
    return Address(parts.scheme, found["host"].lower() + (f":{port}" if port else ""), userinfo)


def redacted(text: str) -> str:
    """``text`` without what stands before an @ in an address."""
    return _USERINFO.sub("", text)


def shown(name: str) -> str:
    """``name`` as text that can be encoded; bytes that are no UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
