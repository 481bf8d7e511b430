"""The rules: those of gitleaks for the tokens of known services, and a few of our own for passwords in code.

``rules.json`` is made by ``tools/secret_rules.py``. A rule is compiled when one of its keywords is met for the first time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

#: values that stand for one
_PLACEHOLDER = (
    r"(?i)^(?:.*(?:example|changeme|change_me|placeholder|dummy|redacted|secret_?here|your[_-]|my[_-]?(?:pass|secret|token)|"
    r"password|passwd|hunter2|foobar|lorem|todo|fixme|xxx|\*\*\*|\.\.\.|\$\{|\{\{|<[^>]*>).*|none|null|true|false|test|"
    r"testing|secret|token|admin|root|user|guest|postgres|default|string|str|pass|pwd|key|value|(.)\1*|[{%$<@].*|"
    r"0?1234\d*|abc\w*|.*\{[^}]*\}.*)$"
)


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What a rule finds and does not mean."""

    #: what is looked at: ``secret``, ``match`` or ``line``
    target: str = "secret"
    regexes: tuple[str, ...] = ()
    stopwords: tuple[str, ...] = ()

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        return [re.compile(regex, re.ASCII) for regex in self.regexes]

    def holds(self, secret: str, match: str, line: str) -> bool:
        """Whether what was found is meant."""
        text = {"secret": secret, "match": match, "line": line}[self.target]
        if any(pattern.search(text) for pattern in self._patterns):
            return True
        lowered = secret.lower()
        return any(word in lowered for word in self.stopwords)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of secret."""

    rule_id: str
    #: what it finds, for people
    words: str
    regex: str
    #: one of these is in every text that has such a secret, in lower case
    keywords: tuple[str, ...]
    #: what is found is one for sure: its form says so, not the name of what it is assigned to
    sure: bool = True
    #: least bits for each character; what repeats itself is no key
    entropy: float = 0.0
    #: of the expression; 0 for the first that is not empty
    group: int = 0
    allow: tuple[Allowed, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression."""
        return re.compile(self.regex, re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All rules, and what none of them means."""

    rules: tuple[Rule, ...]
    allow: Allowed
    paths: tuple[str, ...] = field(default=())

    @cached_property
    def by_keyword(self) -> dict[str, list[Rule]]:
        """The rules that a keyword may mean."""
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for keyword in rule.keywords:
                found.setdefault(keyword, []).append(rule)
        return found

    @cached_property
    def _path_patterns(self) -> list[re.Pattern[str]]:
        return [re.compile(regex) for regex in self.paths]

    def skips(self, path: str) -> bool:
        """Whether the file ``path`` is of a kind that has no secrets, such as a lock file or a picture."""
        return any(pattern.search(path) for pattern in self._path_patterns)


_SCHEMES = (
    r"(?:https?|ftps?|sftp|ssh|git|smb|ldaps?|rediss?|amqps?|(?:postgres|postgresql|mysql|mariadb|mssql|oracle|mongodb|"
    r"clickhouse|snowflake|redshift)(?:\+\w+)?)"
)
#: where examples live, and what listens to this machine only
_HARMLESS_HOSTS = r"(?!localhost\b|127\.0\.0\.1\b|0\.0\.0\.0\b|(?:[\w-]+\.)*example\b)"

OWN = (
    Rule(
        rule_id="url-password",
        words="password in a URL",
        regex=(
            rf"(?i)\b{_SCHEMES}://[^\s:/@'\"`{{}}<>]{{0,80}}:([^\s:/@'\"`<>]{{3,120}})@{_HARMLESS_HOSTS}[\w.-]+"
        ),
        keywords=("://",),
        allow=(Allowed(regexes=(_PLACEHOLDER,)),),
    ),
    Rule(
        rule_id="wandb-api-key",
        words="Weights & Biases API key",
        regex=r"(?i)\bwandb[\w.]{0,20}['\"]?\]?\s{0,3}[(=:,]{1,3}\s{0,3}(?:key\s{0,3}=\s{0,3})?['\"]([0-9a-f]{40})['\"]",
        keywords=("wandb",),
        entropy=3.0,
    ),
    Rule(
        rule_id="password-assignment",
        words="password",
        regex=(
            r"(?i)(?:password|passwd|passphrase|pwd)['\"]?\]?\s{0,3}[=:]\s{0,3}[rbu]?['\"]([^'\"\s]{6,120})['\"]"
        ),
        keywords=("password", "passwd", "passphrase", "pwd"),
        sure=False,
        allow=(Allowed(regexes=(_PLACEHOLDER, r"^[a-z_]+$", r"^[A-Z_]+$", r"^[./~].*/")),),
    ),
    Rule(
        rule_id="environ-assignment",
        words="key or password",
        regex=r"(?i)(?:secret|token|api_?key|access_?key|auth)\w{0,20}['\"]\]\s{0,3}=\s{0,3}[rbu]?['\"]([^'\"\s]{10,200})['\"]",
        keywords=("secret", "token", "key", "auth"),
        sure=False,
        entropy=3.0,
        allow=(Allowed(regexes=(_PLACEHOLDER, r"^[^0-9]+$", r"^[./~].*/")),),
    ),
)


@lru_cache(maxsize=1)
def rules() -> Rules:
    """The rules, read once."""
    content = json.loads(files(__package__).joinpath("rules.json").read_text(encoding="ascii"))
    return Rules(
        rules=(*(_rule(rule) for rule in content["rules"]), *OWN),
        allow=Allowed(regexes=tuple(content["regexes"]), stopwords=tuple(content["stopwords"])),
        paths=tuple(content["paths"]),
    )


def _rule(found: dict[str, Any]) -> Rule:
    allow = tuple(
        Allowed(
            target=part["target"],
            regexes=tuple(part.get("regexes", ())),
            stopwords=tuple(part.get("stopwords", ())),
        )
        for part in found.get("allow", ())
    )
    return Rule(
        rule_id=found["id"],
        words=found["words"],
        regex=found["regex"],
        keywords=tuple(found["keywords"]),
        sure=not found.get("by_name", False),
        entropy=float(found.get("entropy", 0.0)),
        group=int(found.get("group", 0)),
        allow=allow,
    )
