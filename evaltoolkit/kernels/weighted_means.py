"""Mean outcomes under weights that were estimated, with influence functions that account for it (M-estimation)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evaltoolkit.kernels.arm_models import ArmModel, Family, fit_arm, standardize
from evaltoolkit.kernels.score_weights import Equations, EstimatedWeights
from evaltoolkit.kernels.standardized import Standardized

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

_MOST_LEVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Means:
    """Mean outcome without and with the program, with influence functions of n people.

    Attributes
    ----------
    means
        Shape (2,).
    influence
        Shape (2, n): the means differ from the truth by about the mean of these.
    aliased
        Indices of covariate columns left out of an outcome model, the intercept not counted.
    converged
        Whether every model reached an estimate.
    """

    means: FloatArray
    influence: FloatArray
    aliased: tuple[int, ...] = ()
    converged: bool = True

    @property
    def difference(self) -> float:
        """Effect as a difference."""
        return float(self.means[1] - self.means[0])

    def enlarged(self, leverage: FloatArray) -> Means:
        r"""Return the same means with influence functions over :math:`\sqrt{1 - h_i}`, as HC2 does with residuals.

        In small groups people pull weights and outcome models to themselves, which makes their residuals, and with them
        the error, too small.

        Parameters
        ----------
        leverage
            :math:`h_i`, from 0 to below 1, shape (n,).

        References
        ----------
        MacKinnon, J. and White, H. (1985). Some heteroskedasticity-consistent covariance matrix estimators with
        improved finite sample properties. Journal of Econometrics 29. doi:10.1016/0304-4076(85)90158-7

        Examples
        --------
        >>> means = Means(np.array([0.0, 1.0]), np.ones((2, 2)))
        >>> means.enlarged(np.array([0.0, 0.75])).influence[0].tolist()
        [1.0, 2.0]
        """
        return replace(self, influence=self.influence / np.sqrt(1 - leverage))

    def covariance(self, clusters: IntArray | None = None) -> FloatArray:
        r"""Return :math:`\frac{1}{n^2} \sum_i \phi_i \phi_i'`, or of sums within clusters times G/(G - 1).

        Parameters
        ----------
        clusters
            Codes from 0, shape (n,); None for none.

        Returns
        -------
        ndarray of shape (2, 2)
        """
        phi, n = self.influence, self.influence.shape[1]
        if clusters is None:
            return np.asarray(phi @ phi.T / n**2)
        g = int(clusters.max()) + 1
        sums = np.stack([np.bincount(clusters, weights=row, minlength=g) for row in phi])
        return np.asarray(g / (g - 1) * (sums @ sums.T) / n**2)


def leverages(rows: Standardized, treated: Mask, weights: FloatArray) -> FloatArray:
    r"""Return :math:`w_i z_i' (\sum_{j} w_j z_j z_j')^{-1} z_i` over each person's own group, at most 0.95, shape (n,).

    Parameters
    ----------
    rows
        Covariates of n people.
    treated, weights
        Shape (n,).

    Examples
    --------
    >>> rows, t = Standardized.of(np.array([[0.0], [1], [2], [0], [1]])), np.array([True, True, True, False, False])
    >>> leverages(rows, t, np.ones(5)).round(3).tolist()
    [0.833, 0.333, 0.833, 0.95, 0.95]
    """
    found = np.zeros(treated.size)
    for arm in (treated, ~treated):
        Z, w = rows.Z[:, arm], weights[arm]
        found[arm] = w * np.einsum("ij,ij->j", np.linalg.pinv((Z * w) @ Z.T, hermitian=True) @ Z, Z)
    return np.clip(found, 0.0, _MOST_LEVERAGE)


def weighted_means(outcome: FloatArray, treated: Mask, found: EstimatedWeights) -> Means:
    r"""Weighted mean of each group (Hájek), with influence functions that account for the estimated weights.

    With equations :math:`\sum_i s_i(b) z_i = 0`, :math:`A = \frac1n \sum_i c_i z_i z_i'` and :math:`c_i` the fall of
    :math:`s_i`, the influence function of the mean of group a is

    .. math::
        \phi_i = \frac{n}{W_a} 1(i \in a) w_i (y_i - \mu_a)
                 + \Big\{\frac{1}{W_a} \sum_{j \in a} w_j' (y_j - \mu_a) z_j\Big\}' A^{-1} s_i z_i.

    Parameters
    ----------
    outcome
        Shape (n,).
    treated
        Shape (n,).
    found
        The weights.

    Returns
    -------
    Means

    References
    ----------
    Stefanski, L. and Boos, D. (2002). The calculus of M-estimation. The American Statistician 56.
    doi:10.1198/000313002753631330
    Lunceford, J. and Davidian, M. (2004). Stratification and weighting via the propensity score in estimation of
    causal treatment effects. Statistics in Medicine 23. doi:10.1002/sim.1903

    Examples
    --------
    >>> y, t = np.array([3.0, 5, 1, 2]), np.array([True, True, False, False])
    >>> means = weighted_means(y, t, EstimatedWeights(np.array([1.0, 1, 1, 3]), np.ones(4)))
    >>> means.means.tolist(), round(float(np.sqrt(np.diag(means.covariance())[0])), 6)
    ([1.75, 4.0], 0.265165)
    """
    n, values, influence = outcome.size, [], []
    factors = [_factor(found.rows, part) for part in found.equations]
    for arm in (~treated, treated):
        w = np.where(arm, found.weights, 0.0)
        total = float(w.sum())
        mean = float(w @ outcome) / total
        away = np.where(arm, outcome - mean, 0.0) / total
        phi = n * w * away
        for part, factor in zip(found.equations, factors, strict=True):
            phi += _answer(found.rows, part, factor, away)
        values.append(mean)
        influence.append(phi)
    return Means(np.array(values), np.stack(influence))


def regression_means(
    outcome: FloatArray, treated: Mask, found: EstimatedWeights, rows: Standardized, family: Family = "gaussian"
) -> Means:
    r"""Mean prediction of each group's weighted outcome model over the people meant: g-computation after weighting.

    For the gaussian family the difference is the coefficient of treatment in weighted least squares with all products
    of treatment and covariates centered at the mean of the people meant. The influence functions account for the
    outcome models, for who the people meant happen to be, and for the estimated weights.

    Parameters
    ----------
    outcome, treated
        Shape (n,).
    found
        The weights.
    rows
        Covariates of the outcome models.
    family
        Of the outcome models.

    Returns
    -------
    Means

    References
    ----------
    Gabriel, E. et al. (2024). Inverse probability of treatment weighting with generalized linear outcome models for
    doubly robust estimation. Statistics in Medicine 43. doi:10.1002/sim.9969

    Examples
    --------
    >>> y, t = np.array([3.0, 5, 1, 2, 3]), np.array([True, True, False, False, False])
    >>> rows = Standardized.of(np.array([[0.0], [2], [0], [1], [2]]))
    >>> regression_means(y, t, EstimatedWeights(np.ones(5), np.ones(5)), rows).means.round(9).tolist()
    [2.0, 4.0]
    """
    factors = [_factor(found.rows, part) for part in found.equations]
    values, influence, aliased, converged = [], [], set(), True
    for arm in (~treated, treated):
        w = np.where(arm, found.weights, 0.0)
        model = fit_arm(rows, outcome, w, family)
        average = standardize(rows, model, found.share)
        phi = average.influence
        moved = _moved(rows, model, average.pull, arm, outcome)
        if found.moving:
            moved = moved + (model.mean - average.mean) / float(found.share.sum())
        for part, factor in zip(found.equations, factors, strict=True):
            phi = phi + _answer(found.rows, part, factor, moved)
        values.append(average.mean)
        influence.append(phi)
        aliased |= set(model.aliased.tolist())
        converged = converged and model.converged
    left = tuple(j - 1 for j in sorted(aliased) if j > 0)
    return Means(np.array(values), np.stack(influence), left, converged)


def _moved(rows: Standardized, model: ArmModel, pull: FloatArray, arm: Mask, y: FloatArray) -> FloatArray:
    """How the mean answers to each person's weight in the group's model, shape (n,)."""
    whole = np.zeros(model.b.size)
    whole[model.kept] = pull
    return np.where(arm, (y - model.mean) * rows.line(whole), 0.0) / y.size


def _factor(rows: Standardized | None, part: Equations) -> tuple[FloatArray, bool]:
    if rows is None:
        raise ValueError("estimating equations need their covariates")
    found: tuple[FloatArray, bool] = linalg.cho_factor(rows.gram(part.curvature) / rows.n)
    return found


def _answer(
    rows: Standardized | None, part: Equations, factor: tuple[FloatArray, bool], away: FloatArray
) -> FloatArray:
    """Influence through the parameters of the weights, where the mean moves by ``away`` with each weight."""
    if rows is None:
        raise ValueError("estimating equations need their covariates")
    pull = linalg.cho_solve(factor, rows.total(part.slope * away))
    found: FloatArray = part.score * rows.line(pull)
    return found
