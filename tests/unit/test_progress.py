"""What lines of progress bars say, and which of them counts."""

from __future__ import annotations

import random

import pytest

from cluster_agent.protocol import Event
from mlmagics.display.progress import Progress, ProgressReader, read_line
from mlmagics.display.sampling import Samples, usage_line
from mlmagics.display.view import View

RICH = "Working... ━━━━━━━━━━╸━━━━━━━━━  62% 0:00:12"
PIP = "   ━━━━━━━━━━━━━╸━━━━━━ 5.2/8.3 MB 12.3 MB/s eta 0:00:03"


@pytest.mark.parametrize(
    ("line", "text", "fraction"),
    [
        (" 62%|######2   | 620/1000 [00:10<00:06, 61.3it/s]", "62 %, 620 of 1,000, 6 s left", 0.62),
        (
            "train:  62%|██████▏   | 62/100 [00:10<1:00:06,  1.3s/it, loss=3]",
            "train: 62 %, 62 of 100, 1 h 6 s left",
            0.62,
        ),
        ("  0%|          | 0/3 [00:00<?, ?it/s]", "0 %, 0 of 3", 0.0),
        (" 33% 1/3 [00:00<00:01, 3.3it/s]", "33 %, 1 of 3, 1 s left", 1 / 3),
        ("100%|##########| 3/3 [00:00<00:00, 48.3it/s]", "100 %, 3 of 3", 1.0),
        ("999/1000 [=====>.] - ETA: 1:02 - loss: 0.3", "99 %, 999 of 1,000, 1 min 2 s left", 0.999),
        (
            "get:  38%|###8      | 4.00M/10.5M [00:02<00:03, 2.1MB/s]",
            "get: 38 %, 4 M of 10.5 M, 3 s left",
            4 / 10.5,
        ),
        (" 10%|#         | 10/100 [00:01<1 day, 2:00:00, 1it/s]", "10 %, 10 of 100", 0.1),
        (
            "Epoch 0:  62%|██▌| 62/100 [00:10<00:06, 6.13it/s, v_num=0]",
            "Epoch 0: 62 %, 62 of 100, 6 s left",
            0.62,
        ),
        ("Map:  10%|#   | 10/100 [00:01<00:09, 9.7 examples/s]", "Map: 10 %, 10 of 100, 9 s left", 0.1),
        (" 33%|###3      |", "33 %", 0.33),
        ("x y: 3.81MB [00:01, 2.40MB/s]", "x y: 3.81 MB", None),
        ("5it [00:00, 9.43it/s]   ", "5 it", None),
        ("12/100 [==>...........................] - ETA: 3s - loss: 0.3", "12 %, 12 of 100, 3 s left", 0.12),
        ("12/100 ━━━━━━━━━━━━━━━━━━━━ 3s 5ms/step - loss: 0.3", "12 %, 12 of 100", 0.12),
        (RICH, "Working: 62 %, 12 s left", 0.62),
        (PIP, "63 %, 5.2 of 8.3, 3 s left", 5.2 / 8.3),
        ("Epoch 3/10", "Epoch 3/10", 0.3),
        ("epoch 3 of 10, loss 0.4", "epoch 3/10", 0.3),
        ("Epoch [3/10], Step [300/1000], Loss: 0.3", "Epoch 3/10", 0.3),
        ("step 300/1000", "step 300/1000", 0.3),
        ("progress: 62.5%", "62 %", 0.625),
        (" 62% [=====>    ]", "62 %", 0.62),
    ],
)
def test_progress_of_a_line(line: str, text: str, fraction: float | None) -> None:
    progress = read_line(line)
    assert progress is not None
    assert progress.text.startswith(text)
    assert progress.fraction == (pytest.approx(fraction) if fraction is not None else None)


@pytest.mark.parametrize(
    "line",
    ["accuracy 62%", "memory at 5% [ok]", "http://a/b/12/30", "2026/11/21 10:00", "loss 3/4", "step 5/3", "epoch 1/0",
     "[12]\ttrain-rmse:0.4", "1,,,/2", "/usr/lib/python3/x", "% / of", "150%|###|", ""],
)  # fmt: skip
def test_progress_is_not_read_from_other_lines(line: str) -> None:
    assert read_line(line) is None


def test_progress_is_100_percent_only_when_all_is_done() -> None:
    assert Progress(0.9999).percent == 99
    assert Progress(1.0).percent == 100


def said(*pieces: str) -> list[str]:
    """What counts after each piece of a stream."""
    reader = ProgressReader()
    texts = []
    for piece in pieces:
        reader.feed(piece)
        texts.append(reader.current.text if reader.current else "")
    return texts


def test_progress_the_last_of_many_bars_counts() -> None:
    bars = "".join(f"\r{n:3}%|###  | {n}/100 [00:01<00:01, 9it/s]" for n in range(60))
    assert said("x\n" * 5000 + bars) == ["59 %, 59 of 100, 1 s left"]


