"""Checks of a matched comparison, each with a verdict by a stated rule."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.change import change_checks
from evaltoolkit.designs.matching.equivalence import equivalence
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.figures import GOOD_SMD, POOR_SMD
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.left_out import describes
from evaltoolkit.designs.matching.missing import missing_checks
from evaltoolkit.designs.matching.stability import stability
from evaltoolkit.designs.matching.weighting_checks import weighting_checks
from evaltoolkit.results import Diagnostic, number, plural
from evaltoolkit.results.types import VerdictWord

FEW_PAIRS = 30
_NO_CALIPER = ("subclass", "exact", "coarsened-exact", "cardinality", "kernel")


def checks(fitted: Facts) -> tuple[Diagnostic, ...]:
    """Return every check of a matched comparison."""
    found = [
        _balance(fitted), _predicted(fitted), _products(fitted), equivalence(fitted), _variances(fitted),
        _overlap(fitted),
    ]  # fmt: skip
    if fitted.weighted:
        found += weighting_checks(fitted)
    else:
        found += [_unmatched(fitted), _caliper(fitted), stability(fitted), _pairs(fitted)]
    if isinstance(fitted, Fitted):
        found += [*missing_checks(fitted), *change_checks(fitted)]
    if fitted.main.aliased:
        found.append(_aliased(fitted))
    if fitted.main.separated:
        found.append(_separated())
    return tuple(found)


def _verdict(value: float, good: float, poor: float) -> VerdictWord:
    return "pass" if value <= good else "caution" if value <= poor else "fail"


def _name(fitted: Facts, j: int) -> str:
    return ("score", *fitted.names)[j]


def _balance(fitted: Facts) -> Diagnostic:
    sizes, before = np.abs(fitted.after.smd[1:]), np.abs(fitted.before.smd[1:][fitted.known])
    j = int(np.argmax(sizes))
    worst = float(sizes[j])
    hidden = fitted.cells.hides(fitted.bases[j])
    over = int((sizes > GOOD_SMD).sum())
    largest = "The largest standardized difference that remains is not shown, because it rests on few people"
    if not hidden:
        first = "The largest" if fitted.known.all() else "Of covariates that may be shown, the largest"
        largest = (
            f"{first} standardized difference that remains is {number(worst, 2)} "
            f"({fitted.names[j]}); before {fitted.doing} it was "
            f"{number(float(before.max()), 2)} at most"
        )
    text = (
        f"{largest}. Differences over {GOOD_SMD} remain in {over} of {sizes.size} covariates. Differences "
        f"are divided by {fitted.spread_words}."
    )
    return Diagnostic(
        name="balance", question=f"Are the {fitted.done} groups alike on what was measured?",
        statistic="largest |standardized mean difference|", value=None if hidden else worst, threshold=GOOD_SMD,
        verdict=_verdict(worst, GOOD_SMD, POOR_SMD), text=text,
        reference="Austin 2009, doi:10.1002/sim.3697",
    )  # fmt: skip


def _products(fitted: Facts) -> Diagnostic:
    question = "Are the groups alike on squares and products of what was measured too?"
    found = fitted.products
    if found is None or found.one.size == 0:
        text = "There are no squares or products to look at, or more than a thousand."
        return Diagnostic(name="balance-products", question=question, verdict="not-applicable", text=text)
    sizes = np.abs(found.smd)
    known = np.isfinite(sizes[1])
    worst = float(sizes[1][known].max()) if known.any() else 0.0
    over = int((sizes[1][known] > GOOD_SMD).sum())
    text = (
        f"Of {plural(int(known.sum()), 'square or product', 'squares and products')} of covariates, {over} differ by "
        f"more than {GOOD_SMD} standard deviations after {fitted.doing}; the largest difference is {number(worst, 2)}. "
        f"Before {fitted.doing}, {int((sizes[0][known] > GOOD_SMD).sum())} did."
    )
    return Diagnostic(
        name="balance-products", question=question, statistic="largest |standardized mean difference|", value=worst,
        threshold=GOOD_SMD, verdict="pass" if worst <= GOOD_SMD else "caution", text=text,
        reference="Austin 2009, doi:10.1002/sim.3697",
    )  # fmt: skip


def _predicted(fitted: Facts) -> Diagnostic:
    before, after = (abs(float(found.smd[0])) for found in fitted.baseline.predicted)
    question = f"Are the {fitted.done} groups alike on what foretells the outcome?"
    if not np.isfinite(after):
        text = "The covariates do not foretell the outcome of those not served, so there is nothing to compare."
        return Diagnostic(name="balance-predicted", question=question, verdict="not-applicable", text=text)
    text = (
        "The outcome that a linear model of those not served expects from the covariates differs by "
        f"{number(after, 2)} standard deviations after {fitted.doing} ({number(before, 2)} before). This weighs "
        "covariates by how much they matter for the outcome."
    )
    return Diagnostic(
        name="balance-predicted", question=question, statistic="|standardized mean difference|", value=after,
        threshold=GOOD_SMD, verdict=_verdict(after, GOOD_SMD, POOR_SMD), text=text,
        reference="Stuart, Lee and Leacy 2013, doi:10.1016/j.jclinepi.2013.01.013",
    )  # fmt: skip


def _variances(fitted: Facts) -> Diagnostic:
    ratios = fitted.after.variance_ratio[1:]
    known = np.flatnonzero(np.isfinite(ratios) & (ratios > 0))
    question = f"Do the {fitted.done} groups vary alike?"
    reference = "Rubin 2001, doi:10.1023/A:1020363010465"
    if known.size == 0:
        text = "All covariates are yes/no, whose variance follows from their mean."
        return Diagnostic(name="variance-ratios", question=question, verdict="not-applicable", text=text)
    outside = int(((ratios[known] < 0.5) | (ratios[known] > 2)).sum())
    j = known[np.argmax(np.abs(np.log(ratios[known])))]
    text = (
        f"The variance ratio farthest from 1 is {number(float(ratios[j]), 2)} ({_name(fitted, j + 1)}). "
        f"{outside} of {known.size} covariates lie outside 0.5 to 2."
    )
    return Diagnostic(
        name="variance-ratios", question=question, statistic="variance ratio farthest from 1", value=float(ratios[j]),
        verdict="pass" if outside == 0 else "caution", text=text, reference=reference,
    )  # fmt: skip


def _overlap(fitted: Facts) -> Diagnostic:
    outside = fitted.outside
    share = outside / sum(group.n for group in fitted.focal)
    hidden = fitted.study.counts_people and fitted.cells.hides(outside)
    shown = "A small share" if hidden else f"{number(100 * share, 1)}%"
    who = fitted.focal_words
    text = f"{shown} of the {who} have a score outside the range of the other group, where nobody is like them."
    return Diagnostic(
        name="overlap", question="Is there somebody to compare everybody with?",
        statistic=f"share of the {who} outside the range of the other group", value=None if hidden else share,
        threshold=0.05, verdict=_verdict(share, 0.05, 0.25), text=text,
        reference="Caliendo and Kopeinig 2008, doi:10.1111/j.1467-6419.2007.00527.x",
    )  # fmt: skip


def _unmatched(fitted: Facts) -> Diagnostic:
    left = sum(group.n - group.used for group in fitted.focal)
    share = left / sum(group.n for group in fitted.focal)
    people = fitted.study.counts_people
    hidden = people and fitted.cells.hides(left)
    count = fitted.cells.people(left) if people else f"{left:,}"
    who = fitted.focal_words
    text = f"Of the {who}, {count} found no match."
    if left:
        text += " The effect is about those who did, not about all. "
        text += describes(fitted) if isinstance(fitted, Fitted) else ""
    return Diagnostic(
        name="unmatched", question=f"Did the {who} find matches?", statistic="share without a match",
        value=None if hidden else share, threshold=0.05, verdict=_verdict(share, 0.05, 0.25), text=text.strip(),
    )  # fmt: skip


def _caliper(fitted: Facts) -> Diagnostic:
    options, width = fitted.options, fitted.made.width
    question = "Were poor matches kept out?"
    if options.method in _NO_CALIPER:
        text = "People are compared in strata, in balance or with weights, which knows no caliper."
        return Diagnostic(name="caliper", question=question, verdict="not-applicable", text=text)
    if width is None or options.caliper is None:
        everyone = fitted.made.complete
        far = {"full": "sets may hold people who are far apart", "optimal": "single pairs may be far apart"}
        paired = far.get(
            options.method,
            "everybody was paired with whoever was left, however different" if everyone else "pairs may be far apart",
        )
        careful = options.replace or not everyone
        text = f"No caliper was set, so {paired}." if not careful else "No caliper was set."
        text += " A caliper of 0.2 standard deviations is a common choice."
        return Diagnostic(name="caliper", question=question, verdict="caution", text=text)
    scale = {
        "sd-score": f"{options.caliper:g} standard deviations of the score itself",
        "sd-logit": f"{options.caliper:g} standard deviations of the logit of the score",
        "raw": "in units of the score",
    }[options.caliper_scale]
    text = f"Nobody was paired with somebody farther than {number(width, 4)} away ({scale}, over both groups)."
    return Diagnostic(
        name="caliper", question=question, statistic="caliper width", value=width, verdict="pass", text=text,
        reference="Austin 2011, doi:10.1002/pst.433",
    )  # fmt: skip


def _pairs(fitted: Facts) -> Diagnostic:
    by_person = fitted.main.inference.startswith("HC1")
    n = fitted.n_used if by_person else fitted.made.n_sets
    what = fitted.unit if by_person else "matched sets"
    hidden = fitted.study.counts_people and fitted.cells.hides(n)
    count = fitted.cells.people(n) if fitted.study.counts_people else f"{n:,}"
    text = f"The standard error rests on {count} {what} ({fitted.main.inference})."
    if n < FEW_PAIRS:
        text += f" With fewer than {FEW_PAIRS}, intervals of this kind can be too narrow."
    return Diagnostic(
        name="pairs", question=f"Are there enough {what} for the interval?", statistic=what,
        value=None if hidden else float(n), threshold=float(FEW_PAIRS), verdict="pass" if n >= FEW_PAIRS else "caution",
        text=text,
    )  # fmt: skip


def _separated() -> Diagnostic:
    text = (
        "For some combination of covariates everybody or nobody in the matched sample has the outcome. The means that "
        "are reported have settled, but single coefficients have not; fewer covariates would be safer."
    )
    return Diagnostic(
        name="outcome-separation", question="Do the covariates leave the outcome open?", verdict="caution", text=text,
        reference="Albert and Anderson 1984, doi:10.1093/biomet/71.1.1",
    )  # fmt: skip


def _aliased(fitted: Facts) -> Diagnostic:
    text = (
        f"In the {fitted.done} sample these terms of the outcome model follow from the others and were left out: "
        + ", ".join(fitted.main.aliased) + "."
    )  # fmt: skip
    return Diagnostic(
        name="outcome-model",
        question="Could every term of the outcome model be estimated?",
        verdict="caution",
        text=text,
    )
