"""Effect sizes of differences at baseline: Hedges' g for continuous covariates, the Cox index for yes/no ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.balance import Balance

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


def baseline_sizes(found: Balance, n_first: int, n_second: int, binary: Mask) -> FloatArray:
    """Return the effect size of each covariate in a weighted analysis sample: Hedges' g, or the Cox index for 0/1.

    Parameters
    ----------
    found
        Balance of k covariates in the analysis sample, with the weights of the analysis.
    n_first, n_second
        Units in each group of the analysis sample.
    binary
        Which covariates hold 0 and 1 only, shape (k,).

    Returns
    -------
    ndarray
        Shape (k,); NaN where the size is not defined.

    References
    ----------
    What Works Clearinghouse (2022). Procedures and Standards Handbook, Version 5.0.

    Examples
    --------
    >>> from evaltoolkit.kernels.balance import balance
    >>> X = np.array([[1.0, 1], [2, 0], [3, 1], [2, 0], [3, 1], [4, 0]])
    >>> found = balance(X, np.array([True] * 3 + [False] * 3))
    >>> baseline_sizes(found, 3, 3, np.array([False, True])).round(2).tolist()
    [-0.8, 0.67]
    """
    m1, m2, v1, v2 = found.mean_first, found.mean_second, found.variance_first, found.variance_second
    return np.array([
        cox_index(m1[j], m2[j], n_first + n_second) if binary[j]
        else hedges_g(m1[j] - m2[j], (v1[j], v2[j]), (n_first, n_second))
        for j in range(m1.size)
    ])  # fmt: skip


def hedges_g(difference: float, variances: tuple[float, float], sizes: tuple[int, int]) -> float:
    r"""Return Hedges' g :math:`(1 - 3/(4N-9)) (\bar x_1 - \bar x_2)/S`.

    :math:`S^2 = ((n_1-1)s_1^2 + (n_2-1)s_2^2)/(N-2)`, pooled by degrees of freedom, with weighted means and variances.

    Parameters
    ----------
    difference
        Difference of the means.
    variances, sizes
        Variance and number of units of each group.

    Returns
    -------
    float
        0 where the means are the same, NaN where the pooled variance is zero and they differ.

    References
    ----------
    Hedges, L. (1981). Distribution theory for Glass's estimator of effect size and related estimators. Journal of
    Educational Statistics 6. doi:10.3102/10769986006002107

    Examples
    --------
    >>> round(hedges_g(-1.0, (1.0, 1.0), (3, 3)), 3)
    -0.8
    """
    (v1, v2), (n1, n2) = variances, sizes
    if difference == 0:
        return 0.0
    pooled = sum((n - 1) * v for n, v in ((n1, v1), (n2, v2)) if n > 1) / (n1 + n2 - 2) if n1 + n2 > 2 else 0.0
    return _small_sample(n1 + n2) * float(difference) / float(np.sqrt(pooled)) if pooled > 0 else float("nan")


def cox_index(p1: float, p2: float, n: int) -> float:
    r"""Return the Cox index :math:`\omega\,(\mathrm{logit}\,p_1 - \mathrm{logit}\,p_2)/1.65` of two proportions.

    :math:`\omega = 1 - 3/(4n-9)` for n people in all. NaN where one proportion is 0 or 1 and the other is not.

    References
    ----------
    Sanchez-Meca, J., Marin-Martinez, F. and Chacon-Moscoso, S. (2003). Effect-size indices for dichotomized outcomes
    in meta-analysis. Psychological Methods 8. doi:10.1037/1082-989X.8.4.448

    Examples
    --------
    >>> round(cox_index(0.5, 0.4, 200), 3)
    0.245
    """
    if p1 == p2:
        return 0.0
    if min(p1, p2) <= 0 or max(p1, p2) >= 1:
        return float("nan")
    return _small_sample(n) * float(np.log(p1 / (1 - p1)) - np.log(p2 / (1 - p2))) / 1.65


def _small_sample(n: int) -> float:
    return 1 - 3 / (4 * n - 9)
