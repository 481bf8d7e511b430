"""What Tab offers on the line of a magic."""

from __future__ import annotations

import pytest

from mlmagics.magics.candidates import Candidates
from mlmagics.magics.completion import Completion


class KnownCandidates(Candidates):
    """Agents that have answered already."""

    def jobs(self, typed: str, *, active_first: bool) -> list[tuple[str, str]]:
        found = [("gpu-box/10", "Finished tour"), ("gpu-box/9", "Running")]
        return found[::-1] if active_first else found

    def results(self, ref: str) -> list[tuple[str, str]]:
        return [("model", "Booster"), ("rmse", "float")] if ref == "gpu-box/9" else []

    def projects(self, cluster: str | None) -> list[str]:
        return ["default", "taxi"] if cluster == "gpu-box" else []


COMPLETION = Completion(lambda: ["gpu-box", "local"], KnownCandidates())


def offered(text: str) -> list[str]:
    return [match.text for match in COMPLETION.matches(text.split("\n")).matches]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%gpu-box --g", ["--gpus", "--grace"]),
        ("%%gpu-box --gpus 2 --g", ["--grace"]),
        ("%%gpu-box --wait --no-w", []),
        ("%%gpu-box --on", ["--once"]),
        ("%%gpu-box --once --no-o", []),
        ("%%gpu-box --env A --en", ["--env"]),
        ("%%gpu-box --priority l", ["low"]),
        ("%%gpu-box --priority=l", ["low"]),
        ("%%gpu-box --project ", ["default", "taxi"]),
        ("%%gpu-box --gpus ", []),
        ("%%gpu-box --name 'a b", []),
        ("%%gpu-box --wait --tim", ["--timeout", "--time"]),
        ("%%gpu-box \\\n  --pri", ["--priority"]),
        ("%%on ", ["gpu-box", "local"]),
        ("%%on gp", ["gpu-box"]),
        ("%%on gpu-box --pri", ["--priority"]),
        ("%%on gpu-box --project t", ["taxi"]),
        ("%%other --g", []),
        ("# comment\n%%gpu-box --g", []),
        ("%%gpu-box\nx --g", []),
        ("%logs ", ["gpu-box/9", "gpu-box/10"]),
        ("x = 1\n%logs gpu-box/1", ["gpu-box/10"]),
        ("    %logs gpu-box/1", ["gpu-box/10"]),
        ("%cancel gpu-box/9 ", ["gpu-box/10"]),
        ("%logs gpu-box/9 --no", ["--no-follow"]),
        ("%logs gpu-box/9 ", ["--url", "--tail", "--follow", "--no-follow", "--save", "--open"]),
        ("%logs --save ", []),
        ("%jobs --state fai", ["failed"]),
        ("%jobs --state failed,can", ["cancelled"]),
        ("%jobs --on ", ["gpu-box", "local"]),
        ("%jobs --na", ["--name"]),
        ("%attachments ", ["list", "add", "remove", "check", "alias", "use"]),
        ("%attachments ch", ["check"]),
        ("%attachments check g", ["gpu-box"]),
        ("%attachments add g", []),
        ("%attachments add box https://x --tok", ["--token-file", "--token-env"]),
        ("%gpu-box ", ["config", "help"]),
        ("%gpu-box config --gp", ["--gpus"]),
        ("%gpu-box config --reset ti", ["timeout", "time"]),
        ("%gpu-box config --reset gpus ti", ["timeout", "time"]),
        ("%on gpu-box con", ["config"]),
        ("%on l", ["local"]),
        ("x = 5 %logs", []),
        ("", []),
    ],
)
def test_completion_offers_what_may_stand_there(text: str, expected: list[str]) -> None:
    assert offered(text) == expected


def test_completion_of_variables_comes_from_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY_OF_TEST", "1")
    assert offered("%%gpu-box --env WANDB_API_KEY_OF") == ["WANDB_API_KEY_OF_TEST"]


def test_completion_replaces_only_what_is_typed_of_the_word() -> None:
    assert COMPLETION.matches(["%%gpu-box --priority=l"]).typed == "l"
    assert COMPLETION.matches(["%jobs --state failed,can"]).typed == "can"
    assert COMPLETION.matches(["%logs gpu-box/1"]).typed == "gpu-box/1"


def test_completion_tells_what_a_job_is() -> None:
    found = COMPLETION.matches(["%logs gpu-box/1"])
    assert [match.kind for match in found.matches] == ["Finished tour"]
