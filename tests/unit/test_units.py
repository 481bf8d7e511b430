import time

import pytest

from cluster_agent.units import (
    format_clock,
    format_duration,
    format_size,
    parse_duration,
    parse_moment,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("30min", 1800),
        ("8h", 28800),
        ("2d", 172800),
        ("1h30m", 5400),
        ("1.5 h", 5400),
        ("250ms", 0.25),
    ],
)
def test_parse_duration_takes_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "4", "4.5", "-1h", "0s", "4x", "1h 30", "1e3s", "٤h"])
def test_parse_duration_refuses_what_is_unclear(text):
    with pytest.raises(ValueError, match=r"unit|not a duration"):
        parse_duration(text)


def test_parse_duration_names_the_choices_for_a_bare_number():
    with pytest.raises(ValueError, match="'90' has no unit: write 90s, 90m or 90h"):
        parse_duration("90")


@pytest.mark.parametrize(
    ("text", "size"),
    [("16G", 2**34), ("16GB", 2**34), ("16GiB", 2**34), ("512M", 2**29), ("1.5g", 3 * 2**29), ("1t", 2**40)],
)
def test_parse_size_takes_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "16", "G", "-1G", "0G", "1P", "1 Gb/s"])
def test_parse_size_refuses_what_is_unclear(text):
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (3, "3 s"),
        (9.96, "10 s"),
        (14.2, "14 s"),
        (125, "2 min 5 s"),
        (14400, "4 h"),
        (108000, "1 d 6 h"),
    ],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (14.2 * 2**20, "14.2 MiB"), (2**36, "64 GiB"), (2**51, "2048 TiB")],
)
def test_format_size(size, text):
    assert format_size(size) == text


def test_moments_as_people_write_them():
    now = time.mktime((2026, 11, 21, 15, 30, 0, 0, 0, -1))
    assert parse_moment("18:00", now) == now + 2.5 * 3600
    assert parse_moment("15:00", now) == now + 23.5 * 3600
    assert parse_moment("2h", now) == now + 7200
    assert parse_moment("2026-11-22", now) == now + 8.5 * 3600
    assert parse_moment("2026-11-22 16:30", now) == now + 25 * 3600
    for text in ("25:00", "soon", "2026-13-01", "5"):
        with pytest.raises(ValueError, match="is not a moment: write for example 18:00"):
            parse_moment(text, now)


def test_moments_as_people_read_them():
    now = time.mktime((2026, 11, 21, 15, 30, 0, 0, 0, -1))
    zone = time.strftime("%Z", time.localtime(now))
    assert format_clock(now + 60, now) == f"15:31 {zone}"
    assert format_clock(now + 86400, now) == f"22 Nov 15:30 {zone}"
