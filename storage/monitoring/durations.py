"""Durations as exact as pages show them, so that a few hundred different values stand for any number of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from engine.core.clock import HOUR, MINUTE, SECOND


class Took(Struct, frozen=True):
    """Percentiles of a duration in milliseconds."""

    p50: int
    p95: int


def as_shown(took: int) -> int:
    """Returns the duration (milliseconds) that stands for all which a page shows with the same words
    (`ui.kit.text.rolled_up_duration`): steps of 1 ms, from 10 ms on of 10 ms, from 1 s on of 0.1 s, then of a second, a minute and
    an hour. It never decreases with the duration, so that percentiles of either are shown alike.
    """
    if took < 10:
        return max(took, 0)
    seconds = took / SECOND
    if seconds < 1:
        return min(round(round(seconds, 2) * SECOND), 999)
    if seconds < 59.95:
        return round(round(seconds, 1) * SECOND)
    whole = round(seconds) * SECOND
    step = SECOND if whole < HOUR else MINUTE if whole < 24 * HOUR else HOUR
    return whole // step * step


def nearest_rank(counts: Mapping[int, int]) -> Took | None:
    """Returns the percentiles of durations by how often each occurred; None without any."""
    total = sum(counts.values())
    if not total:
        return None
    ranks = [(total * share + 99) // 100 for share in (50, 95)]
    found: list[int] = []
    passed = 0
    for took in sorted(counts):
        passed += counts[took]
        while len(found) < len(ranks) and passed >= ranks[len(found)]:
            found.append(took)
    return Took(*found)


def add_packed(counts: dict[int, int], packed: Iterable[int]) -> None:
    """Adds a list of time, count, time, count."""
    values = iter(packed)
    for took, count in zip(values, values, strict=True):
        counts[took] = counts.get(took, 0) + count


def packed_as_shown(counts: Mapping[int, int]) -> list[int]:
    """Returns measured durations as `packed` does, each as the one that stands for it."""
    found: dict[int, int] = {}
    for took, count in counts.items():
        shown = as_shown(took)
        found[shown] = found.get(shown, 0) + count
    return packed(found)


def packed(counts: Mapping[int, int]) -> list[int]:
    """Returns durations and their counts as the list that is stored."""
    return [number for took in sorted(counts) for number in (took, counts[took])]
