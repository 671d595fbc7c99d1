"""What it changes in the error of a matching estimator that its score was estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.line_neighbours import nearest_window

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

BLOCK: Final = 16_384


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
    order = np.argsort(linear, kind="stable")
    p = 1.0 / (1.0 + np.exp(-linear))
    f = p * (1 - p)
    n, n1 = outcome.size, int(treated.sum())
    information = _information(design, f) / n
    gains = (1 - p, p) if estimand == "ATE" else (f, p**2)
    one, zero = (
        _given_score(linear, outcome, group, gain, order, neighbours)
        for group, gain in zip((treated, ~treated), gains, strict=True)
    )
    # The weighted sum over people of their covariances is one over the people who stand in the windows.
    pull = one.pull + zero.pull
    if estimand == "ATE":
        return ScoreCorrection(gain=_form(information, design.T @ pull / n) / n, loss=0.0)
    c = design.T @ (pull + f * (one.mean - zero.mean - estimate))
    d = design.T @ (np.where(treated, 1 - p, -p) * outcome - f * estimate)
    return ScoreCorrection(gain=_form(information, c / n1) / n, loss=_form(information, d / n1) / n)


def _information(design: FloatArray, slope: FloatArray) -> FloatArray:
    # Blocks stay in the processor's cache; one product of all rows would be written to memory and read again.
    total = np.zeros((design.shape[1], design.shape[1]))
    for a in range(0, slope.size, BLOCK):
        rows = design[a : a + BLOCK]
        total += (rows * slope[a : a + BLOCK, None]).T @ rows
    return total


def _form(information: FloatArray, vector: FloatArray) -> float:
    return float(vector @ np.linalg.lstsq(information, vector, rcond=None)[0])


@dataclass(frozen=True, slots=True)
class _GivenScore:
    """Mean outcome among the nearest of a group, and the weight of each person's covariates in summed covariances."""

    mean: FloatArray
    pull: FloatArray


def _given_score(
    linear: FloatArray, outcome: FloatArray, group: Mask, gain: FloatArray, order: IntArray, neighbours: int
) -> _GivenScore:
    r"""Return means near each person, and :math:`y_k A_k - B_k` for people of the group.

    :math:`\sum_i g_i \widehat{Cov}_i(x, y) = \sum_i \frac{g_i}{m_i - 1} \sum_{k \in i} x_k (y_k - \bar y_i)`, so that
    :math:`A_k = \sum_{i \ni k} g_i/(m_i - 1)` and :math:`B_k = \sum_{i \ni k} g_i \bar y_i/(m_i - 1)`. The search
    goes in order of the score, so that memory is read as it lies.
    """
    rows = order[group[order]]
    level = outcome[rows].mean()
    y = outcome[rows] - level
    window = nearest_window(linear[rows], linear[order], neighbours)
    size = window.size
    near = window.sums(y) / size
    share = gain[order] / np.maximum(size - 1, 1)
    mean, pull = np.empty(outcome.size), np.zeros(outcome.size)
    mean[order] = near + level
    pull[rows] = y * window.spread(share, rows.size) - window.spread(share * near, rows.size)
    return _GivenScore(mean, pull)
