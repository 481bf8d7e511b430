"""What ``/openapi.json`` says is what the agent does: requests made from it, right ones and wrong ones, by each role."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from people import People, as_bearer, visitor
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROLES = {"nobody": None, "viewer": "eve", "user": "ada", "admin": "admin"}


@pytest.fixture(scope="module")
def schema(people: People) -> Any:
    with visitor(people) as http:
        document = http.get("/openapi.json").json()
    return schemathesis.openapi.from_dict(document)


@pytest.fixture
def as_before(people: People) -> Iterator[None]:
    yield
    people.client("admin").resume()


def check(people: People, schema: Any, who: str | None, examples: int, *, random: bool) -> None:
    # a fault tells its reproduction itself
    manner = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=not random,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    headers = as_bearer(people.tokens[who]) if who else {}
    document = schema.raw_schema
    for found in schema.get_all_operations():
        operation = found.ok()
        args = {"job_id": people.job.job_id} if "{job_id}" in operation.path else None
        described = document["paths"][operation.path][operation.method]
        # text can be wrong in no way that the description knows of; fields of a body can
        takes_json = "application/json" in described.get("requestBody", {}).get("content", {})
        for mode in (GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes_json else [])):
            for path in (None, args) if args and mode is GenerationMode.POSITIVE else (None,):
                _check_operation(people, operation, mode, path, headers, manner)


def _check_operation(
    people: People,
    operation: Any,
    mode: Any,
    path: dict[str, Any] | None,
    headers: dict[str, str],
    manner: Any,
) -> None:
    checks = CHECKS + ([negative_data_rejection] if mode is GenerationMode.NEGATIVE else [])

    @manner
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=path))
    def one(case: Any) -> None:
        reply = case.call(base_url=people.agent.url, headers=headers)
        case.validate_response(reply, checks=checks)

    one()


@pytest.mark.parametrize("role", ROLES)
def test_the_agent_does_what_its_description_says(
    people: People, schema: Any, as_before: None, role: str
) -> None:
    check(people, schema, ROLES[role], 4, random=False)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("role", ROLES)
def test_the_agent_does_what_its_description_says_at_length(
    people: People, schema: Any, as_before: None, role: str
) -> None:
    check(people, schema, ROLES[role], int(os.environ.get("SPEC_EXAMPLES", "100")), random=True)
