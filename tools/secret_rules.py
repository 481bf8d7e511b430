"""Makes ``src/mlmagics/secrets/rules.json`` from the rules of gitleaks (MIT licence), which are kept up to date there.

    python tools/secret_rules.py gitleaks.toml v8.30.1

Its regular expressions are Go's; what Python writes in another way is rewritten. Rules that look at the names of files,
and two that can take long on large texts, are left out, and so are exceptions that hold whole keys.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import tomllib

RULES = Path(__file__).resolve().parent.parent / "src" / "mlmagics" / "secrets" / "rules.json"
_WORDS = {
    "aws-access-token": "AWS access key",
    "aws-amazon-bedrock-api-key-long-lived": "Amazon Bedrock API key",
    "aws-amazon-bedrock-api-key-short-lived": "Amazon Bedrock API key",
    "cisco-meraki-api-key": "Cisco Meraki API key",
    "clickhouse-cloud-api-secret-key": "ClickHouse Cloud API secret key",
    "codecov-access-token": "Codecov access token",
    "curl-auth-header": "credentials in the header of a curl command",
    "flutterwave-public-key": "Flutterwave public key",
    "generic-api-key": "key or password",
    "nuget-config-password": "password of a NuGet configuration",
    "private-key": "private key",
    "sourcegraph-access-token": "Sourcegraph access token",
}
#: the beginning of rules that go by the name of what a text of some length is assigned to
_BY_NAME = "(?i)[\\w.-]{0,50}?"
#: more that go by a name
_BY_NAME_TOO = {"hashicorp-tf-password", "nuget-config-password"}
#: what one would call a key in Python is seldom one without a digit
_MORE_ALLOWED = {"generic-api-key": {"target": "secret", "regexes": ["^[^0-9]+$"]}}
_LEFT_OUT = {"curl-auth-user", "kubernetes-secret-yaml", "pkcs12-file"}
#: such as "Uncovered a possible X, potentially compromising Y" or "Detected a pattern that resembles a X, posing Y"
_NOISE = re.compile(
    r"^(?:\w+ed|Found) (?:an? |the )?(?:(?:possible|potential|potentially|pattern that \w+(?: \w+)??|suspected) )*(?:an? )?",
)
_SPECIAL = re.compile(r"[\\\[({|+*?]")
_END = re.compile(r",| in your | which |\. | that | potentially | risking | leading |\.$")


def main() -> None:
    """Write the file."""
    source, version = Path(sys.argv[1]), sys.argv[2]
    config = tomllib.loads(source.read_text(encoding="utf-8"))
    rules = [_rule(rule) for rule in config["rules"] if rule["id"] not in _LEFT_OUT]
    allowed = config["allowlist"]
    content = {
        "source": f"gitleaks {version}, MIT licence, see LICENSE.gitleaks; written by tools/secret_rules.py",
        "paths": [_python(text) for text in allowed["paths"]],
        "regexes": [_python(text) for text in allowed["regexes"]],
        "stopwords": allowed["stopwords"],
        "rules": sorted(rules, key=lambda rule: str(rule["id"])),
    }
    RULES.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n", encoding="ascii")
    print(f"{len(rules)} rules")


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    by_name = rule["regex"].startswith(_BY_NAME)
    # what stands before the name costs most of the time, and the scan looks at it only where it has found something
    regex = _python(rule["regex"].replace(_BY_NAME, "(?i)", 1) if by_name else rule["regex"])
    if not _SPECIAL.search(regex):
        # a text without anything special would be found by its own rule
        regex = f"{regex[0]}[{regex[1]}]{regex[2:]}"
    pattern = re.compile(regex, re.ASCII)
    found: dict[str, Any] = {
        "id": rule["id"],
        "words": _words(rule),
        "regex": regex,
        "keywords": [word.lower() for word in rule["keywords"]],
    }
    if by_name or rule["id"] in _BY_NAME_TOO:
        found["by_name"] = True
    for key, name in (("entropy", "entropy"), ("secretGroup", "group")):
        if rule.get(key):
            found[name] = rule[key]
    allow = [_allow(part, pattern) for part in rule.get("allowlists", ()) if "paths" not in part]
    if rule["id"] in _MORE_ALLOWED:
        allow.append(_MORE_ALLOWED[rule["id"]])
    if allow:
        found["allow"] = allow
    return found


def _allow(part: dict[str, Any], pattern: re.Pattern[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"target": part.get("regexTarget", "secret")}
    regexes = [text for text in part.get("regexes", ()) if not pattern.search(text)]
    if regexes:
        found["regexes"] = [_python(text) for text in regexes]
    stopwords = [word for word in part.get("stopwords", ()) if not re.fullmatch(r"[0-9a-f]{24,}", word)]
    if stopwords:
        found["stopwords"] = stopwords
    return found


def _words(rule: dict[str, Any]) -> str:
    if rule["id"] in _WORDS:
        return _WORDS[rule["id"]]
    text = _END.split(_NOISE.sub("", rule["description"].strip()), maxsplit=1)[0].strip().rstrip(".")
    return text if 2 < len(text) < 60 else rule["id"].replace("-", " ")


def _python(regex: str) -> str:
    """``regex`` as Python writes it: a flag in the middle of a group becomes a group to the end of that group."""
    regex = (
        regex.replace(r"\z", r"\Z").replace("[[:alnum:]]", "[a-zA-Z0-9]").replace("[:alnum:]", "a-zA-Z0-9")
    )
    out: list[str] = []
    #: for each open group, whether a flag group was opened in it
    groups = [False]
    position = 0
    while position < len(regex):
        char = regex[position]
        if char == "\\":
            out.append(regex[position : position + 2])
            position += 2
        elif char == "[":
            end = _end_of_class(regex, position)
            out.append(regex[position:end])
            position = end
        elif regex.startswith("(?i)", position):
            if position and not groups[-1]:
                out.append("(?i:")
                groups[-1] = True
            elif not position:
                out.append("(?i)")
            position += 4
        else:
            out.append(_stepped(char, groups))
            position += 1
    return "".join(out) + (")" if groups[0] else "")


def _stepped(char: str, groups: list[bool]) -> str:
    if char == "(":
        groups.append(False)
    elif char == ")":
        return "))" if groups.pop() else ")"
    elif char == "|" and groups[-1]:
        return ")|(?i:"
    return char


def _end_of_class(regex: str, start: int) -> int:
    position = start + 1
    if regex[position] == "^":
        position += 1
    if regex[position] == "]":
        position += 1
    while regex[position] != "]":
        position += 2 if regex[position] == "\\" else 1
    return position + 1


if __name__ == "__main__":
    main()
