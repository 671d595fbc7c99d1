"""Kernel and radius matching: everybody is compared with a weighted mean of those nearby."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kernel = Literal["uniform", "epanechnikov", "triangular", "biweight", "gaussian"]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


def smoothed_weights(
    score: FloatArray,
    focal: Mask,
    width: float,
    kernel: Kernel = "epanechnikov",
    strata: IntArray | None = None,
    *,
    scaled: bool = True,
) -> FloatArray:
    r"""Return the weights of kernel matching on a scalar score.

    Focal unit :math:`i` is compared with :math:`\sum_j K((s_j - s_i)/h) y_j / \sum_j K((s_j - s_i)/h)`, so that unit
    :math:`j` of the other group weighs :math:`w_j = \sum_i K((s_j - s_i)/h) / \sum_k K((s_k - s_i)/h)`. ``uniform`` is
    radius matching: all within :math:`h` count alike. Focal units that meet nobody have weight 0, the others 1; the
    weights above zero of the other group are scaled to mean 1.

    Parameters
    ----------
    score
        Finite scores, shape (n,).
    focal
        True for the units that are to be matched, shape (n,).
    width
        Bandwidth h in units of the score, above zero; for ``gaussian`` its standard deviation.
    kernel
        Shape of K; all but ``gaussian`` are zero beyond h.
    strata
        Codes that must agree, shape (n,); None for no strata.
    scaled
        False to leave the weights of the other group as sums.

    Returns
    -------
    ndarray, shape (n,)

    References
    ----------
    Heckman, J., Ichimura, H. and Todd, P. (1997). Matching as an econometric evaluation estimator: evidence from
    evaluating a job training programme. Review of Economic Studies 64. doi:10.2307/2971733

    Examples
    --------
    >>> score, focal = np.array([0.5, 0.4, 0.55, 0.9]), np.array([True, False, False, False])
    >>> smoothed_weights(score, focal, 0.2, "triangular").round(3).tolist()
    [1.0, 0.8, 1.2, 0.0]
    """
    from evaltoolkit.kernels.compiled import smooth

    kind = {
        "uniform": smooth.UNIFORM, "epanechnikov": smooth.EPANECHNIKOV, "triangular": smooth.TRIANGULAR,
        "biweight": smooth.BIWEIGHT, "gaussian": smooth.GAUSSIAN,
    }[kernel]  # fmt: skip
    weights = np.zeros(score.size)
    parts = [np.arange(score.size)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    for rows in parts:
        rows = rows[np.argsort(score[rows], kind="stable")]
        mine, others = rows[focal[rows]], rows[~focal[rows]]
        weights[others], met = smooth.kernel_weights(score[mine], score[others], float(width), kind)
        weights[mine] = met
    used = ~focal & (weights > 0)
    if scaled and used.any():
        weights[used] *= used.sum() / weights[used].sum()
    return weights
