"""The flow from the data to who is compared, counted in an engine: exclusions of a few people stay there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from evaltoolkit.data import EngineSource
from evaltoolkit.designs.matching.people import unit_word
from evaltoolkit.reduction.people import sums
from evaltoolkit.results import FlowStep
from evaltoolkit.study import Study

Steps = list[tuple[str, str]]
_NONE, _FEW, _ENOUGH = 0, 1, 2


def flow_to(
    source: EngineSource, table: Any, needed: Steps, study: Study
) -> Callable[[int, int], tuple[FlowStep, ...]]:  # fmt: skip
    """Count who is left out at each step, and return the flow as soon as the sizes of the groups are known.

    First the engine says of each step only whether nobody, a few or enough people were left out. Steps of a few are
    then counted together with others, so that no count from 1 to below the threshold leaves, nor can be worked out.

    Parameters
    ----------
    source, table
        The engine, and the rows that the filters keep.
    needed
        Columns that must have a value, in order, with their roles.
    study
        The study.
    """
    whole = source.table.aggregate(n=source.table.count())
    kept = table.aggregate(**_counts(table, needed))
    both = whole.cross_join(kept)
    names = ["n", *kept.columns]
    threshold = study.disclosure.threshold if study.counts_people else 0
    out = {f"x{i}": both[one] - both[two] for i, (one, two) in enumerate(pairwise(names))}
    sizes = {key: _size(left, threshold) for key, left in out.items()}
    found = source.executed(both.select(**sizes), "who is left out, in words").iloc[0]
    groups = grouped([int(found[key]) for key in out])
    ends = [0, *(group[-1] + 1 for group in groups)]
    counted = sums(source, both, {names[i]: both[names[i]].max() for i in ends}, "how many are left out")
    numbers = [int(counted[names[i]]) for i in ends]

    def _flow(treated: int, comparison: int) -> tuple[FlowStep, ...]:
        unit, people = unit_word(study), study.counts_people
        if groups or not any(int(found[key]) for key in out):
            steps = [FlowStep(label="Rows in the data", n=numbers[0], unit=unit, people=people)]
        else:
            steps = [FlowStep(label="Rows with complete data", n=treated + comparison, unit=unit, people=people)]
        for group, (before, after) in zip(groups, pairwise(numbers), strict=True):
            label, reason = _words([needed[i - 1] for i in group if i > 0], filtered=0 in group)
            steps.append(
                FlowStep(label=label, n=after, unit=unit, excluded=before - after, reason=reason, people=people)
            )
        last = steps[-1]
        steps[-1] = FlowStep(
            label=last.label, n=last.n, unit=unit, excluded=last.excluded, reason=last.reason, treated=treated,
            comparison=comparison, people=people,
        )  # fmt: skip
        return tuple(steps)

    return _flow


def grouped(sizes: list[int]) -> list[list[int]]:
    """Return which steps are counted together: each group leaves out enough people, or there is no group.

    >>> grouped([0, 2, 1, 2, 1]), grouped([1, 0, 1]), grouped([2, 0, 2])
    ([[1], [2, 3, 4]], [], [[0], [2]])
    """
    groups: list[list[int]] = []
    waiting: list[int] = []
    for i, size in enumerate(sizes):
        if size == _NONE:
            continue
        waiting.append(i)
        if size == _ENOUGH:
            groups.append(waiting)
            waiting = []
    if waiting and groups:
        groups[-1] += waiting
    return groups


def _counts(table: Any, needed: Steps) -> dict[str, Any]:
    whole = None
    found = {"n0": table.count()}
    for i, (name, _) in enumerate(needed, start=1):
        there = table[name].notnull()
        whole = there if whole is None else whole & there
        found[f"n{i}"] = whole.ifelse(1, 0).sum().fill_null(0)
    return found


def _size(left: Any, threshold: int) -> Any:
    return (left == 0).ifelse(_NONE, (left < threshold).ifelse(_FEW, _ENOUGH))


def _words(needed: Steps, *, filtered: bool) -> tuple[str, str]:
    if not needed:
        return "Rows in the study", "outside the filters of the design file"
    label = "With a value of " + _listed([name for name, _ in needed], "and")
    reason = "no value of " + _listed([f"{name} ({role})" for name, role in needed], "or")
    return label, f"outside the filters of the design file, or {reason}" if filtered else reason


def _listed(words: list[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
