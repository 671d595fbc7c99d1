"""Checks of many sites, each with a verdict by a stated rule."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.its.site_pooling import SitesFitted
from evaltoolkit.kernels.pooling import without_each
from evaltoolkit.results import Diagnostic, number, p_value, plural

FEW = 5
SHORT, SHORT_WITH_SEASON = 8, 12
STRONG = 0.8
_SHARE = 0.2
_HIGGINS = "Higgins, Thompson and Spiegelhalter 2009, doi:10.1111/j.1467-985X.2008.00552.x"
_BERNAL = "Lopez Bernal, Cummins and Gasparrini 2017, doi:10.1093/ije/dyw098"


def checks(fitted: SitesFitted) -> tuple[Diagnostic, ...]:
    """Return every check."""
    found = [_number(fitted), _lengths(fitted), _calendar(fitted), _agreement(fitted), _persistence(fitted)]
    return tuple(check for check in found if check is not None)


def sensitivity(fitted: SitesFitted) -> tuple[Diagnostic, ...]:
    """Return whether other ways to pool agree, and whether one site carries the result."""
    up = (fitted.tested.estimate or 0) > 0
    same = sum(((w.found.estimate or 0) > 0) == up for w in fitted.ways)
    return (
        Diagnostic(
            name="other-analyses", question="Do other reasonable ways to pool agree?",
            statistic="ways in the same direction", value=float(same), threshold=float(len(fitted.ways)),
            verdict="pass" if same == len(fitted.ways) else "caution",
            text=f"Other ways to pool with an effect in the same direction as the headline: {same} of "
            f"{len(fitted.ways)}.",
        ),
        _one_site(fitted),
    )  # fmt: skip


def _number(fitted: SitesFitted) -> Diagnostic:
    k, lost = fitted.pooled.k, fitted.fits.lost + sum(fitted.sites.left_out.values())
    text = f"{plural(k, 'site')} have an effect of their own."
    if lost:
        text += f" {plural(lost, 'site')} had too few periods, or data that allow no estimate."
    if k < FEW:
        text += f" With fewer than {FEW}, how much sites differ can hardly be known."
    return Diagnostic(
        name="number-of-sites", question="Are there enough sites to say how much they differ?", statistic="sites",
        value=float(k), threshold=float(FEW), verdict="pass" if k >= FEW else "caution", text=text,
    )  # fmt: skip


def _lengths(fitted: SitesFitted) -> Diagnostic:
    wanted = SHORT_WITH_SEASON if fitted.options.season is not None else SHORT
    sides = [min(int(m.after.sum()), int((~m.after).sum())) for m in fitted.fits.models]
    short = sum(n < wanted for n in sides)
    noun = fitted.calendar.noun
    text = f"The shorter side of a site's series has {min(sides)} to {max(sides)} {noun}s."
    if short:
        text += f" {plural(short, 'site')} {'has' if short == 1 else 'have'} fewer than {wanted}."
    return Diagnostic(
        name="series-length", question="Are the series long enough on both sides?",
        statistic=f"sites with fewer than {wanted} {noun}s on a side", value=float(short), threshold=0.0,
        verdict="caution" if short > _SHARE * len(sides) else "pass", text=text, reference=_BERNAL,
    )  # fmt: skip


def _calendar(fitted: SitesFitted) -> Diagnostic:
    series = [fitted.sites.series[int(i)] for i in fitted.fits.kept]
    noun = fitted.calendar.noun
    missing = sum(s.n_missing for s in series)
    sites = sum(s.n_missing > 0 for s in series)
    text = (
        f"Every {noun} of every site has a value." if not missing else
        f"{plural(missing, noun)} at {plural(sites, 'site')} {'has' if missing == 1 else 'have'} no value. Nothing was "
        "filled in; the models count the time between values as it is."
    )  # fmt: skip
    return Diagnostic(
        name="calendar", question=f"Is there a value for every {noun} of every site?",
        statistic=f"{noun}s without a value", value=float(missing), threshold=0.0,
        verdict="caution" if missing else "pass", text=text,
    )  # fmt: skip


def _agreement(fitted: SitesFitted) -> Diagnostic:
    p, new = fitted.pooled, fitted.new_site
    null = 1.0 if fitted.ratio else 0.0
    clear = fitted.finding.strength != "unclear"
    both = new.low is not None and new.high is not None and new.low <= null <= new.high
    text = (
        f"Cochran's Q is {number(p.q, 1)} for {plural(p.k - 1, 'degree')} of freedom (p = {p_value(p.q_p)}); "
        f"{p.i2:.0f} percent of the spread of estimates lies between sites."
    )
    if clear and both:
        text += " The mean is clear, but a further site may as well see no change or the opposite."
    return Diagnostic(
        name="sites-agree", question="Do sites have about the same effect?",
        statistic="share of the spread between sites, percent", value=p.i2, df=float(p.k - 1), p_value=p.q_p,
        verdict="caution" if clear and both else "pass", text=text, reference=_HIGGINS,
    )  # fmt: skip


def _persistence(fitted: SitesFitted) -> Diagnostic | None:
    rho = fitted.fits.autocorrelation
    if np.isnan(rho).any():
        return None
    strong = int((rho > STRONG).sum())
    middle = float(np.median(rho))
    text = f"The errors' autocorrelation is about {number(middle, 2)} at the middle site."
    if strong:
        text += f" {plural(strong, 'site')} {'wanders' if strong == 1 else 'wander'} (above {STRONG})."
    return Diagnostic(
        name="persistence", question="Do the series return to their trends?",
        statistic=f"sites with a mean autocorrelation above {STRONG}", value=float(strong), threshold=0.0,
        verdict="caution" if strong > _SHARE * rho.size else "pass", text=text,
    )  # fmt: skip


def _one_site(fitted: SitesFitted) -> Diagnostic:
    fits = fitted.fits
    without = without_each(fits.estimate, fits.std_error, fitted.pooled.tau2)
    shift = np.abs(without - fitted.pooled.estimate)
    worst = float(shift.max())
    turned = bool((np.sign(without) != np.sign(fitted.pooled.estimate)).any())
    half = worst > abs(fitted.pooled.estimate) / 2
    scale = " of the log ratio" if fitted.ratio else ""
    text = f"Leaving out any one site moves the mean by at most {number(worst, 2)}{scale}."
    if turned:
        text += " Without one of them the direction would be the other."
    elif half:
        text += " One of them carries a large part of the result."
    return Diagnostic(
        name="one-site-left-out", question="Does one site carry the result?",
        statistic="largest shift of the mean without one site", value=worst,
        threshold=abs(fitted.pooled.estimate) / 2, verdict="caution" if turned or half else "pass", text=text,
    )  # fmt: skip
