"""What may reach git, and what git says: the parts of the sidebar's git that need no git."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from mlmagics.errors import BadValue
from mlmagics.lab.git.asking import Teller
from mlmagics.lab.git.configured import read_configuration
from mlmagics.lab.git.environment import environment
from mlmagics.lab.git.grammar import (
    Address,
    check_branch,
    check_path,
    check_person,
    check_place,
    is_remote,
    read_address,
    redacted,
)
from mlmagics.lab.git.keeping import Credential, Vault
from mlmagics.lab.git.refusals import AddressRefused
from mlmagics.lab.git.saying import refusal

GIT = Path(__file__).parents[2] / "src" / "mlmagics" / "lab" / "git"


def test_git_is_started_in_one_module_only() -> None:
    starters = {"git", "subprocess"}
    for path in GIT.rglob("*.py"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = set()
        for node in tree:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
        assert not names & starters or path.name == "program.py", path.name


def test_git_options_are_written_out() -> None:
    """No option is built from a value: what is put into one is a constant of its module."""
    for path in GIT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr) or not isinstance(node.values[0], ast.Constant):
                continue
            if str(node.values[0].value).startswith("-"):
                used = {
                    name.id for value in node.values for name in ast.walk(value) if isinstance(name, ast.Name)
                }
                assert all(name.lstrip("_").isupper() for name in used), (path.name, node.lineno, used)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/ada/proj.git", Address("https", "github.com", "")),
        ("https://ada@bitbucket.org/ada/proj.git", Address("https", "bitbucket.org", "ada")),
        ("https://Git.Example.org:8443/x", Address("https", "git.example.org:8443", "")),
        ("https://example.org:443/x", Address("https", "example.org", "")),
        ("https://[::1]:8443/x", Address("https", "[::1]:8443", "")),
        ("git@github.com:ada/proj.git", Address("ssh", "github.com", "git")),
        ("ssh://git@example.org:2222/~ada/proj.git", Address("ssh", "example.org:2222", "git")),
        ("host:proj.git", Address("ssh", "host", "")),
    ],
)
def test_git_addresses(url: str, address: Address) -> None:
    assert read_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "", "-x", "--upload-pack=x", "http://h/x", "file:///x", "/x", "./x", "../x:y", "ext::sh", "a::b", "host::x",
        "https://u:p@h/x", "https://h\n/x", "https://h/x\0", "https://h:port/x", "https://-h/x", "ssh://-h/x",
        "ssh://h/-x", "h:-x", "-h:x", "-u@h:x", "https://h/ x", "https://", "https:///x", "https://h%0a/x",
        "https://h/" + "x" * 3000, "ftp://h/x", "https://ex\u0430mple.org/x",
    ],
)  # fmt: skip
def test_git_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        read_address(url)


def test_git_an_address_is_told_without_its_password() -> None:
    assert redacted("https://u:secret@h/x and ssh://git@h/y") == "https://h/x and ssh://h/y"
    with pytest.raises(AddressRefused) as error:
        read_address("https://u:secret@h/x")
    assert "secret" not in error.value.message


@pytest.mark.parametrize("name", ["main", "feature/a", "é", "<b>", "a-b", "v1.2", "x@y"])
def test_git_branches(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-x", "--force", "a..b", "a b", "a~", "a^", "a:b", "a?", "a*", "a[", "a\\b", "/a", "a/", "a//b", ".a", "a/.b",
     "a.lock", "a.lock/b", "a.", "@", "HEAD", "a@{1}", "a\n", "a\x7f", "x" * 256],
)  # fmt: skip
def test_git_branches_that_are_refused(name: str) -> None:
    with pytest.raises(BadValue):
        check_branch(name)


@pytest.mark.parametrize("name", ["", "-x", "a b", "../x", "a..b", "a:b", ".x", "é", "x" * 101])
def test_git_remotes_that_are_refused(name: str) -> None:
    assert not is_remote(name)


@pytest.mark.parametrize(
    "path", ["a", "-rf", "a b/c", "a/", "caf\udce9", "new\nline", ".gitignore", "x/.github"]
)
def test_git_paths(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "..", "a/../b", "./a", "a//b", ".git", ".git/config", "a/.GIT/b", "a\0b"]
)
def test_git_paths_that_are_refused(path: str) -> None:
    with pytest.raises(BadValue):
        check_path(path)


def test_git_people_are_one_line() -> None:
    assert check_person(" Ada ", "ada@example.org") == ("Ada", "ada@example.org")
    for name, email in [("-x", "a@b"), ("A\n", "a@b\nb"), ("A", "a b"), ("A<b>", "x"), ("", "x"), ("A", "")]:
        with pytest.raises(BadValue):
            check_person(name, email)
    for place in ("git hub", "h\n", "-h", "h/x", ""):
        with pytest.raises(BadValue):
            check_place(place)


# --- configuration and environment --------------------------------------------------------------------------


def configured(*lines: tuple[str, str, str]) -> bytes:
    return b"".join(f"{scope}\0{key}\n{value}\0".encode() for scope, key, value in lines)


def test_git_programs_of_a_repository_wait_and_those_of_the_person_do_not() -> None:
    held = read_configuration(
        configured(
            ("global", "filter.x.clean", "mine"),
            ("global", "credential.helper", "!mine"),
            ("local", "filter.y.smudge", "theirs"),
            ("worktree", "core.sshcommand", "theirs"),
            ("local", "credential.https://h.helper", "!theirs"),
            ("local", "user.name", "Ada"),
        )
    )
    assert held.programs().names == ["filter.y.smudge", "core.sshcommand", "credential.https://h.helper"]
    assert held.programs().needs == {"files", "network"}
    assert held.helpers(trusted=False) == [("credential.helper", "!mine")]
    assert len(held.helpers(trusted=True)) == 2
    assert ("filter.y.smudge", "") in held.silenced(held.programs())
    assert held.get("user.name") == "Ada"
    assert held.own("user.name") is None


def test_git_what_everybody_sets_needs_no_yes() -> None:
    held = read_configuration(
        configured(
            ("local", "credential.helper", "cache --timeout=3600"),
            ("local", "credential.helper", "store"),
            ("local", "filter.lfs.process", "git-lfs filter-process"),
            ("local", "filter.lfs.clean", "git-lfs clean -- %f"),
            ("local", "remote.origin.url", "https://h/x"),
        )
    )
    assert held.programs().names == []
    evil = configured(
        ("local", "credential.helper", "store --file=/x"), ("local", "filter.lfs.clean", "git-lfs clean; x")
    )
    assert read_configuration(evil).programs().needs == {"network", "files"}


def test_git_environment_leads_nowhere_else() -> None:
    inherited = {
        "PATH": f".{os.pathsep}/usr/bin{os.pathsep}bin",
        "GIT_DIR": "/x",
        "GIT_SSH_COMMAND": "ssh -F mine",
        "GIT_ASKPASS": "/x",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "a.b",
        "GIT_CONFIG_VALUE_0": "c",
        "GIT_TRACE": "/x",
    }
    made = environment(inherited, above="/above")
    assert {"GIT_DIR", "GIT_TRACE"} <= set(made.unset)
    assert "GIT_SSH_COMMAND" not in made.unset
    assert made.variables["PATH"] == "/usr/bin"
    assert made.variables["GIT_ALLOW_PROTOCOL"] == "none"
    assert made.variables["GIT_ASKPASS"] == ""
    count = int(made.variables["GIT_CONFIG_COUNT"])
    pairs = [
        (made.variables[f"GIT_CONFIG_KEY_{n}"], made.variables[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)
    ]
    assert pairs[0] == ("a.b", "c")
    assert pairs[-1] == ("core.hooksPath", os.devnull)
    assert environment(inherited, network=True).variables["GIT_ALLOW_PROTOCOL"] == "https:ssh"


# --- credentials --------------------------------------------------------------------------------------------


def test_git_a_credential_is_for_its_host_only() -> None:
    teller = Teller(frozenset({"h:8443"}), {"h:8443": Credential("ada", "secret")}, Vault())
    asked = {"action": "get", "protocol": "https", "host": "h:8443"}
    assert teller.answer(asked) == {"username": "ada", "password": "secret"}
    for other in ({"host": "h"}, {"host": "evil"}, {"protocol": "http"}, {"username": "bob"}):
        assert teller.answer({**asked, **other}) == {"quit": "1"}, other
    assert "secret" not in repr(Credential("ada", "secret"))


def test_git_what_was_wanted_is_remembered() -> None:
    teller = Teller(frozenset({"h"}), {}, Vault())
    assert teller.answer({"action": "get", "protocol": "https", "host": "evil"}) == {"quit": "1"}
    assert teller.wanted is None
    teller.answer({"action": "get", "protocol": "https", "host": "h", "username": "ada"})
    assert teller.wanted is not None
    assert (teller.wanted.host, teller.wanted.username, teller.wanted.refused) == ("h", "ada", False)
    teller.answer({"action": "erase", "protocol": "https", "host": "h"})
    assert teller.wanted.refused is True
    assert teller.answer({"action": "store", "protocol": "https", "host": "h"}) == {}


def test_git_ssh_is_told_passphrases_and_nothing_else(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("")
    vault = Vault()
    vault.put(str(key), Credential("", "sesame"), "memory")
    teller = Teller(frozenset(), {}, vault)
    for prompt in ("ada@h's password: ", "Are you sure (yes/no)? ", f"(h) Enter passphrase for key '{key}': ",
                   f"Enter passphrase for key '{key}x': "):  # fmt: skip
        assert teller.answer({"action": "ssh", "prompt": prompt}) == {}, prompt
    prompt = f"Enter passphrase for key '{key}': "
    assert teller.answer({"action": "ssh", "prompt": prompt}) == {"passphrase": "sesame"}
    # once refused it is not given again
    assert teller.answer({"action": "ssh", "prompt": prompt}) == {}
    assert teller.wanted is not None
    assert teller.wanted.refused


@pytest.mark.parametrize("token", ["", "a\nb", "a\0b", "a\rb"])
def test_git_tokens_are_one_line(token: str) -> None:
    with pytest.raises(BadValue):
        Vault().put("h", Credential("ada", token), "memory")


# --- what git says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("fatal: Authentication failed for 'https://h/x/'", "git_denied"),
        (
            "remote: Write access not granted.\nfatal: unable to access: The requested URL returned error: 403",
            "git_denied",
        ),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "git_unreachable"),
        ("error: RPC failed; curl 56 GnuTLS recv error\nfatal: early EOF", "git_unreachable"),
        ("fatal: unable to access 'x': SSL certificate problem: self-signed certificate", "git_unreachable"),
        ("git@github.com: Permission denied (publickey).", "git_denied"),
        ("Host key verification failed.", "git_denied"),
        ("fatal: transport 'ext' not allowed", "git_address"),
        ("fatal: Unable to create '/x/.git/index.lock': File exists.", "git_locked"),
        ("fatal: detected dubious ownership in repository at '/x'", "git_foreign"),
        ("!\trefs/heads/main:refs/heads/main\t[rejected] (fetch first)", "git_rejected"),
        ("error: cannot rebase: You have unstaged changes.", "git_would_overwrite"),
        ("fatal: no email was given and auto-detection is disabled", "git_no_identity"),
        ("error: something new", "git_failed"),
        ("", "git_failed"),
    ],
)
def test_git_failures_have_codes_and_next_steps(said: str, code: str) -> None:
    found = refusal(said)
    assert found.code == code
    assert " " in found.message


def test_git_files_that_would_be_overwritten_are_named() -> None:
    said = "error: Your local changes to the following files would be overwritten by merge:\n\ta b.txt\n\tc.txt\nPlease commit"
    assert refusal(said).paths == ["a b.txt", "c.txt"]


def test_git_words_of_others_are_shown_as_text() -> None:
    found = refusal("fatal: \x1b[31mhttps://u:secret@h/x\x1b[0m failed\x07\n")
    assert found.message == "git refused: https://h/x failed"
