"""Effects by cohort and period from models of the outcome, from triple differences and from synthetic comparisons."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.designs.did.groups import sizes_of
from evaltoolkit.designs.did.path_estimators import two_way
from evaltoolkit.designs.did.refitting import refitted
from evaltoolkit.designs.did.two_way_cells import study_of
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.kernels.group_time import GroupTime, Study
from evaltoolkit.kernels.nonlinear import NonlinearGroupTime, Observed, nonlinear_group_time
from evaltoolkit.kernels.nonlinear_average import per_exposure
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.saturated import Extended as CellRule
from evaltoolkit.kernels.saturated import extended_two_way
from evaltoolkit.kernels.synthetic import SyntheticRule, SyntheticStudy, synthetic_did
from evaltoolkit.kernels.synthetic_draws import Draws, placebo_draws
from evaltoolkit.kernels.triple import triple_differences
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TripleDifferences:
    """Eligible beside ineligible units, where the program started beside where it had not."""

    rule: Rule

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells; analytic errors have a normal reference."""
        assert panel.eligible is not None
        w = np.ones(panel.start.size) if panel.weights is None else panel.weights
        sample = Sample(panel.outcome, panel.start, panel.periods, panel.design, self.rule, panel.clusters, w)
        return Estimated(triple_differences(sample, panel.eligible).study)

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster."""
        return refitted(panel, self.estimated)


@dataclass(frozen=True, slots=True)
class Extended:
    """Wooldridge's extended two-way model: linear, Poisson or logit."""

    family: Literal["linear", "poisson", "logit"]
    rule: Rule

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells, which weigh by treated observations (for rates by exposure); t with G - 1 degrees.

        A linear model of units that come and go has their own effects in place of cohort effects: with cohort effects
        who is there would count as change.
        """
        if self.family == "linear" and not panel.whole:
            return self._of_units(panel)
        counts = panel.exposure is not None and self.family == "poisson"
        outcome = panel.outcome * panel.exposure if counts and panel.exposure is not None else panel.outcome
        X = panel.design[:, 0, 1:] if panel.covariates.shape[2] else None
        observed = Observed(
            outcome, panel.start, panel.periods, panel.exposure if counts else None, X, panel.clusters, panel.weights
        )
        found = nonlinear_group_time(observed, self.family, self.rule)
        return _of_model(panel, per_exposure(found) if counts else found, self.rule)

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster."""
        return refitted(panel, self.estimated)

    def _of_units(self, panel: Panel) -> Estimated:
        ahead = self.rule.anticipation
        begun = dataclasses.replace(panel, start=np.where(panel.start == NEVER, NEVER, panel.start - ahead))
        found = extended_two_way(two_way(begun), CellRule(self.rule.comparison))
        found = dataclasses.replace(found, cohort=found.cohort + ahead)
        return Estimated(study_of(panel, found), found.weight, float(found.df))


def _of_model(panel: Panel, found: NonlinearGroupTime, rule: Rule) -> Estimated:
    kept = found.estimated
    if not kept.any():
        raise CellError("empty", int(found.cohort[0]) if found.cohort.size else 0)
    cohort, period = found.cohort[kept], found.period[kept]
    n1 = np.array([(np.isfinite(panel.outcome[panel.start == g, _at(panel, t)])).sum() for g, t in zip(
        cohort, period, strict=True)])  # fmt: skip
    n0 = np.array([(panel.start > t + rule.anticipation).sum() for t in period])
    table = GroupTime(
        cohort, period, cohort - 1 - rule.anticipation, found.att[kept], found.scores[:, kept], n1.astype(np.int64),
        n0.astype(np.int64),
    )  # fmt: skip
    study = Study(table, sizes_of(panel, found.scores.shape[0]), found.levels[kept], found.level_scores[:, kept])
    return Estimated(study, found.weight[kept], float(found.n_clusters - 1))


def _at(panel: Panel, t: int) -> int:
    return int(np.searchsorted(panel.periods, t))


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Synthetic difference-in-differences, cohort by cohort."""

    anticipation: int
    way: Literal["placebo", "none"]
    draws: int
    seed: int

    def estimated(self, panel: Panel) -> Estimated:
        """Return the cells, which weigh by treated units; the spread is that of placebos, where they are asked for."""
        found = self._found(panel)
        if self.way == "none":
            return _of_synthetic(panel, found, None)
        return _of_synthetic(panel, found, placebo_draws(found, panel.outcome, panel.periods, self.draws, self.seed))

    def deleted(self, panel: Panel) -> FloatArray:
        """Return the effects without each cluster, weights found anew (R synthdid holds them fixed)."""
        return refitted(panel, lambda part: _of_synthetic(part, self._found(part), None))

    def _found(self, panel: Panel) -> SyntheticStudy:
        return synthetic_did(
            panel.outcome, panel.start, panel.periods, SyntheticRule("synthetic-did", self.anticipation)
        )


def _of_synthetic(panel: Panel, found: SyntheticStudy, draws: Draws | None) -> Estimated:
    J, T = found.gaps.shape
    cohort, period = np.repeat(found.cohorts, T), np.tile(panel.periods, J)
    replicates = np.zeros((1, J * T)) if draws is None else draws.gaps.reshape(draws.gaps.shape[0], J * T)
    factor = 1.0 if draws is None else draws.factor
    scores = np.sqrt(factor) * (replicates - replicates.mean(axis=0))
    n1 = np.repeat(found.n_treated, T)
    levels = np.concatenate([panel.outcome[panel.start == g].mean(axis=0) for g in found.cohorts])
    table = GroupTime(
        cohort, period, np.full(cohort.size, int(panel.periods[0]) - 1), found.gaps.ravel(), scores,
        n1.astype(np.int64), np.full(cohort.size, found.controls.size, dtype=np.int64),
    )  # fmt: skip
    study = Study(table, sizes_of(panel, scores.shape[0]), levels, np.zeros_like(scores))
    return Estimated(study, n1.astype(np.float64))
