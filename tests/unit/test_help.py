"""Help is one screen with examples; a misspelt option is told its likely name."""

from __future__ import annotations

import pytest

from mlmagics.magics.attachments import verb_of, verb_parsers
from mlmagics.magics.config import config_parser
from mlmagics.magics.one_cluster import ON_HELP
from mlmagics.magics.options import cell_parser
from mlmagics.magics.verbs import LINE_MAGICS
from mlmagics.magics.words import HelpAskedFor, LineParser, WrongUse


def attachments_help() -> str:
    with pytest.raises(HelpAskedFor) as asked:
        verb_of("%attachments", ["--help"], verb_parsers())
    return asked.value.text


SCREENS = {
    "%%gpu-box": cell_parser("%%gpu-box").format_help(),
    "%gpu-box config": config_parser("%gpu-box config").format_help(),
    "mlmagics config": config_parser("mlmagics config gpu-box").format_help(),
    "%on": ON_HELP,
    "%attachments": attachments_help(),
    **{parser.prog: parser.format_help() for parser in verb_parsers().values()},
    **{f"%{name}": verb.parser().format_help() for name, verb in LINE_MAGICS.items()},
}


@pytest.mark.parametrize("magic", SCREENS)
def test_help_is_one_screen(magic: str) -> None:
    lines = SCREENS[magic].splitlines()
    assert lines[0].startswith("usage: ")
    assert len(lines) <= 32
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in SCREENS[magic]


@pytest.mark.parametrize("magic", [magic for magic in SCREENS if magic != "%attachments list"])
def test_help_has_examples(magic: str) -> None:
    assert "Examples:" in SCREENS[magic]


@pytest.mark.parametrize("magic", ["%%gpu-box", *(f"%{name}" for name in LINE_MAGICS)])
def test_examples_can_be_typed(magic: str) -> None:
    parser = cell_parser(magic) if magic == "%%gpu-box" else LINE_MAGICS[magic[1:]].parser()
    for example in parser.examples:
        if example.startswith(f"{magic} "):
            line = example.removeprefix(magic).split("  ")[0]
            parser.read(line)


def refusal(parser: LineParser, line: str) -> str:
    with pytest.raises(WrongUse) as refused:
        parser.read(line)
    return refused.value.message


def test_an_option_of_two_spellings_is_told_by_its_long_one() -> None:
    parser = cell_parser("%%gpu-box")
    assert refusal(parser, "--time 3").startswith("%%gpu-box: --timeout: '3' has no unit")
    assert "--no-wait: not allowed with --wait" in refusal(parser, "-w --no-wait")


def test_help_is_no_suggestion() -> None:
    assert "did you mean" not in refusal(cell_parser("%%gpu-box"), "--helpp")
    parser = LineParser("mlmagics run", "Run.", hint="what FILE shall know goes by --env KEY=VALUE")
    assert refusal(parser, "--epochs 3") == (
        "mlmagics run: unknown option --epochs: what FILE shall know goes by --env KEY=VALUE (mlmagics run --help)"
    )


@pytest.mark.parametrize(
    ("words", "says"), [(["ad"], "did you mean add?"), (["xyzzy"], "is none of add, alias, check, list,")]
)
def test_a_misspelt_verb_is_told_its_likely_name(words: list[str], says: str) -> None:
    with pytest.raises(WrongUse) as refused:
        verb_of("%attachments", words, verb_parsers())
    assert says in refused.value.message
