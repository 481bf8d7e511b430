"""Secrets in a text are found, harmless text is left alone; all tokens are made here, when the tests run."""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path

import pytest

from cluster_agent.protocol import Submit
from mlmagics.preflight.secrecy import check_secrets
from mlmagics.secrets import scan_text
from mlmagics.secrets.rules import rules

ALNUM = string.ascii_letters + string.digits
BASE32 = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"


def some(count: int, of: str = ALNUM, seed: int = 7) -> str:
    return "".join(random.Random(seed).choices(of, k=count))


def jwt() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': '1234', 'name': 'ada'})}.{some(43)}"


def private_key(kind: str) -> str:
    lines = "\n".join(some(64, seed=seed) for seed in range(20))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


TOKENS = {
    "AWS access key": lambda: f"aws_id = '{'AK' + 'IA'}{some(16, BASE32)}'",
    "GitHub Personal Access Token": lambda: f"token = '{'gh' + 'p_'}{some(36)}'",
    "GitHub Fine-Grained Personal Access Token": lambda: f"'{'github' + '_pat_'}{some(82)}'",
    "GitLab Personal Access Token": lambda: f"gitlab = '{'gl' + 'pat-'}{some(20)}'",
    "Slack Bot token": lambda: (
        f"slack = '{'xox' + 'b-'}{some(12, string.digits)}-{some(12, string.digits)}-{some(24)}'"
    ),
    "Hugging Face Access token": lambda: f"login('{'hf' + '_'}{some(34, string.ascii_letters)}')",
    "OpenAI API Key": lambda: f"OpenAI(api_key='{'sk-' + 'proj-'}{some(74)}{'T3Blbk' + 'FJ'}{some(74)}')",
    "PyPI upload token": lambda: f"'{'pypi-' + 'AgEIcHlwaS5vcmc'}{some(60)}'",
    "JSON Web Token": lambda: f"headers = {{'Authorization': 'Bearer {jwt()}'}}",
    "private key": lambda: f'key = """{private_key("RSA ")}"""',
    "password in a URL": lambda: f"engine('postgresql+psycopg2://ada:{some(12)}@db.lab:5432/trips')",
    "Weights & Biases API key": lambda: f"wandb.login(key='{some(40, HEX)}')",
    "Stripe Access Token": lambda: f"'{'sk' + '_live_'}{some(30)}'",
    "credentials in the header of a curl command": lambda: (
        f'!curl -H "Authorization: Bearer {some(40)}" https://api.lab'
    ),
}


@pytest.mark.parametrize("rule", TOKENS)
def test_tokens_are_found(rule: str) -> None:
    found = scan_text(f"import os\n\n{TOKENS[rule]()}\nprint(1)")
    assert [(one.rule, one.line, one.sure) for one in found if one.sure] == [(rule, 3, True)]


@pytest.mark.parametrize(
    "line",
    [
        "password = '{}'",
        "conn = connect(user='ada', password='{}')",
        "config = {{'db_password': '{}'}}",
        "os.environ['API_KEY'] = '{}'",
        'client_secret: "{}"',
    ],
)
def test_what_is_called_a_password_looks_like_one(line: str) -> None:
    (found,) = scan_text(line.format(some(24)))
    assert not found.sure
    assert "looks like" in found.named


@pytest.mark.parametrize("number", range(3))
def test_a_short_password_is_not_shown_at_all(number: int) -> None:
    secret = some(10, seed=number) + "7"
    (found,) = scan_text(f"password = '{secret}'")
    assert found.preview == "****"
    assert not any(secret[at : at + 3] in found.named for at in range(len(secret) - 2))


