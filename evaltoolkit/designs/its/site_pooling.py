"""Sites pooled: the mean effect, each change, the path since the start, and other ways to pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.contract import small_cells
from evaltoolkit.data import Calendar
from evaltoolkit.designs.its.measures import One
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.site_fits import SiteFits, fit_sites
from evaltoolkit.designs.its.site_regressions import OneForAll, regressions
from evaltoolkit.designs.its.sites import Sites
from evaltoolkit.kernels.pooling import Between, Pooled, pool
from evaltoolkit.results import Finding, SmallCells, judge
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]

BETWEEN: dict[str, Between] = {
    "reml": "reml", "paule-mandel": "paule-mandel", "dersimonian-laird": "dersimonian-laird", "common-effect": "none",
}  # fmt: skip
POOLING_WORDS = {
    "reml": "random effects, restricted maximum likelihood", "paule-mandel": "random effects, Paule-Mandel",
    "dersimonian-laird": "random effects, DerSimonian-Laird", "common-effect": "one common effect",
}  # fmt: skip
FEWEST_ON_PATH = 2
_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Way:
    """The pooled effect in another way."""

    label: str
    found: One


@dataclass(frozen=True, slots=True)
class SitesFitted:
    """A study of many sites, fitted.

    Attributes
    ----------
    fits
        The effects of the sites.
    pooled
        Their mean: average difference, or log ratio for counts.
    changes
        Each change pooled, by name, on the model's scale.
    path
        Periods since the start with the pooled difference (log ratio for counts), over the sites seen until its end:
        nine in ten or more.
    ways
        Other ways to pool.
    together
        Regressions of all sites.
    basis
        Number of events (or people) that the effect of each site rests on, shape (S,); NaN where it counts none.
    """

    study: Study
    options: Options
    sites: Sites
    fits: SiteFits
    pooled: Pooled
    changes: dict[str, Pooled]
    path: tuple[tuple[int, Pooled], ...]
    ways: tuple[Way, ...]
    together: tuple[OneForAll, ...]
    basis: FloatArray
    small: SmallCells

    @property
    def ratio(self) -> bool:
        """Whether effects are ratios of rates."""
        return self.fits.models[0].log_link

    @property
    def calendar(self) -> Calendar:
        """How periods are written."""
        return self.sites.calendar

    @property
    def level(self) -> float:
        """The confidence level."""
        return self.study.inference.level

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites with an estimate."""
        return tuple(self.sites.names[int(i)] for i in self.fits.kept)

    @property
    def tested(self) -> One:
        """The pooled effect on the scale on which zero is no change."""
        return one_of(self.pooled)

    @property
    def headline(self) -> One:
        """The pooled effect: the rate ratio of counts, else the average difference."""
        return self.tested.exp() if self.ratio else self.tested

    @property
    def new_site(self) -> One:
        """The pooled effect with the prediction interval of a further site, as the headline is shown."""
        p = self.pooled
        m = One(p.estimate, None, p.new_low, p.new_high, None, None if p.df is None else float(p.df))
        return m.exp() if self.ratio else m

    @property
    def finding(self) -> Finding:
        """The finding by rule; the smallest effect that matters is on the scale of differences."""
        smallest = None if self.ratio else self.study.outcome.smallest_effect_that_matters
        return judge(self.tested.estimate, self.tested.low, self.tested.high, smallest)

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Sites whose numbers rest on too few, with one more where only one does, shape (S,)."""
        counts = np.where(np.isfinite(self.basis), self.basis, -1)
        hidden = np.array([n >= 0 and self.small.hides(int(n)) for n in counts])
        if hidden.sum() == 1 and hidden.size > 1:
            rest = np.where(hidden | (counts < 0), np.inf, counts)
            hidden[int(np.argmin(rest))] = True
        return hidden


def one_of(p: Pooled) -> One:
    """Return a pooled estimate as a number with its interval."""
    return One(p.estimate, p.std_error, p.low, p.high, p.p_value, None if p.df is None else float(p.df))


def fit(study: Study, options: Options, sites: Sites) -> SitesFitted:
    """Fit every site and pool."""
    fits = fit_sites(study, options, sites)
    level, between = study.inference.level, BETWEEN[options.pooling]
    pooled = pool(fits.estimate, fits.std_error, between=between, level=level)
    changes = {
        name: pool(fits.changes[:, j], np.sqrt(fits.errors[:, j, j]), between=between, level=level)
        for j, name in enumerate(fits.names)
    }
    together = regressions(fits)
    return SitesFitted(
        study=study, options=options, sites=sites, fits=fits, pooled=pooled, changes=changes,
        path=_path(sites, fits, between, level), ways=_ways(fits, options, level, together), together=together,
        basis=_basis(study, sites, fits), small=small_cells(study),
    )  # fmt: skip


def _ways(fits: SiteFits, options: Options, level: float, together: tuple[OneForAll, ...]) -> tuple[Way, ...]:
    found = [
        Way(POOLING_WORDS[name], one_of(pool(fits.estimate, fits.std_error, between=between, level=level)))
        for name, between in BETWEEN.items()
        if name != options.pooling
    ]
    plain = pool(fits.estimate, fits.std_error, between=BETWEEN[options.pooling], adjusted=False, level=level)
    found.append(Way(f"{POOLING_WORDS[options.pooling]}, normal interval", one_of(plain)))
    for way in together:
        value, error, low, high, p = way.number(way.effect, level)
        found.append(Way(way.label, One(value, error, low, high, p, None if way.df is None else float(way.df))))
    return tuple(found)


def _path(sites: Sites, fits: SiteFits, between: Between, level: float) -> tuple[tuple[int, Pooled], ...]:
    """Pool the difference (log ratio, for counts) in each period since the start."""
    if any(len(sites.series[int(i)].starts) > 1 for i in fits.kept):
        return ()
    rows: dict[int, list[tuple[int, FloatArray]]] = {}
    for place, i in enumerate(fits.kept):
        series, model = sites.series[int(i)], fits.models[place]
        moved = (model.observed - model.expected)[:, [j for part in model.changed for j in part]]
        for t in np.flatnonzero(model.after):
            rows.setdefault(int(series.steps[t]) - series.starts[0], []).append((place, moved[t]))
    # The same sites all along the path, or it would bend where sites leave it.
    far = np.array([int(sites.series[int(i)].steps[-1]) - sites.series[int(i)].starts[0] for i in fits.kept])
    end = int(np.quantile(far, 1 - _SHARE, method="lower"))
    found = []
    for e in sorted(rows):
        members = [(place, row) for place, row in rows[e] if far[place] >= end]
        if e > end or len(members) < FEWEST_ON_PATH:
            continue
        at = np.array([place for place, _ in members])
        c = np.array([row for _, row in members])
        value = (c * fits.changes[at]).sum(axis=1)
        error = np.sqrt(np.maximum(np.einsum("si,sij,sj->s", c, fits.errors[at], c), 0.0))
        if (error > 0).all():
            found.append((e, pool(value, error, between=between, level=level)))
    return tuple(found)


def _basis(study: Study, sites: Sites, fits: SiteFits) -> FloatArray:
    """Return the smaller number of events, or people, of each site before and after its start."""
    found = np.full(fits.kept.size, np.nan)
    for place, i in enumerate(fits.kept):
        series = sites.series[int(i)]
        counts = series.people
        if counts is None and study.outcome.kind in {"count", "rate"}:
            counts = series.values
        if counts is not None:
            late = series.after
            found[place] = min(counts[late].sum(), counts[~late].sum())
    return found
