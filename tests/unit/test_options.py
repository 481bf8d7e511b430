from __future__ import annotations

import pytest

from mlmagics.magics.options import CellOptions, cell_options
from mlmagics.magics.words import HelpAskedFor, WrongUse, joined, words

GIB = 2**30


def options(line: str, **environ: str) -> CellOptions:
    return cell_options("%%gpu-box", line, environ)


def refusal(line: str, **environ: str) -> str:
    with pytest.raises(WrongUse) as refused:
        options(line, **environ)
    assert "\n" not in refused.value.message
    return refused.value.message


def test_options_nothing_given_leaves_everything_to_the_agent() -> None:
    assert options("") == CellOptions()
    assert options("").defaulted() == ["--gpus", "--cpus", "--memory", "--timeout"]


def test_options_all_of_them() -> None:
    line = (
        "--name 'first try' --project p --gpus 2 --cpus 8 --memory 16GB --timeout 1h30m --grace 2m "
        "--priority low --env A=1 --env 'B=x y' --env HOME --as job --no-check --wait=30s --once --fetch m --trust"
    )
    assert options(line, HOME="/home/ada") == CellOptions(
        name="first try", project="p", gpus=2, cpus=8, memory_bytes=16 * GIB, timeout_s=5400.0, grace_s=120.0,
        priority="low", env={"A": "1", "B": "x y", "HOME": "/home/ada"}, as_var="job", check=False, wait_s=30.0,
        once=True, fetch=("m",), trust=True,
    )  # fmt: skip
    assert options(line, HOME="/").defaulted() == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [("--wait", float("inf")), ("-w", float("inf")), ("--no-wait", 0.0), ("--wait 5m", 300.0), ("", None)],
)
def test_options_how_long_to_wait(line: str, expected: float | None) -> None:
    assert options(line).wait_s == expected


def test_options_familiar_spellings_are_taken() -> None:
    assert options("--mem 16GiB --time 2d") == CellOptions(memory_bytes=16 * GIB, timeout_s=172800.0)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--gpu 2", "unknown option --gpu: did you mean --gpus?"),
        ("--pro x", "unknown option --pro"),
        ("--timeout 4", "'4' has no unit: write 4s, 4m or 4h"),
        ("--memory 16", "'16' is not a size with a unit"),
        ("--gpus two", "'two' is not a number of GPUs: a whole number from 0"),
        ("--gpus -1", "--gpus"),
        ("--cpus 0", "'0' is not a number of CPUs: a whole number from 1"),
        ("--priority high", "choose from"),
        ("--gpus", "--gpus: expected one argument"),
        ("train", "'train' is one word too many"),
        ("--name 'x", "no closing quotation"),
        ("--name ''", "a name has 1 to 100 characters"),
        ("--as 1x", "'1x' cannot be the name of a variable"),
        ("--as for", "'for' cannot be the name of a variable"),
        ("--as \U0001d41f\U0001d428\U0001d42b", "cannot be the name of a variable"),
        ("--fetch m,_oh", "'_oh' cannot be the name of a variable"),
        ("--fetch __builtins__", "'__builtins__' cannot be the name of a variable"),
        ("--env NOPE", "there is no variable NOPE here: set it, or write --env NOPE=VALUE"),
        (
            "--env HF_TOKEN",
            "there is no variable HF_TOKEN here: set it first (os.environ['HF_TOKEN'] = getpass",
        ),
        ("--once --no-once", "not allowed with"),
        ("--trust", "--trust is for what --fetch brings"),
        ("--env A-B=1", "'A-B' cannot be the name of a variable"),
        ("--wait --no-wait", "not allowed with"),
    ],
)
def test_options_wrong_ones_are_told_in_one_line(line: str, says: str) -> None:
    assert says in refusal(line)


def test_options_secrets_do_not_belong_in_a_cell() -> None:
    message = refusal("--env WANDB_API_KEY=0123456789abcdef")
    assert "--env WANDB_API_KEY" in message
    assert "0123456789abcdef" not in message
    assert "looks like a secret" in refusal("--env SETTING=hf_abcdefghijklmnop")
    assert options("--env TOKENIZERS_PARALLELISM=false --env MAX_TOKENS=512").env["MAX_TOKENS"] == "512"
    assert options("--env WANDB_API_KEY", WANDB_API_KEY="k").env == {"WANDB_API_KEY": "k"}


@pytest.mark.parametrize("line", ["--help", "-h", "--gpus 2 --help", "--nonsense -h"])
def test_options_help_is_shown_whatever_else_there_is(line: str) -> None:
    with pytest.raises(HelpAskedFor) as asked:
        options(line)
    assert asked.value.text.startswith("usage: %%gpu-box [options]")
    assert "\x1b" not in asked.value.text


def test_options_neither_dollar_nor_braces_mean_anything() -> None:
    assert options("--env A={x}$HOME").env == {"A": "{x}$HOME"}


def test_lines_that_end_in_a_backslash_go_on() -> None:
    line, body = joined("--gpus 2 \\", "  --name x \\ \n--cpus 4\nprint(1)\n")
    assert (line.split(), body) == (["--gpus", "2", "--name", "x", "--cpus", "4"], "print(1)\n")
    assert joined("--gpus 2", "a \\\nb") == ("--gpus 2", "a \\\nb")
    assert joined("--gpus 2 \\", "") == ("--gpus 2", "")


def test_words_keep_quoted_blanks_and_windows_paths() -> None:
    assert words("""a 'b c' "d e"x # f""") == ["a", "b c", "d ex", "#", "f"]
    assert words(r"--save C:\logs\x.txt", windows=True) == ["--save", r"C:\logs\x.txt"]
