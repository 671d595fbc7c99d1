"""How strong an unmeasured covariate would have to be: E-values and robustness values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALIASED: Final = 1e-10
"""Relative variance below which a column counts as following from others."""
BLOCK: Final = 16_384
SHARE_OF_STANDARDIZED: Final = 0.91
"""Log risk ratio that one standardized mean difference stands for (Chinn 2000; VanderWeele 2017)."""


def e_value(ratio: float) -> float:
    r"""Return the smallest risk ratio with which a hidden covariate must go with both treatment and outcome.

    :math:`E = RR + \sqrt{RR (RR - 1)}`, with 1/RR where RR is below one. For a confidence limit, give the limit nearer
    to 1, or 1 where the interval holds 1.

    Parameters
    ----------
    ratio
        Risk ratio, above zero.

    Raises
    ------
    ValueError
        The ratio is not above zero.

    References
    ----------
    VanderWeele, T. and Ding, P. (2017). Sensitivity analysis in observational research: introducing the E-value. Annals
    of Internal Medicine 167. doi:10.7326/M16-2607

    Examples
    --------
    >>> round(e_value(3.9), 4), round(e_value(0.5), 4), e_value(1.0)
    (7.263, 3.4142, 1.0)
    """
    if not ratio > 0:
        raise ValueError("an E-value needs a ratio above zero")
    rr = max(ratio, 1 / ratio)
    return float(rr + np.sqrt(rr * (rr - 1)))


def standardized_as_ratio(difference: float, std_error: float, level: float = 0.95) -> tuple[float, float, float]:
    r"""Return the approximate risk ratio, with its interval, of a standardized mean difference.

    :math:`RR = e^{0.91 d}`, ends :math:`e^{0.91 (d \mp z s)}` (1.78 s at 95 percent).

    Parameters
    ----------
    difference, std_error
        In standard deviations of the outcome.
    level
        Confidence level.

    References
    ----------
    VanderWeele and Ding (2017), table 2. doi:10.7326/M16-2607
    Chinn, S. (2000). A simple method for converting an odds ratio to effect size for use in meta-analysis. Statistics
    in Medicine 19. doi:10.1002/1097-0258(20001130)19:22<3127::AID-SIM784>3.0.CO;2-M

    Examples
    --------
    >>> [round(v, 3) for v in standardized_as_ratio(0.5, 0.1)]
    [1.576, 1.319, 1.884]
    """
    reach = float(special.ndtri(0.5 + level / 2)) * std_error
    low, middle, high = (
        float(np.exp(SHARE_OF_STANDARDIZED * v)) for v in (difference - reach, difference, difference + reach)
    )
    return middle, low, high


@dataclass(frozen=True, slots=True)
class Regression:
    """What sensitivity to omitted covariates needs of a regression of outcome on treatment and k covariates.

    Attributes
    ----------
    estimate, std_error, df
        Coefficient of treatment, its classical error, residual degrees of freedom.
    short_estimate
        Coefficient of treatment without the covariates.
    r2, short_r2
        R2 with and without the covariates.
    outcome_variance, treatment_variance
        Weighted variances of outcome and treatment.
    treatment_left
        Variance of treatment that the covariates do not explain.
    """

    estimate: float
    std_error: float
    df: int
    short_estimate: float
    r2: float
    short_r2: float
    outcome_variance: float
    treatment_variance: float
    treatment_left: float

    @property
    def partial_r2(self) -> float:
        """Share of the outcome's variance left by the covariates that treatment explains."""
        t2 = (self.estimate / self.std_error) ** 2
        return t2 / (t2 + self.df)


@dataclass(frozen=True, slots=True)
class Moments:
    """Weighted second moments of outcome, treatment and k covariates, all that these analyses need of the rows.

    Attributes
    ----------
    matrix
        Of k covariates, treatment, outcome in units of their standard deviation, around their means, shape
        (k + 2, k + 2).
    spread
        Those standard deviations, shape (k + 2,).
    n
        Rows of weight above zero.
    """

    matrix: FloatArray
    spread: FloatArray
    n: int

    @property
    def k(self) -> int:
        """How many covariates there are."""
        return int(self.spread.size) - 2

    def left(self, target: int, given: IntArray) -> float:
        """Return the variance of a column, relative to its own, that is left by other columns."""
        total = float(self.matrix[target, target])
        if given.size == 0:
            return total
        cross = self.matrix[given, target]
        explained = np.linalg.lstsq(self.matrix[np.ix_(given, given)], cross, rcond=ALIASED)[0]
        return max(total - float(cross @ explained), 0.0)


