"""Checks of weighting: how many people the weights leave in effect, and what the largest of them do."""

from __future__ import annotations

from evaltoolkit.designs.matching.facts import Facts, Group
from evaltoolkit.designs.matching.stability import stability
from evaltoolkit.results import Diagnostic, number
from evaltoolkit.results.types import VerdictWord

_FEW, _VERY_FEW = 30.0, 10.0
_LARGE, _VERY_LARGE = 0.05, 0.2


def weighting_checks(fitted: Facts) -> list[Diagnostic]:
    """Return the checks that weighting needs beyond balance and overlap."""
    return [_sizes(fitted), _largest(fitted), stability(fitted)]


def _groups(fitted: Facts) -> list[tuple[str, Group]]:
    return [("treated", fitted.treated), ("comparison", fitted.comparison)]


def _sizes(fitted: Facts) -> Diagnostic:
    sizes = [(name, group.effective) for name, group in _groups(fitted)]
    name, least = min(sizes, key=lambda pair: pair[1])
    hidden = fitted.study.counts_people and least < fitted.cells.threshold
    shown = "few" if hidden else f"about {number(least, 0)}"
    text = (
        f"After weighting the {name} group tells as much as {shown} equally weighted {fitted.unit} would. The standard "
        f"error ({fitted.main.inference}) rests on that."
    )
    verdict: VerdictWord = "pass" if least >= _FEW else "caution" if least >= _VERY_FEW else "fail"
    return Diagnostic(
        name="effective-size", question="Are enough people left in effect after weighting?",
        statistic="smaller effective group size", value=None if hidden else least, threshold=_FEW, verdict=verdict,
        text=text, reference="Kish 1965, Survey Sampling",
    )  # fmt: skip


def _largest(fitted: Facts) -> Diagnostic:
    shares = [(name, group.largest) for name, group in _groups(fitted)]
    name, most = max(shares, key=lambda pair: pair[1])
    text = (
        f"The largest weight of one person is {number(100 * most, 1)}% of the weight of the {name} group. Large "
        "weights go to people who were unlikely to be in their group."
    )
    if fitted.options.truncate is not None:
        text += f" Weights above the {number(100 * fitted.options.truncate, 1)}th percentile were set to it."
    verdict: VerdictWord = "pass" if most <= _LARGE else "caution" if most <= _VERY_LARGE else "fail"
    return Diagnostic(
        name="largest-weight", question="Does the answer hang on a few people?",
        statistic="largest share of one person in a group's weight", value=most, threshold=_LARGE, verdict=verdict,
        text=text, reference="Austin and Stuart 2015, doi:10.1002/sim.6607",
    )  # fmt: skip
