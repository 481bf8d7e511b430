"""The wish that something ends, told by one thread to another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cancel:
    """Set once; whatever was registered is called then, or at once when it was set before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = threading.Event()
        self._calls: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        """Whether the wish was told."""
        return self._set.is_set()

    def set(self) -> None:
        """Tell it."""
        with self._lock:
            self._set.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    @contextmanager
    def on(self, call: Callable[[], None]) -> Iterator[None]:
        """Have ``call`` called when it is told while the block runs."""
        with self._lock:
            told = self._set.is_set()
            if not told:
                self._calls.append(call)
        if told:
            call()
        try:
            yield
        finally:
            with self._lock:
                if call in self._calls:
                    self._calls.remove(call)
