"""A run told as a timeline: each step is timed, printed when it ends, and kept for the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kitestring.errors import KitestringError
from kitestring.model.timeline import TimelineStep

Say = Callable[[str], None]


class DemoFailed(KitestringError):
    """A step did not end as it has to."""

    code = "demo.failed"


class Step:
    """One step that is under way; what it says last is its line of the timeline."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.happened = ""

    def says(self, text: str) -> None:
        self.happened = text

    def expect(self, true: bool, otherwise: str) -> None:
        """Raises DemoFailed unless `true`."""
        if not true:
            raise DemoFailed(f"{self.name}: {otherwise}", subject=self.name)


class Story:
    """The steps so far, and their total."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._started = time.monotonic()
        self.steps: list[TimelineStep] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Times what happens within; an error is kept as the step's end, and raised on."""
        step, start = Step(name), time.monotonic()
        try:
            yield step
        except BaseException as error:
            self._end(step, str(error) or type(error).__name__, start, ok=False)
            raise
        self._end(step, step.happened, start, ok=True)

    def _end(self, step: Step, happened: str, start: float, *, ok: bool) -> None:
        done = TimelineStep(step.name, happened, time.monotonic() - start, ok)
        self.steps.append(done)
        mark = "ok  " if ok else "FAIL"
        self._say(f"{mark} {done.seconds:6.1f} s  {done.name:<22} {done.happened}")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started
