"""The order in which the tasks of an experiment begin, one after the other or several at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import count

from alexnet.experiments.task import Task


class Schedule:
    """Tasks of several searches, of which each goes on when its last tasks are finished.

    Tasks of earlier searches begin first, so that the first seeds are finished early.
    """

    def __init__(self, searches: Iterable[Iterator[list[Task]]]) -> None:
        self._searches = list(searches)
        self._waiting: list[tuple[int, int, Task]] = []
        """A heap of (search, number, task)."""
        self._number = count()
        self._unfinished = [0] * len(self._searches)
        self._search_of: dict[int, int] = {}
        """The search of each task that has begun, by the task's `id`."""
        for place in range(len(self._searches)):
            self._go_on(place)

    def next(self) -> Task | None:
        """The task that begins next; None if all that are known have begun."""
        if not self._waiting:
            return None
        place, _, task = heapq.heappop(self._waiting)
        self._search_of[id(task)] = place
        return task

    def finish(self, task: Task) -> None:
        """Let the search of a task go on if it was the last of its tasks."""
        place = self._search_of.pop(id(task))
        self._unfinished[place] -= 1
        if not self._unfinished[place]:
            self._go_on(place)

    def _go_on(self, place: int) -> None:
        tasks = next(self._searches[place], [])
        self._unfinished[place] = len(tasks)
        for task in tasks:
            heapq.heappush(self._waiting, (place, next(self._number), task))
