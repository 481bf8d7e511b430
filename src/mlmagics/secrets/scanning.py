"""The scan of one text. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mlmagics.secrets.rules import Rule, Rules, rules

#: how far before and behind its keyword a secret is looked for
_BEFORE, _BEHIND = 120, 600
#: what is longer
_BEHIND_OF = {
    "private-key": 12_000,
    "jwt": 8_000,
    "jwt-base64": 12_000,
    "curl-auth-header": 2_000,
    "vault-batch-token": 1_000,
    "1password-service-account-token": 4_000,
    "gcp-api-key": 300,
}
_NAME = re.compile(r"[\w.-]{0,50}$", re.ASCII)
#: comments that say that a secret of this line, or of the next one, is none
_ALLOWED = re.compile(r"pragma:\s*(?:allowlist|whitelist)[ -]secret|gitleaks:allow", re.IGNORECASE)
_NEXT_ALLOWED = re.compile(r"pragma:\s*(?:allowlist|whitelist)[ -]nextline[ -]secret", re.IGNORECASE)
_SHOWN = 4
_SHORT = 16


@dataclass(frozen=True, kw_only=True)
class Found:
    """A secret, or what looks like one."""

    path: str
    #: both from 1
    line: int
    column: int
    #: what it is, for people: ``GitHub Personal Access Token``
    rule: str
    #: its first characters and stars: enough to find it, not to use it
    preview: str
    #: whether its form leaves no doubt; else the name says so that it is assigned to
    sure: bool = True

    @property
    def named(self) -> str:
        """What it is, and its beginning, for a sentence."""
        article = "an" if self.rule[:1] in "AEIOaeio" else "a"
        doubt = "" if self.sure else "what looks like "
        return f"{doubt}{article} {self.rule} ({self.preview})"


def scan_text(text: str, path: str = "cell") -> list[Found]:
    """The secrets in ``text``, in its order, each once.

    Parameters
    ----------
    path
        The name of the file that it is, by which some are left out (pictures, lock files), or ``cell``.
    """
    known = rules()
    if not text or known.skips(path):
        return []
    places = _Places(text)
    lowered = _lower(text)
    best: dict[tuple[int, str], tuple[int, Found]] = {}
    for keyword, candidates in known.by_keyword.items():
        at = lowered.find(keyword)
        if at < 0:
            continue
        for rule in candidates:
            for start, secret in _search(text, lowered, keyword, at, rule, known):
                line, column = places.of(start)
                if places.allows(line):
                    continue
                found = Found(
                    path=path,
                    line=line,
                    column=column,
                    rule=rule.words,
                    preview=_masked(secret),
                    sure=rule.sure,
                )
                _keep(best, found, start, secret)
    return [found for _, found in sorted(best.values(), key=lambda item: item[0])]


def _keep(best: dict[tuple[int, str], tuple[int, Found]], found: Found, start: int, secret: str) -> None:
    """Of several rules that find the same, the one that is sure."""
    key = found.line, secret
    for (line, other), (_, known) in list(best.items()):
        if line == found.line and (other in secret or secret in other):
            if known.sure or not found.sure:
                return
            del best[line, other]
    best[key] = start, found


def _search(
    text: str, lowered: str, keyword: str, at: int, rule: Rule, known: Rules
) -> Iterator[tuple[int, str]]:
    """Where a secret of ``rule`` begins, and what it is; around each place of the keyword."""
    for begin, end in _around(text, lowered, keyword, at, _BEHIND_OF.get(rule.rule_id, _BEHIND)):
        for match in rule.pattern.finditer(text, begin, end):
            start, secret = _secret(match, rule)
            if secret and _is_meant(rule, known, text, match, secret):
                yield start, secret


def _around(text: str, lowered: str, keyword: str, at: int, behind: int) -> Iterator[tuple[int, int]]:
    """The parts of a text that are around a keyword, which is ``at`` for the first time."""
    begin, end = max(0, at - _BEFORE), at + behind
    while at >= 0:
        if at - _BEFORE > end:
            yield begin, min(len(text), end)
            begin = at - _BEFORE
        end = at + behind
        at = lowered.find(keyword, at + len(keyword))
    yield begin, min(len(text), end)


def _secret(match: re.Match[str], rule: Rule) -> tuple[int, str]:
    group = rule.group or next((number for number, part in enumerate(match.groups(), 1) if part), 0)
    return match.start(group), match[group] or ""


def _is_meant(rule: Rule, known: Rules, text: str, match: re.Match[str], secret: str) -> bool:
    if rule.entropy and _entropy(secret) <= rule.entropy:
        return False
    before = _NAME.search(text, max(0, match.start() - 50), match.start())
    whole = (before[0] if before else "") + match[0]
    line = _line_of(text, match.start())
    return not any(allowed.holds(secret, whole, line) for allowed in (known.allow, *rule.allow))


def _entropy(text: str) -> float:
    """Bits for each character of ``text`` by how often each occurs in it."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())


def _lower(text: str) -> str:
    """``text`` in lower case, every character in its place."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(char.lower() if char.isascii() else char for char in text)


def _line_of(text: str, position: int) -> str:
    end = text.find("\n", position)
    return text[text.rfind("\n", 0, position) + 1 : end if end >= 0 else len(text)]


def _masked(secret: str) -> str:
    first = secret.split("\n", 1)[0]
    if len(first) < _SHORT:
        return "****"
    return f"{first[:_SHOWN]}****"


class _Places:
    """Lines of a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, position: int) -> tuple[int, int]:
        """Line and column of a position, both from 1."""
        return self._text.count("\n", 0, position) + 1, position - self._text.rfind("\n", 0, position)

    def allows(self, line: int) -> bool:
        """Whether a comment says that there is no secret in ``line``."""
        lines = self._text.split("\n")
        before = lines[line - 2] if line > 1 else ""
        return bool(_ALLOWED.search(lines[line - 1]) or _NEXT_ALLOWED.search(before))
