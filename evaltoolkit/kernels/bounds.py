"""Bounds on a ratio when recording may have changed together with the program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DetectionBand:
    """A recorded ratio, taken apart into what detection alone may explain.

    Attributes
    ----------
    low, high
        Smallest and largest ratio of true levels that the interval and the detection ratios allow.
    tipping
        The detection ratio that explains the recorded ratio by itself.
    """

    low: float
    high: float
    tipping: float


def detection_band(ratio: float, low: float, high: float, detection: tuple[float, float]) -> DetectionBand:
    r"""Bound the ratio of true levels behind a ratio of recorded levels.

    With recorded counts :math:`E[Y] = \lambda d`, the recorded ratio is the true ratio times the detection ratio
    :math:`k = d_1/d_0`. For :math:`k \in [k_l, k_h]` the true ratio lies in
    :math:`[\mathrm{low}/k_h,\ \mathrm{high}/k_l]`, and :math:`k^* = \mathrm{ratio}` explains all of it.

    Parameters
    ----------
    ratio, low, high
        Recorded ratio and its interval (dimensionless).
    detection
        Plausible detection after / before, smallest and largest.

    Returns
    -------
    DetectionBand

    Examples
    --------
    From 20 to 32 identified a year; detection may have risen by up to 60 percent:

    >>> band = detection_band(1.6, 1.2, 2.1, (1.0, 1.6))
    >>> round(band.low, 2), round(band.high, 2), band.tipping
    (0.75, 2.1, 1.6)
    """
    k_low, k_high = detection
    return DetectionBand(low=low / k_high, high=high / k_low, tipping=ratio)