def moments(outcome: FloatArray, treatment: FloatArray, covariates: FloatArray, weights: FloatArray) -> Moments:
    """Reduce rows to their moments, in one pass.

    Parameters
    ----------
    outcome, treatment, weights
        Shape (n,); rows of weight zero play no part.
    covariates
        Without an intercept, shape (n, k).

    Returns
    -------
    Moments

    References
    ----------
    Goodnight, J. (1979). A tutorial on the sweep operator. The American Statistician 33.
    doi:10.1080/00031305.1979.10482685

    Examples
    --------
    >>> found = moments(np.array([0.0, 2]), np.array([0.0, 1]), np.zeros((2, 0)), np.ones(2))
    >>> found.matrix.tolist(), found.n
    ([[1.0, 1.0], [1.0, 1.0]], 2)
    """
    used = weights > 0
    Z = np.column_stack([covariates[used], treatment[used], outcome[used]])
    w = weights[used] / weights[used].sum()
    Z -= w @ Z
    spread = np.sqrt(w @ Z**2)
    Z /= np.where(spread > 0, spread, 1.0)
    matrix = np.zeros((Z.shape[1], Z.shape[1]))
    for a in range(0, w.size, BLOCK):
        rows = Z[a : a + BLOCK]
        matrix += (rows * w[a : a + BLOCK, None]).T @ rows
    return Moments(matrix, spread, int(used.sum()))


def regression(found: Moments) -> Regression:
    """Regress the outcome on treatment and covariates by weighted least squares, with and without the covariates.

    Parameters
    ----------
    found
        From ``moments``.

    Raises
    ------
    ValueError
        The covariates explain treatment fully, or there are no degrees of freedom.

    References
    ----------
    Frisch, R. and Waugh, F. (1933). Partial time regressions as compared with individual trends. Econometrica 1.
    doi:10.2307/1907330

    Examples
    --------
    >>> x, t = np.array([0.0, 1, 2, 3, 4]), np.array([0.0, 0, 1, 0, 1])
    >>> y = 2 * t + x + np.array([0.1, -0.1, 0, 0, 0])
    >>> told = regression(moments(y, t, x[:, None], np.ones(5)))
    >>> round(told.estimate, 4), round(told.short_estimate, 4), told.df
    (2.025, 3.6667, 2)
    """
    k, G = found.k, found.matrix
    t, y, covariates = k, k + 1, np.arange(k)
    of_treatment, of_outcome = float(found.spread[t]), float(found.spread[y])
    rank = int(np.linalg.matrix_rank(G[:k, :k], tol=ALIASED, hermitian=True)) if k else 0
    df = found.n - rank - 2
    left_t, left_y = found.left(t, covariates), found.left(y, covariates)
    if left_t < ALIASED or df < 1 or of_outcome == 0:
        raise ValueError("the covariates explain treatment fully, or nothing is left to estimate an error from")
    shared = float(G[t, y])
    if k:
        shared -= float(G[covariates, y] @ np.linalg.lstsq(G[:k, :k], G[covariates, t], rcond=ALIASED)[0])
    slope = shared / left_t
    rest = max(left_y - shared**2 / left_t, 0.0)
    return Regression(
        estimate=slope * of_outcome / of_treatment,
        std_error=float(np.sqrt(rest / df / left_t)) * of_outcome / of_treatment,
        df=df,
        short_estimate=float(G[t, y] / G[t, t]) * of_outcome / of_treatment,
        r2=1 - rest,
        short_r2=float(G[t, y] ** 2 / G[t, t]),
        outcome_variance=of_outcome**2,
        treatment_variance=of_treatment**2,
        treatment_left=left_t * of_treatment**2,
    )


