"""``--env``: a variable for the job, written out or taken from here. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlmagics.magics.words import WrongUse

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Not TOKENIZERS_PARALLELISM, nor MAX_TOKENS.
_SECRET_NAME = re.compile(
    r"token(?!iz|s)|secret|passw(or)?d|api_?key|credential|private_?key|access_?key", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"(hf_|ghp_|gho_|github_pat_|glpat-|sk-|xox[abp]-|AKIA|eyJ)[\w.-]{12,}|-----BEGIN .*"
)


def _looks_secret(key: str, value: str) -> bool:
    if _SECRET_NAME.search(key) or _SECRET_VALUE.fullmatch(value):
        return True
    from mlmagics.secrets import scan_text

    return any(found.sure for found in scan_text(f'{key} = "{value}"'))


def variable(text: str, environ: Mapping[str, str], seen: str) -> tuple[str, str]:
    """Name and value of the variable that ``--env`` asks for by ``text``; ``seen`` says why no secret belongs there.

    Raises
    ------
    WrongUse
        When there is none of that name, or a secret stands in ``text``.
    """
    key, given, value = text.partition("=")
    if not _VARIABLE.fullmatch(key):
        raise WrongUse(f"--env: {key!r} cannot be the name of a variable: write --env KEY or --env KEY=VALUE")
    if not given:
        if key not in environ:
            how = (
                f"set it first (os.environ[{key!r}] = getpass.getpass())"
                if _SECRET_NAME.search(key)
                else f"set it, or write --env {key}=VALUE"
            )
            raise WrongUse(f"--env {key}: there is no variable {key} here: {how}")
        return key, environ[key]
    # A notebook is shared and versioned; what is written in a cell is no secret any more.
    if value and _looks_secret(key, value):
        raise WrongUse(
            f"--env {key}=...: this looks like a secret, and {seen}: set {key} in the environment here and write "
            f"--env {key}"
        )
    return key, value