def test_progress_is_read_from_a_bar_that_comes_in_pieces() -> None:
    bar = "\r 50%|###  | 50/100 [00:01<00:01, 9it/s]"
    for cut in range(1, len(bar)):
        assert said(bar[:cut], bar[cut:])[-1] == "50 %, 50 of 100, 1 s left"


def test_progress_outer_bar_of_nested_ones_counts() -> None:
    outer = "\repochs:  {}%|#   | {}/100 [00:00<00:09, 1it/s]"
    inner = ("\n", "\rbatch:  90%|#   | 9/10 [00:00<00:00, 1it/s]", "\x1b[A")
    pieces = (outer.format(10, 10), *inner, outer.format(20, 20), *inner)
    seen = said(*pieces)
    assert seen[0] == "epochs: 10 %, 10 of 100, 9 s left"
    assert seen[3] == seen[0]
    assert set(seen[4:]) == {"epochs: 20 %, 20 of 100, 9 s left"}
    assert said("".join(pieces)) == seen[-1:]
    done = outer.format(100, 100).replace("00:09", "00:00")
    assert said(*pieces, done, *inner)[-1] == "batch: 90 %, 9 of 10"


def test_progress_bar_without_a_name_takes_the_counter_before_it() -> None:
    assert said("Epoch 1/3\n", "1/10 [=>....] - ETA: 3s", "\r5/10 [===>..] - ETA: 1s", "\nEpoch 2/3\n") == [
        "Epoch 1/3",
        "Epoch 1/3: 10 %, 1 of 10, 3 s left",
        "Epoch 1/3: 50 %, 5 of 10, 1 s left",
        "Epoch 2/3",
    ]


def test_progress_reads_anything_without_failing() -> None:
    dice = random.Random(0)
    parts = [
        "\r",
        "\n",
        "\x1b[A",
        "\x1b[32m",
        "12",
        "/",
        "%",
        "|",
        "[",
        "]",
        "<",
        ":",
        ",",
        " of ",
        "epoch ",
        "━━━",
        "9" * 30,
        "🙂",
    ]
    reader = ProgressReader()
    for _ in range(3000):
        reader.feed("".join(dice.choices(parts, k=dice.randrange(12))))
        if reader.current is not None:
            assert reader.current.text
            assert reader.current.fraction is None or 0 <= reader.current.fraction <= 1


def output(text: str, stream: str = "stdout") -> Event:
    return Event(type="output", stream=stream, text=text)  # type: ignore[arg-type]


def test_figures_follow_both_streams_of_a_job() -> None:
    view = View()
    for event in (
        output("\r 10%|#  | 1/10 [00:00<00:09, 1it/s]", "stderr"),
        output("[0]\ttrain-rmse:"),
        output("0.5\n"),
    ):
        view.feed(event)
    assert view.progress is not None
    assert view.progress.fraction == 0.1
    assert [(trace.name, trace.latest.value) for trace in view.figures.metrics.traces()] == [
        ("train-rmse", 0.5)
    ]


GIB = 2**30


def sample(*gpus: tuple[float, int], cpus: float = 1.93, memory: int = 3 * GIB) -> dict[str, object]:
    return {
        "cpus": cpus,
        "memory_bytes": memory,
        "gpus": [
            {"id": "x", "percent": percent, "memory_bytes": used * GIB, "memory_total_bytes": 80 * GIB}
            for percent, used in gpus
        ],
    }


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (sample((93, 31)), "1 GPU 93 %, 31 GiB of 80 GiB; memory 3 GiB of 16 GiB; 1.9 of 8 CPUs"),
        (sample(), "memory 3 GiB of 16 GiB; 1.9 of 8 CPUs"),
        (sample((93, 31), (2, 1))  , "2 GPUs: 93 %, 31 GiB of 80 GiB | 2 %, 1 GiB of 80 GiB; memory 3 GiB of 16 GiB; 1.9 of 8 CPUs"),
        (sample(*[(10.0 * n, n) for n in range(8)]), "8 GPUs 35 % on average (0 to 70 %), 28 GiB of 640 GiB; memory 3 GiB of 16 GiB; 1.9 of 8 CPUs"),
        ({"gpus": [{"id": "x"}], "cpus": None}, "1 GPU"),
        ({"gpus": "none", "cpus": "many", "memory_bytes": True}, ""),
    ],
)  # fmt: skip
def test_usage_in_words(values: dict[str, object], line: str) -> None:
    samples = Samples()
    samples.add(values, 1.0)
    assert samples.latest is not None
    assert usage_line(samples.latest, cpus=8, memory_bytes=16 * GIB) == line


def test_usage_of_gpus_in_all_weighs_by_time() -> None:
    samples = Samples()
    assert samples.summary() == ""
    for t, percent, used in ((1.0, 0.0, 1), (2.0, 100.0, 40), (12.0, 0.0, 2)):
        samples.add(sample((percent, used)), t)
    assert samples.summary() == "GPU 9 % busy on average, peak GPU memory 40 GiB of 80 GiB"