HARMLESS = [
    "",
    "import pandas as pd\ndf = pd.read_csv('project://trips.csv')\nprint(df.head())",
    "password = os.environ['DB_PASSWORD']",
    "password = getpass.getpass()",
    "password = 'changeme'\npassword = 'your-password-here'\npassword = '<password>'\npassword = '***'",
    "token = '${TOKEN}'\nsecret = '{{ secret }}'\napi_key = 'YOUR_API_KEY'",
    "key = 'passenger_count'\ntokens = tokenizer('hello world')",
    "tokenizer = AutoTokenizer.from_pretrained('bert-base-uncased')",
    "url = 'https://example.org/data.csv?key=value'\nurl = 'http://user:pass@localhost:8080'",
    "url = f'postgresql://{user}:{password}@db/trips'",
    "commit = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b'",
    "sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'",
    "uuid = '123e4567-e89b-12d3-a456-426614174000'",
    "secret_sauce = [1, 2, 3]\nmax_tokens = 4096\nauth = ('ada', pw)",
    "image = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='",
    "for keyword in ('password', 'secret', 'token'): print(keyword)",
    "model = xgboost.XGBRegressor(n_estimators=600, max_depth=8, learning_rate=0.05)",
    "from sklearn.model_selection import train_test_split as password_free",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert scan_text(text) == []


@pytest.mark.parametrize(
    "comment", ["# pragma: allowlist secret", "# pragma: whitelist-secret", "# gitleaks:allow"]
)
def test_a_comment_says_that_it_is_none(comment: str) -> None:
    line = TOKENS["AWS access key"]()
    assert scan_text(f"{line}  {comment}") == []
    assert scan_text(f"# pragma: allowlist nextline secret\n{line}") == []
    assert len(scan_text(f"{line}\nx = 1  {comment}")) == 1


def test_places_count_from_one_and_each_is_told_once() -> None:
    token = TOKENS["GitHub Personal Access Token"]()
    found = scan_text(f"é = 'İ'\n{token}\n  {token}", path="a/b.py")
    assert [(one.path, one.line, one.column) for one in found] == [("a/b.py", 2, 10), ("a/b.py", 3, 12)]
    assert found[0].preview == "ghp_****"


def test_kinds_of_files_that_hold_none_are_passed_over() -> None:
    token = TOKENS["AWS access key"]()
    assert scan_text(token, path="notebooks/taxi.ipynb")
    assert not scan_text(token, path="poetry.lock")
    assert not scan_text(token, path="plot.png")


def test_a_secret_far_into_a_long_line_is_found() -> None:
    token = TOKENS["AWS access key"]()
    assert [one.rule for one in scan_text("x" * 200_000 + " " + token)] == ["AWS access key"]


def test_every_rule_can_be_compiled_and_has_words() -> None:
    for rule in rules().rules:
        assert rule.pattern.pattern
        assert rule.words
        assert rule.keywords == tuple(keyword.lower() for keyword in rule.keywords)
    assert len({rule.rule_id for rule in rules().rules}) == len(rules().rules) > 200


def test_our_own_rules_hold_no_secrets() -> None:
    path = Path(__file__).parents[2] / "src" / "mlmagics" / "secrets" / "rules.json"
    assert [found for found in scan_text(path.read_text(encoding="ascii")) if found.sure] == []


def test_a_cell_its_parameters_and_what_travels_are_looked_at() -> None:
    token = TOKENS["GitHub Personal Access Token"]()
    value = token.partition(" = ")[2]
    request = Submit(source=f"x = 1\n{token}", params={"token": value})
    found = list(check_secrets(request, [f"def load():\n    {token}"]))
    assert [finding.level for finding in found] == ["error"] * 3
    assert [finding.line for finding in found] == [2, 0, 0]
    assert found[0].message.startswith(
        "a GitHub Personal Access Token (ghp_****) in the cell, which is saved with"
    )
    assert "--env NAME" in found[0].message
    assert "in --param token" in found[1].message
    assert "(def load():)" in found[2].message
    assert value.strip("'") not in "".join(finding.message for finding in found)
    (looks,) = check_secrets(Submit(source=f"password = '{some(20)}'"), [])
    assert looks.level == "warning"
