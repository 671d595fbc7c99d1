"""Columns of a segmented regression: what may change at an interruption, and how."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Form = Literal["level", "slope", "pulse", "ramp", "temporary"]


def segment(steps: IntArray, start: int, form: Form, periods: int = 1) -> FloatArray:
    r"""Return the column of one change that starts in period :math:`T_0`.

    With :math:`e_t = t - T_0` and :math:`m` periods:

    ======================  =====================================================
    ``level``               :math:`1[e \ge 0]`: at once and for good
    ``slope``               :math:`e\, 1[e \ge 0]`: of the trend, 0 in the first period
    ``pulse``               :math:`1[e = 0]`: the first period alone
    ``temporary``           :math:`1[0 \le e < m]`: at once, gone after m periods
    ``ramp``                :math:`\min((e+1)/m, 1)\, 1[e \ge 0]`: in m equal steps, then for good
    ======================  =====================================================

    Parameters
    ----------
    steps
        Periods as whole numbers, shape (n,).
    start
        :math:`T_0`.
    form
        Which change.
    periods
        m, at least 1; read by ``temporary`` and ``ramp``.

    Returns
    -------
    ndarray
        Shape (n,).

    Notes
    -----
    The slope is 0 in the first period after the start, as in Stata's ``itsa`` since 2.0.3. Where it is coded 1 there,
    as in the tutorial of Lopez Bernal and others, the slope is the same and the level differs by one slope step.

    References
    ----------
    Lopez Bernal, J., Cummins, S. and Gasparrini, A. (2017). Interrupted time series regression for the evaluation of
    public health interventions. International Journal of Epidemiology 46. doi:10.1093/ije/dyw098
    Linden, A. (2015). Conducting interrupted time-series analysis for single- and multiple-group comparisons. Stata
    Journal 15. doi:10.1177/1536867X1501500208

    Examples
    --------
    >>> t = np.arange(5)
    >>> segment(t, 2, "slope").tolist(), segment(t, 2, "ramp", 2).tolist(), segment(t, 2, "temporary", 2).tolist()
    ([0.0, 0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0, 0.0])
    """
    if periods < 1:
        msg = "periods must be at least 1"
        raise ValueError(msg)
    since = (steps - start).astype(np.float64)
    on = since >= 0
    if form == "level":
        return on.astype(np.float64)
    if form == "slope":
        return np.asarray(np.where(on, since, 0.0))
    if form == "ramp":
        return np.asarray(np.where(on, np.minimum((since + 1) / periods, 1.0), 0.0))
    last = 1 if form == "pulse" else periods
    return np.asarray(on & (since < last), dtype=np.float64)
