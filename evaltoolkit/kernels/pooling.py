"""Pooling estimates of several sites: common effect, random effects, prediction interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

FloatArray = NDArray[np.float64]
Between = Literal["none", "dersimonian-laird", "paule-mandel", "reml"]

_GRID: Final = 200
_SMALL: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Pooled:
    """One estimate from k sites.

    Attributes
    ----------
    estimate, std_error, low, high, p_value
        The mean effect.
    df
        Degrees of freedom of its t reference; None for a normal one.
    tau2
        Variance of effects between sites.
    q, q_p
        Cochran's heterogeneity statistic and its p-value by chi-square with k - 1 degrees of freedom.
    i2
        Share of the variance of estimates that is between sites, from 0 to 100.
    new_low, new_high
        Prediction interval: where the effect in a further site would lie.
    k
        Number of sites.
    """

    estimate: float
    std_error: float
    low: float
    high: float
    p_value: float
    df: int | None
    tau2: float
    q: float
    q_p: float
    i2: float
    new_low: float
    new_high: float
    k: int


def pool(
    estimates: FloatArray, std_errors: FloatArray, *, between: Between = "reml", adjusted: bool = True,
    level: float = 0.95,
) -> Pooled:  # fmt: skip
    r"""Pool estimates of k sites, each with its standard error.

    :math:`\hat\mu = \sum w_i y_i / \sum w_i` with :math:`w_i = 1/(s_i^2 + \tau^2)`, and :math:`\tau^2` zero (``none``:
    one common effect), by moments (``dersimonian-laird``), such that :math:`\sum w_i (y_i - \hat\mu)^2 = k - 1`
    (``paule-mandel``), or by restricted maximum likelihood (``reml``). ``adjusted`` is the interval of Hartung and
    Knapp, and Sidik and Jonkman: variance :math:`\sum w_i (y_i-\hat\mu)^2 / ((k-1) \sum w_i)` and t with k - 1 degrees
    of freedom, else :math:`1/\sum w_i` and the normal law. The prediction interval is
    :math:`\hat\mu \pm q \sqrt{\tau^2 + se^2}` with the same reference. As R ``metafor`` (``test = "knha"`` or ``"z"``).

    Parameters
    ----------
    estimates, std_errors
        Shape (k,), k at least 2; standard errors above zero.
    between
        Estimator of the variance between sites.
    adjusted
        Whether the interval is that of Hartung and Knapp.
    level
        Confidence level.

    Returns
    -------
    Pooled

    Raises
    ------
    ValueError
        Fewer than two sites, or a standard error that is not above zero.

    References
    ----------
    DerSimonian, R. and Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical Trials 7.
    doi:10.1016/0197-2456(86)90046-2
    Paule, R. and Mandel, J. (1982). Consensus values and weighting factors. Journal of Research of the National Bureau
    of Standards 87. doi:10.6028/jres.087.022
    IntHout, J., Ioannidis, J. and Borm, G. (2014). The Hartung-Knapp-Sidik-Jonkman method for random effects
    meta-analysis. BMC Medical Research Methodology 14. doi:10.1186/1471-2288-14-25
    Viechtbauer, W. (2005). Bias and efficiency of meta-analytic variance estimators in the random-effects model.
    Journal of Educational and Behavioral Statistics 30. doi:10.3102/10769986030003261

    Examples
    --------
    >>> found = pool(np.array([1.0, 2, 3, 6]), np.array([0.5, 0.5, 1, 1]), between="dersimonian-laird")
    >>> round(found.estimate, 3), round(found.tau2, 3), round(found.q, 1), found.df
    (2.831, 2.712, 20.9, 3)
    """
    y, v = np.asarray(estimates, dtype=np.float64), np.asarray(std_errors, dtype=np.float64) ** 2
    if y.size < 2 or not (v > 0).all() or not np.isfinite(y).all():
        raise ValueError("at least two finite estimates with standard errors above zero are needed")
    k = y.size
    q = _spread(y, v, 0.0)
    found = {"dersimonian-laird": _moments, "paule-mandel": _paule_mandel, "reml": _reml}
    tau2 = 0.0 if between == "none" else found[between](y, v)
    w = 1 / (v + tau2)
    mean = float(w @ y / w.sum())
    variance = 1 / float(w.sum())
    if adjusted:
        variance *= _spread(y, v, tau2) / (k - 1)
    error = float(np.sqrt(variance))
    tail = (1 - level) / 2
    reach = -float(special.stdtrit(k - 1, tail) if adjusted else special.ndtri(tail))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -abs(float(np.divide(mean, error)))
    p = 2 * float(special.stdtr(k - 1, z) if adjusted else special.ndtr(z))
    ahead = reach * float(np.sqrt(tau2 + variance))
    return Pooled(
        estimate=mean, std_error=error, low=mean - reach * error, high=mean + reach * error, p_value=p,
        df=k - 1 if adjusted else None, tau2=tau2, q=q, q_p=float(special.chdtrc(k - 1, q)),
        i2=_share(v, tau2, q, between), new_low=mean - ahead, new_high=mean + ahead, k=k,
    )  # fmt: skip


def _spread(y: FloatArray, v: FloatArray, tau2: float) -> float:
    w = 1 / (v + tau2)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def _share(v: FloatArray, tau2: float, q: float, between: Between) -> float:
    k = v.size
    if between == "none":
        return 100 * max(0.0, (q - (k - 1)) / q) if q > 0 else 0.0
    w = 1 / v
    typical = (k - 1) * float(w.sum()) / (float(w.sum()) ** 2 - float(w @ w))
    return 100 * tau2 / (tau2 + typical)


def _moments(y: FloatArray, v: FloatArray) -> float:
    w = 1 / v
    excess = _spread(y, v, 0.0) - (y.size - 1)
    return max(0.0, excess / (float(w.sum()) - float(w @ w) / float(w.sum())))


def _paule_mandel(y: FloatArray, v: FloatArray) -> float:
    k = y.size
    if _spread(y, v, 0.0) <= k - 1:
        return 0.0
    high = float(np.var(y, ddof=1)) + float(v.max())
    while _spread(y, v, high) > k - 1:
        high *= 2
    return float(optimize.brentq(lambda t: _spread(y, v, t) - (k - 1), 0.0, high, xtol=_SMALL * high, rtol=1e-14))


def _reml(y: FloatArray, v: FloatArray) -> float:
    """Return the highest of the likelihood's peaks, zero among them; the score may cross zero more than once."""
    high = 10 * (float(np.var(y, ddof=1)) + float(v.max()))
    grid = np.concatenate([[0.0], np.geomspace(_SMALL * high, high, _GRID)])
    slopes = np.array([_score(t, y, v) for t in grid])
    peaks = [0.0]
    for i in np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0)):
        peaks.append(float(optimize.brentq(_score, grid[i], grid[i + 1], args=(y, v), xtol=_SMALL * high, rtol=1e-14)))
    return max(peaks, key=lambda t: _restricted(t, y, v))


def _score(tau2: float, y: FloatArray, v: FloatArray) -> float:
    w = 1 / (v + tau2)
    mean = w @ y / w.sum()
    return float(w**2 @ (y - mean) ** 2 - (w.sum() - (w @ w) / w.sum())) / 2


def _restricted(tau2: float, y: FloatArray, v: FloatArray) -> float:
    w = 1 / (v + tau2)
    mean = w @ y / w.sum()
    return float(np.log(w).sum() - np.log(w.sum()) - w @ (y - mean) ** 2) / 2


def without_each(estimates: FloatArray, std_errors: FloatArray, tau2: float) -> FloatArray:
    """Return the pooled mean without each site in turn, at a given variance between sites, shape (k,).

    >>> without_each(np.array([1.0, 2, 6]), np.ones(3), 0.0).tolist()
    [4.0, 3.5, 1.5]
    """
    w = 1 / (std_errors**2 + tau2)
    return np.asarray((w @ estimates - w * estimates) / (w.sum() - w))
