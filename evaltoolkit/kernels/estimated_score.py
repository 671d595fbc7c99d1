"""What it changes in the error of a matching estimator that its score was estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.line_neighbours import Window, nearest_window

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoreCorrection:
    """Terms to add to the variance of an estimate that matches on an estimated score.

    Attributes
    ----------
    gain
        What estimating the score takes off the variance (never negative).
    loss
        What it adds, because the group whose effect is meant is weighted by the score (zero for the average effect).
    """

    gain: float
    loss: float

    @property
    def variance(self) -> float:
        """What is added to the variance; negative where estimating the score helps."""
        return self.loss - self.gain


def score_correction(
    design: FloatArray,
    linear: FloatArray,
    outcome: FloatArray,
    treated: Mask,
    estimand: Literal["ATT", "ATC", "ATE"],
    estimate: float,
    neighbours: int = 2,
) -> ScoreCorrection:
    r"""Correct the variance of matching on a logit score for its estimation.

    With :math:`p = F(x'\theta)`, :math:`f = F'`, information :math:`I = \frac1n \sum f^2/(p(1-p))\, x x'`, and
    conditional covariances given the score from the L nearest of each group,

    .. math:: c_{ATE} = \tfrac1n \sum f \Big[\frac{\widehat{Cov}_1(x,y)}{p} + \frac{\widehat{Cov}_0(x,y)}{1-p}\Big],
        \qquad V_{ATE} \to V - c' I^{-1} c / n;

    .. math:: c_{ATT} = \tfrac1{n_1} \sum f \Big[ x(\bar y_1 - \bar y_0 - \hat\tau) + \widehat{Cov}_1(x,y) +
        \frac{p}{1-p}\widehat{Cov}_0(x,y) \Big], \quad
        d = \tfrac1{n_1} \sum f x (\mu_1(x) - \mu_0(x) - \hat\tau), \quad
        V_{ATT} \to V + (d' I^{-1} d - c' I^{-1} c)/n.

    For d the difference of outcomes given all covariates is needed. Abadie and Imbens match on the covariates once
    more; here its weighted mean comes from :math:`f (t y/p - (1-t) y/(1-p)) = t (1-p) y - (1-t) p y`, which has the
    same expectation under the score that both rest on, and needs no search in many dimensions.

    Parameters
    ----------
    design
        Columns of the score model with its intercept, shape (n, q).
    linear
        Linear predictor :math:`x'\hat\theta` of the logit, shape (n,).
    outcome, treated
        Shape (n,).
    estimand
        Whose effect.
    estimate
        The matching estimate.
    neighbours
        L, at least 2.

    Returns
    -------
    ScoreCorrection

    Raises
    ------
    ValueError
        ``neighbours`` is below 2, or a group has fewer than two units.

    References
    ----------
    Abadie, A. and Imbens, G. (2016). Matching on the estimated propensity score. Econometrica 84.
    doi:10.3982/ECTA11293

    Examples
    --------
    An outcome that the score explains fully gains nothing for the average effect:

    >>> x = np.linspace(-1, 1, 200)
    >>> t = np.arange(200) % 2 == 0
    >>> found = score_correction(np.column_stack([np.ones(200), x]), x, np.ones(200), t, "ATE", 0.0)
    >>> found.gain, found.loss
    (0.0, 0.0)
    """
    if neighbours < 2:
        raise ValueError("covariances need at least two neighbours")
    if min(int(treated.sum()), int((~treated).sum())) < 2:
        raise ValueError("each group needs at least two units")
    if estimand == "ATC":
        return score_correction(design, -linear, -outcome, ~treated, "ATT", estimate, neighbours)
    p = 1.0 / (1.0 + np.exp(-linear))
    f = p * (1 - p)
    mean1, slope1 = _given_score(design, linear, outcome, treated, neighbours)
    mean0, slope0 = _given_score(design, linear, outcome, ~treated, neighbours)
    n = outcome.size
    information = (design * f[:, None]).T @ design / n
    if estimand == "ATE":
        c = (slope1.T @ (1 - p) + slope0.T @ p) / n
        return ScoreCorrection(gain=_form(information, c) / n, loss=0.0)
    n1 = int(treated.sum())
    c = (design.T @ (f * (mean1 - mean0 - estimate)) + slope1.T @ f + slope0.T @ p**2) / n1
    weighted = np.where(treated, 1 - p, -p) * outcome - f * estimate
    d = design.T @ weighted / n1
    return ScoreCorrection(gain=_form(information, c) / n, loss=_form(information, d) / n)


def _form(information: FloatArray, vector: FloatArray) -> float:
    return float(vector @ np.linalg.lstsq(information, vector, rcond=None)[0])


def _given_score(
    design: FloatArray, linear: FloatArray, outcome: FloatArray, group: Mask, neighbours: int
) -> tuple[FloatArray, FloatArray]:
    """Return mean outcome and covariance of the design with it among the nearest of a group, (n,) and (n, q)."""
    order = np.flatnonzero(group)
    order = order[np.argsort(linear[order], kind="stable")]
    window = nearest_window(linear[order], linear, neighbours)
    y = outcome[order] - outcome[order].mean()
    size = window.size
    sums = window.sums(y)
    columns = [_covariance(window, design[order, j], y, sums, size) for j in range(design.shape[1])]
    return sums / size + outcome[order].mean(), np.column_stack(columns)


def _covariance(window: Window, x: FloatArray, y: FloatArray, sums: FloatArray, size: NDArray[np.int64]) -> FloatArray:
    x = x - x.mean()
    found: FloatArray = (window.sums(x * y) - window.sums(x) * sums / size) / np.maximum(size - 1, 1)
    return found
