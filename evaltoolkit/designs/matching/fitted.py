"""Everything that the tables, figures, checks and words of one matching study are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.contract import small_cells
from evaltoolkit.designs.matching.baseline import measure
from evaltoolkit.designs.matching.covariates import Covariates
from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.estimating import effect_of
from evaltoolkit.designs.matching.facts import Facts, Group, Made, ScoreModel
from evaltoolkit.designs.matching.histogram import basis_of, histogram
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.matching import match
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.outcome_fit import Way
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score, estimated_score
from evaltoolkit.errors import DisclosureError, EvaluationError, SeparationError
from evaltoolkit.kernels.balance import effective_size, is_binary
from evaltoolkit.kernels.rubin import Pooled
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

BOOTSTRAP_DRAWS: Final = 999


@dataclass(frozen=True, slots=True)
class Imputed:
    """One study fitted in each of m imputed data sets.

    Attributes
    ----------
    pooled
        The effect, pooled.
    estimates
        The effect in each, shape (m,).
    smd
        Standardized mean differences of the shown covariates after matching, shape (m, k).
    """

    pooled: Pooled
    estimates: FloatArray
    smd: FloatArray

    @property
    def m(self) -> int:
        """Number of imputations."""
        return self.estimates.size


@dataclass(frozen=True, slots=True)
class Fitted(Facts):
    """One matching study, fitted to rows: its facts, with the people behind them.

    Attributes
    ----------
    people, score, matched
        The people, their score, and how they were made comparable.
    imputed
        How estimate and balance vary over imputations; None where nothing is imputed.
    """

    people: People
    score: Score
    matched: Matched
    imputed: Imputed | None = None

    @property
    def used(self) -> Mask:
        """Who is in the matched sample."""
        return self.matched.used


def fit(study: Study, options: Options, people: People) -> Fitted:
    """Score, match, measure balance, and estimate."""
    score = fit_score(study, options, people)
    matched = match(people, score, options, study.inference.seed, where=study.place("caliper"))
    cells = small_cells(study)
    if study.counts_people:
        _enough_to_show(people, matched, cells, where=study.place("disclosure", "threshold"))
    shown = people.covariates
    return Fitted(
        study=study,
        options=options,
        names=shown.shown_names,
        binary=tuple(is_binary(column) for column in shown.shown.T),
        treated=_group(people.treated, matched),
        comparison=_group(~people.treated, matched),
        outside=_outside(people.treated, score, matched),
        baseline=measure(people, score.probability, matched, options.estimand),
        bases=_bases(people, matched, cells, people_rows=study.counts_people),
        overlap=histogram(people, score, matched, cells, people_rows=study.counts_people),
        score_model=ScoreModel(
            score.model, score.names, score.coefficients, score.std_errors, score.iterations, score.gradient
        ),
        made=Made(matched.n_sets, matched.complete, matched.width, matched.facts),
        main=effect_by(study, options, people, score, matched, options.effect),
        other=_other(study, options, people, score, matched),
        cells=cells,
        small_outcome=study.counts_people and _small_outcome(study, people, matched, cells),
        outcome_spread=_outcome_spread(people, matched),
        people=people,
        score=score,
        matched=matched,
    )


def _group(members: Mask, matched: Matched) -> Group:
    w = matched.weights[members]
    discarded = 0 if matched.discarded is None else int((members & matched.discarded).sum())
    total = float(w.sum())
    largest = float(w.max() / total) if total > 0 else 0.0
    return Group(w.size, int((w > 0).sum()), discarded, effective_size(w), largest)


def _outside(treated: Mask, score: Score, matched: Matched) -> int:
    line = score.probability if matched.line is None else matched.line
    outside = 0
    for group, others in ((treated, line[~treated]), (~treated, line[treated])):
        mine = line[matched.focal & group]
        outside += int(((mine < others.min()) | (mine > others.max())).sum())
    return outside


def _outcome_spread(people: People, matched: Matched) -> float:
    variances = []
    for group in (people.treated, ~people.treated):
        y, w = people.outcome[group], matched.weights[group]
        variances.append(float(np.average((y - np.average(y, weights=w)) ** 2, weights=w)))
    return float(np.sqrt(np.mean(variances)))


def fit_score(study: Study, options: Options, people: People) -> Score:
    """Return the score that is estimated, or the column that was given; a logit beside a distance on covariates."""
    if people.distance is not None:
        return Score(people.distance)
    places = tuple(study.place("covariates", i) for i in range(len(options.covariates)))
    model = options.model or "logit"
    estimand, seed = options.estimand, study.inference.seed
    try:
        return estimated_score(people.covariates, people.treated, model, places, estimand=estimand, seed=seed)
    except SeparationError:
        if options.uses_score:
            raise
        # Nobody is compared by the score here; it is only shown, and the penalized one exists.
        return estimated_score(people.covariates, people.treated, "penalized", places, estimand=estimand, seed=seed)


def effect_by(study: Study, options: Options, people: People, score: Score, matched: Matched, way: Way) -> Effect:
    """Return the effect estimated in one way, with the study's inference."""
    asked = Asked(
        way=way, kind=study.outcome.kind, method=study.inference.method, level=study.inference.level,
        draws=_draws(study), seed=study.inference.seed,
        places=(study.place("effect"), study.place("inference", "method")),
    )  # fmt: skip

    def again(drawn: People) -> Matched:
        """Score and match other people in the same way."""
        return match(drawn, fit_score(study, options, drawn), options, study.inference.seed)

    return effect_of(people, score, matched, options, asked, again)