def robustness_value(t: float, df: int, q: float = 1.0, alpha: float | None = None) -> float:
    r"""Return the partial R2 with both treatment and outcome that takes away a share q of an estimate.

    :math:`RV_q = \tfrac12 (\sqrt{f^4 + 4 f^2} - f^2)` with :math:`f = q |t| / \sqrt{df}`; with ``alpha``, f less
    :math:`t^*_{\alpha, df-1}/\sqrt{df - 1}`, so that the interval would hold the smaller effect. (Where the limit on
    the outcome's side does not bind, :math:`(f^2 - f^{*2})/(1 + f^2)`.)

    Parameters
    ----------
    t, df
        t of treatment in the regression, and its degrees of freedom.
    q
        Share of the estimate; 1 brings it to zero.
    alpha
        Level of the test; None for the estimate itself.

    References
    ----------
    Cinelli, C. and Hazlett, C. (2020). Making sense of sensitivity: extending omitted variable bias. Journal of the
    Royal Statistical Society B 82. doi:10.1111/rssb.12348

    Examples
    --------
    >>> round(robustness_value(1.98167775216042, 604), 6), round(robustness_value(1.98167775216042, 604, alpha=0.05), 6)
    (0.077448, 0.000657)
    """
    f = q * abs(t) / np.sqrt(df)
    limit = 0.0 if alpha is None else abs(float(special.stdtrit(df - 1, alpha / 2))) / np.sqrt(df - 1)
    left = f - limit
    if left <= 0:
        return 0.0
    if limit > 0 and f > 1 / limit:
        return float((f**2 - limit**2) / (1 + f**2))
    return float((np.sqrt(left**4 + 4 * left**2) - left**2) / 2)


def adjusted_estimate(found: Regression, with_treatment: float, with_outcome: float) -> float:
    r"""Return the estimate that a hidden covariate of given strength would leave, if it works against it.

    :math:`|\hat\tau| - se \sqrt{df} \sqrt{R^2_Y R^2_D / (1 - R^2_D)}`, with the sign of the estimate.

    Parameters
    ----------
    found
        From ``regression``.
    with_treatment, with_outcome
        Partial R2 of the covariate with treatment (below 1), and with the outcome given treatment.

    References
    ----------
    Cinelli and Hazlett (2020), section 3. doi:10.1111/rssb.12348

    Examples
    --------
    >>> found = Regression(2.0, 0.5, 100, 2.0, 0.2, 0.1, 1.0, 0.25, 0.2)
    >>> round(adjusted_estimate(found, 0.1, 0.1), 4)
    1.473
    """
    bias = found.std_error * np.sqrt(found.df) * np.sqrt(with_outcome * with_treatment / (1 - with_treatment))
    return float(np.copysign(abs(found.estimate) - bias, found.estimate))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Partial R2 of a covariate k times as strong as a measured one, with treatment and with the outcome."""

    with_treatment: float
    with_outcome: float


def benchmark(found: Moments, columns: IntArray, times: float = 1.0) -> Benchmark | None:
    r"""Bound a hidden covariate by a measured one: as strong, or ``times`` as strong.

    With partial R2 :math:`a` of the measured columns with treatment and :math:`b` with the outcome given treatment and
    the other covariates,

    .. math:: R^2_D = k\frac{a}{1-a}, \quad \rho = \frac{k a^2}{(1 - k a)(1 - a)}, \quad
        R^2_Y = \Big(\frac{\sqrt{k} + \sqrt{\rho}}{\sqrt{1 - \rho}}\Big)^2 \frac{b}{1-b}.

    Parameters
    ----------
    found
        From ``moments``.
    columns
        Indices of the columns that make up the measured covariate.
    times
        k.

    Returns
    -------
    Benchmark or None
        None where a covariate so strong is not possible (a share would reach 1).

    References
    ----------
    Cinelli and Hazlett (2020), section 4.4. doi:10.1111/rssb.12348

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, z = rng.normal(size=400), rng.normal(size=400)
    >>> t = x + rng.normal(size=400)
    >>> told = benchmark(moments(t + x, t, np.column_stack([x, z]), np.ones(400)), np.array([1]))
    >>> told.with_treatment < 0.01
    True
    """
    rest = np.setdiff1d(np.arange(found.k), columns)
    a = _partial(found, found.k, rest, columns)
    b = _partial(found, found.k + 1, np.append(rest, found.k), columns)
    if times * a >= 1 or a >= 1 or b >= 1:
        return None
    shared = times * a**2 / ((1 - times * a) * (1 - a))
    with_treatment = times * a / (1 - a)
    if shared >= 1 or with_treatment >= 1:
        return None
    with_outcome = ((np.sqrt(times) + np.sqrt(shared)) / np.sqrt(1 - shared)) ** 2 * b / (1 - b)
    return Benchmark(float(with_treatment), float(min(with_outcome, 1.0)))


def _partial(found: Moments, target: int, rest: IntArray, mine: IntArray) -> float:
    """Return the share of what ``rest`` leaves of the target that the columns ``mine`` explain."""
    without = found.left(target, rest)
    if without <= 0:
        return 0.0
    return min(max(1 - found.left(target, np.append(rest, mine)) / without, 0.0), 1.0)
