"""Rosenbaum bounds for the very pairs or matched sets and the outcome of a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.kernels.rosenbaum import Direction, crossing, sign_bound, signed_rank, signed_rank_bound
from evaltoolkit.kernels.rosenbaum_location import location_bounds
from evaltoolkit.kernels.rosenbaum_sets import MatchedSets, aligned_rank_bound, aligned_ranks
from evaltoolkit.results import Diagnostic, interval, number
from evaltoolkit.results.types import VerdictWord

FloatArray = NDArray[np.float64]

ROBUST: Final = 1.5
"""Odds ratio of a hidden difference below which a conclusion counts as easily explained away."""
MOST_LOCATED: Final = 20_000
"""Pairs above which location bounds are left out: every one is an order statistic of half a square of them."""
QUESTION: Final = "How strong would a hidden difference within pairs have to be to explain the result?"
NOT_SETS: Final = (
    "Bounds for hidden differences within pairs need people who stand in one pair or matched set only; here they are "
    "reused or weighted. The robustness value answers a like question."
)
_NOT_LONE: Final = (
    "Bounds for hidden differences need sets with one treated or one comparison person; strata hold several of both. "
    "The robustness value answers a like question."
)
_REFERENCE: Final = "Rosenbaum 2002, doi:10.1007/978-1-4757-3692-2"


@dataclass(frozen=True, slots=True)
class _Test:
    """A test of no effect: its name, its bound on the one-sided p-value, what it leaves out, and who hides in it."""

    name: str
    bound: Callable[[float], float]
    note: str = ""
    counts: tuple[int, ...] = ()


def rosenbaum(fitted: Fitted) -> Diagnostic:
    """Return the strength of hidden bias at which the result of the pairs or sets could be chance."""
    differences, sets = pair_differences(fitted), _sets(fitted)
    if sets is None:
        text = NOT_SETS if fitted.matched.sets is None else _NOT_LONE
        return Diagnostic(name="rosenbaum", question=QUESTION, verdict="not-applicable", text=text)
    test = _set_test(fitted, sets) if differences is None else _pair_test(fitted, differences)
    alpha = 1 - fitted.study.inference.level
    gamma = crossing(lambda g: min(2 * test.bound(g), 1.0), alpha)
    hidden = fitted.study.counts_people and any(fitted.cells.hides(count) for count in test.counts)
    return Diagnostic(
        name="rosenbaum", question=QUESTION, statistic="odds ratio Γ of being served at which p reaches "
        f"{number(alpha, 2)}", value=None if hidden or not np.isfinite(gamma) else gamma, threshold=ROBUST,
        p_value=None if hidden else min(2 * test.bound(1.0), 1.0), verdict=_verdict(gamma),
        text=_text(fitted, test, gamma, differences, hidden=hidden), reference=_REFERENCE,
    )  # fmt: skip


def pair_differences(fitted: Fitted) -> FloatArray | None:
    """Return the outcome of the treated less that of the comparison person of each pair; None where sets are larger."""
    pairs, people = fitted.matched.pairs, fitted.people
    if pairs is None or pairs.focal.size != pairs.n_focal:
        return None
    y = people.outcome
    sign = np.where(people.treated[pairs.focal], 1.0, -1.0)
    return np.asarray(sign * (y[pairs.focal] - y[pairs.match]), dtype=np.float64)


def _sets(fitted: Fitted) -> MatchedSets | None:
    used, sets = fitted.used, fitted.matched.sets
    if sets is None:
        return None
    return MatchedSets.of(fitted.people.outcome[used], fitted.people.treated[used], sets[used])


def _set_test(fitted: Fitted, sets: MatchedSets) -> _Test:
    ranked, direction = aligned_ranks(sets), _direction(fitted)
    return _Test("aligned rank test of matched sets", lambda g: aligned_rank_bound(ranked, g, direction))


def _pair_test(fitted: Fitted, differences: FloatArray) -> _Test:
    direction = _direction(fitted)
    if fitted.study.outcome.kind == "binary" and fitted.people.measured is None:
        more, less = int((differences > 0).sum()), int((differences < 0).sum())
        ends = (more, less) if direction == "greater" else (less, more)
        return _Test("exact McNemar test", lambda g: sign_bound(*ends, g), counts=(more, less))
    ranked = signed_rank(differences)
    note = "pairs without a difference are left out (Wilcoxon's rule)" if ranked.zeros else ""
    return _Test("Wilcoxon signed-rank test", lambda g: signed_rank_bound(ranked, g, direction), note)


def _direction(fitted: Fitted) -> Direction:
    return "greater" if fitted.main.estimate >= 0 else "less"


def _verdict(gamma: float) -> VerdictWord:
    if gamma == 1:
        return "not-applicable"
    return "pass" if gamma >= ROBUST else "caution"


def _text(fitted: Fitted, test: _Test, gamma: float, differences: FloatArray | None, *, hidden: bool) -> str:
    rule = f" ({test.note})" if test.note else ""
    if gamma == 1:
        return (
            f"By the {test.name}{rule} the difference could be chance even without any hidden difference, so there is "
            "nothing for one to explain."
        )
    if hidden:
        strength = "is not shown, because it rests on few people"
        verdict = "" if gamma < ROBUST else f", and is at least {ROBUST}"
        return (
            f"By the {test.name} the strength of hidden difference that could explain the result {strength}{verdict}."
        )
    size = f"{number(gamma, 2)} times" if np.isfinite(gamma) else "more than a million times"
    text = (
        f"Within a pair or set, something not measured would have to make one person's odds of being served {size} "
        f"another's, and go with the outcome almost perfectly, before the result could be chance ({test.name}{rule}, "
        "two-sided)."
    )
    return text + _location(fitted, differences)


def _location(fitted: Fitted, differences: FloatArray | None) -> str:
    """Return what effects are left under a hidden difference of stated strength."""
    few = differences is None or fitted.study.outcome.kind == "binary" or differences.size > MOST_LOCATED
    if few or differences is None:
        return ""
    bounds = location_bounds(differences, ROBUST, fitted.study.inference.level)
    if not np.isfinite([bounds.conf_low, bounds.conf_high]).all():
        return ""
    return (
        f" With a hidden difference of {ROBUST}, typical differences of pairs (Hodges-Lehmann) lie between "
        f"{number(bounds.low)} and {number(bounds.high)}, with an interval of "
        f"{interval(bounds.conf_low, bounds.conf_high)}."
    )
