"""How far a job says that it is, read from what progress bars write. Pure.

Rules, the same on the history page:

- Only lines that say so are read: bars of tqdm, rich, pip and Keras, ``Progress: 62 %``, and counters such as
  ``Epoch 3/10`` and ``step 300 of 1000``. Nothing is computed from how often something was printed.
- The latest line counts. Of nested bars of tqdm (the inner ones end with "cursor up") the outer one counts as long
  as it is unfinished. A bar without a name of its own takes the counter before it: ``Epoch 3/10: 12 of 100``.
- What is not known is left out: a bar without a total has no fraction, ``?`` is no remaining time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from cluster_agent.units import format_duration
from mlmagics.display.escapes import one_line

#: of text that comes at once only this much of its end is looked at
_END_CHARS = 2048
_MAX_LINE = 400
_MAX_LINES = 50
_MAX_LABEL = 40

_NUMBER = r"\d[\d,]{0,18}(?:\.\d+)?"
_SCALE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
# `desc:  62%|######2   | 620/1.00k [00:10<00:06, 61.3it/s]`; without a bar when it is narrow
_TQDM = re.compile(
    rf"^(?P<label>.*?)(?<![\d.])(?P<percent>\d{{1,3}})%\s*(?:\|[^|]*\|)?\s*(?P<done>{_NUMBER})(?P<done_scale>[kMGTP]?)"
    rf"/(?P<total>{_NUMBER})(?P<total_scale>[kMGTP]?)[^\[\d]{{0,12}}\[[\d:]+<(?:(?P<left>[\d:]{{1,12}})[,\]])?"
)
# `desc: 3.81MB [00:01, 2.4MB/s]`
_TQDM_OPEN = re.compile(
    rf"^(?:(?P<label>.*?):\s+)?(?P<done>{_NUMBER})(?P<done_scale>[kMGTP]?)(?P<unit>[^\W\d]{{0,12}}) ?\[\d+:[\d:]+, +[\d.?]"
)
# Keras: `12/100 [==>.......] - ETA: 3s`, `12/100 <bar> 3s 5ms/step - loss: 0.3`
_KERAS = re.compile(
    r"^\s*(?P<done>\d{1,15})/(?P<total>\d{1,15})\s+(?:\[[=>.]+\]|[\u2501\u2578\u257a]{3,})(?:.*?ETA:\s*(?P<left>[\d:]{1,12})s?)?"
)
# rich and pip: `Working <bar>  62% 0:00:12`, `<bar> 5.2/8.3 MB 1.1 MB/s eta 0:00:03`
_RICH = re.compile(
    r"^(?P<label>.*?)[\u2501\u2578\u257a]{3,}\s*(?:(?P<percent>\d{1,3})%)?"
    rf"(?:\s*(?P<done>{_NUMBER})/(?P<total>{_NUMBER}))?(?:.*?(?P<left>\d+:\d\d(?::\d\d)?))?"
)
# `  62%|#####    |` with a format of one's own, `62% [====>   ]`, `Progress: 62.5 %`
_PERCENT = re.compile(
    r"^(?:(?P<label>.*?)(?<![\d.]))?(?P<percent>\d{1,3}(?:\.\d+)?)\s?%(?:\||\s*\[[=>#. -])"
    r"|\b(?:progress|completed?|done)\b\W{1,4}(?P<percent2>\d{1,3}(?:\.\d+)?)\s?%",
    re.IGNORECASE,
)
_COUNTER = re.compile(
    r"\b(?P<what>epoch|step|iter(?:ation)?|batch|fold|trial|round|stage|episode|generation|chunk|file|part)"
    r"\b[\s:#=]{0,3}[\[(]?\s{0,4}(?P<done>\d{1,15})\s?(?:/|of)\s?(?P<total>\d{1,15})",
    re.IGNORECASE,
)
#: each shape with text without which it cannot be there
_SHAPES = (
    ("%", _TQDM.match),
    ("[", _TQDM_OPEN.match),
    ("/", _KERAS.match),
    ("\u2501", _RICH.match),
    ("%", _PERCENT.search),
    ("", _COUNTER.search),
)
_LIKELY = re.compile(r"\d\s?%|\d/\d|\[\d+:\d\d|\d of \d")
_BREAKS = re.compile(r"[\r\n]")
_UP = "\x1b[A"


@dataclass(frozen=True)
class Progress:
    """How far a job says that it is.

    Attributes
    ----------
    fraction
        From 0 to 1; None where the total is not known.
    done, total
        In the bar's own unit; None where it has said percents only.
    label
        What the bar is called, such as ``Epoch 3/10``; may be empty.
    eta_s
        How long it will take, as the bar says; None where it does not.
    unit
        What is counted, as the bar says.
    counter
        Whether it is a line such as ``Epoch 3/10``, which ``label`` then holds.
    """

    fraction: float | None
    done: float | None = None
    total: float | None = None
    label: str = ""
    eta_s: float | None = None
    unit: str = ""
    counter: bool = False

    @property
    def text(self) -> str:
        """The progress in words: ``train: 62 %, 620 of 1,000, 6 s left``."""
        if self.counter:
            return self.label
        parts = []
        if self.fraction is not None:
            parts.append(f"{self.percent} %")
        if self.done is not None and self.total is not None:
            parts.append(f"{_count(self.done)} of {_count(self.total)}")
        elif self.done is not None:
            space = "" if self.unit == "B" and self.done >= _SCALE["M"] else " "
            parts.append(f"{_count(self.done)}{space}{self.unit}".rstrip())
        if self.eta_s and self.fraction != 1:
            parts.append(f"{format_duration(self.eta_s)} left")
        return (f"{self.label}: " if self.label else "") + ", ".join(parts)

    @property
    def percent(self) -> int:
        """The fraction in whole percents; 100 only when all is done."""
        return 100 if self.fraction == 1 else min(99, round(100 * (self.fraction or 0.0)))


def read_line(line: str) -> Progress | None:
    """The progress that one line without escapes tells; None when it tells none."""
    if _LIKELY.search(line):
        for needed, shape in _SHAPES:
            found = shape(line) if needed in line else None
            progress = _progress(found) if found else None
            if progress:
                return progress
    return None


class ProgressReader:
    """Reads a stream as it comes; ``current`` is what it said last."""

    def __init__(self) -> None:
        self._tail = ""
        self._bar: Progress | None = None
        self._before: Progress | None = None
        #: the bar that the text so far ends with
        self._last: Progress | None = None
        self._counter = ""
        #: bars that were seen inside another one
        self._inner: set[str] = set()

    @property
    def current(self) -> Progress | None:
        """The progress to show; None as long as nothing was said."""
        return self._bar

    def feed(self, text: str) -> bool:
        """Whether ``text``, with its carriage returns and escapes, told progress."""
        if text.startswith(_UP):
            self._demote()
        self._last = None
        # most text tells nothing, so the cheapest looks come first
        end = text[-_END_CHARS:]
        end = self._tail + end if len(text) < _END_CHARS else end
        self._keep_tail(text)
        if not ("%" in end or "/" in end or " of " in end) or not _LIKELY.search(end):
            return False
        pieces = _BREAKS.split(end)
        inner: Progress | None = None
        for piece in pieces[: -_MAX_LINES - 1 : -1]:
            found = read_line(one_line(piece[:_MAX_LINE])) if piece else None
            if found is None:
                continue
            if piece.endswith(_UP):
                self._is_inner(found)
            if _key(found) in self._inner:
                inner = inner or found
            elif inner is None or _unfinished(found):
                self._take(found)
                self._last = self._bar if piece is pieces[-1] else None
                return True
            else:
                break
        if inner is not None and not (_unfinished(self._bar) and _key(self._bar) not in self._inner):
            self._take(inner)
        return inner is not None

    def _take(self, found: Progress) -> None:
        if found.counter:
            self._counter = found.label
        elif not found.label and self._counter:
            found = replace(found, label=self._counter)
        self._before, self._bar = self._bar, found

    def _demote(self) -> None:
        # the bar at the end of the text before was an inner one: the cursor goes up from it to the outer one
        if self._last is not None:
            self._is_inner(self._last)
            if _unfinished(self._before):
                self._bar = self._before

    def _is_inner(self, bar: Progress) -> None:
        if len(self._inner) < _MAX_LINES:
            self._inner.add(_key(bar))

    def _keep_tail(self, text: str) -> None:
        cut = max(text.rfind("\n"), text.rfind("\r"))
        self._tail = (text[cut + 1 :] if cut >= 0 else self._tail + text)[-_MAX_LINE:]


def _key(bar: Progress | None) -> str:
    return (bar.label or f"of {bar.total}") if bar else ""


def _unfinished(bar: Progress | None) -> bool:
    return bar is not None and bar.fraction not in (None, 1)


def _progress(found: re.Match[str]) -> Progress | None:
    groups = found.groupdict()
    what = groups.get("what")
    done, total = _value(groups, "done"), _value(groups, "total")
    percent = groups.get("percent") or groups.get("percent2")
    if percent is not None and float(percent) > 100:
        return None
    fraction = float(percent) / 100 if percent is not None else None
    if done is not None and total is not None:
        if not 0 <= done <= total or total == 0:
            return None
        fraction = done / total
    elif done is None and fraction is None:
        return None
    label = (groups.get("label") or "").strip(" :|-.")[:_MAX_LABEL]
    if what:
        label = f"{what} {groups['done']}/{groups['total']}"
    return Progress(
        fraction, done, total, label, _seconds(groups.get("left")), groups.get("unit") or "", bool(what)
    )


def _value(groups: dict[str, str | None], name: str) -> float | None:
    number = groups.get(name)
    return float(number.replace(",", "")) * _SCALE[groups.get(f"{name}_scale") or ""] if number else None


def _seconds(text: str | None) -> float | None:
    """Seconds in ``1:02:03``, ``02:03`` or ``3``."""
    if not text or text == "?":
        return None
    seconds = 0
    for part in text.split(":"):
        seconds = 60 * seconds + int(part or 0)
    return float(seconds)


def _count(number: float) -> str:
    for letter in "GM":
        if number >= _SCALE[letter]:
            return f"{number / _SCALE[letter]:.4g} {letter}"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.4g}"
