"""Questions that may take long or for ever, asked in a thread of their own, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """The latest answer to a question."""

    def __init__(self, question: Callable[[], T]) -> None:
        #: None until there was one
        self.answer: T | None = None
        #: when that came, in monotonic seconds, and how long it took
        self.answered_at = 0.0
        self.took_s = 0.0
        self._question = question
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Ask again, unless the last question has no answer yet."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        began = time.monotonic()
        self.answer = self._question()
        self.answered_at = time.monotonic()
        self.took_s = self.answered_at - began