def _draws(study: Study) -> int:
    # Each bootstrap draw is a fit: fewer than the general default, unless a number was asked for.
    if study.inference.method != "bootstrap" or "draws" in study.inference.model_fields_set:
        return study.inference.draws
    return BOOTSTRAP_DRAWS


def _other(study: Study, options: Options, people: People, score: Score, matched: Matched) -> Effect | None:
    """Return the other way to estimate the effect, where there is enough for it."""
    try:
        return effect_by(
            study, options, people, score, matched, "regression" if options.effect == "difference" else "difference"
        )
    except EvaluationError:
        return None


def too_few_to_show(threshold: int, where: str) -> DisclosureError:
    """Return the error for a matched group too small for anything to be shown."""
    return DisclosureError(
        f"one of the two matched groups has fewer than {threshold} people",
        expected=f"at least {threshold} people in each group, so that nobody can be recognized",
        todo="put sites or periods together, loosen caliper or exact, or state the agreement that allows less",
        where=where,
    )


def _enough_to_show(people: People, matched: Matched, cells: SmallCells, *, where: str) -> None:
    # Every number of the evaluation would rest on the small group: nothing could be shown.
    used = matched.weights > 0
    if any(cells.hides(int((group & used).sum())) for group in (people.treated, ~people.treated)):
        raise too_few_to_show(cells.threshold, where)


def counts_behind(column: Mask, groups: tuple[Mask, ...], used: Mask) -> list[int]:
    """Return the counts that proportions of a yes/no column reveal: with and without it, before, after and left out."""
    counts = []
    for group in groups:
        for part in (group, group & used, group & ~used):
            if part.any():
                counts += [int((column & part).sum()), int((~column & part).sum())]
    return counts


def _bases(people: People, matched: Matched, cells: SmallCells, *, people_rows: bool) -> tuple[int, ...]:
    """Return a basis for each shown covariate; of a category with one hidden level, a second one is hidden too."""
    t, used = people.treated, matched.weights > 0
    groups = (t, ~t)
    size = min(int((group & used).sum()) for group in groups)
    if not people_rows:
        return tuple(size for _ in people.covariates.shown_names)
    bases = []
    for column in people.covariates.shown.T:
        counts = counts_behind(column == 1, groups, used) if is_binary(column) else []
        bases.append(basis_of([*counts, size], cells))
    return complemented(bases, people.covariates, cells)


def complemented(bases: list[int], covariates: Covariates, cells: SmallCells) -> tuple[int, ...]:
    """Return bases of the shown covariates in which no level of a category is hidden alone: shares add up to one."""
    found = list(bases)
    owners = np.array(covariates.shown_owner)
    for owner in np.unique(owners):
        levels = np.flatnonzero(owners == owner)
        secret = [j for j in levels if cells.hides(found[j])]
        if len(secret) == 1 and levels.size > 1:
            open_levels = [j for j in levels if j not in secret]
            found[min(open_levels, key=lambda j: covariates.shown[:, j].sum())] = found[secret[0]]
    return tuple(found)


def _small_outcome(study: Study, people: People, matched: Matched, cells: SmallCells) -> bool:
    """Return whether means of the outcome in the groups would reveal a small count of people or events."""
    if study.outcome.kind not in {"binary", "count", "proportion", "rate"}:
        return False
    used, totals = matched.weights > 0, []
    measured = people.outcome[:, None] if people.measured is None else people.measured
    for group in (people.treated, ~people.treated):
        mine = group & used
        for y in measured[mine].T:
            with_any = int((y > 0).sum())
            totals += [with_any, int(mine.sum()) - with_any] if study.outcome.kind == "binary" else [with_any]
    return any(cells.hides(total) for total in totals)
