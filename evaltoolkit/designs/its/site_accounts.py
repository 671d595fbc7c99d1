"""Assumptions, methods, limits and references of many sites."""

from __future__ import annotations

from evaltoolkit.designs.its.dependence import ERROR_WORDS
from evaltoolkit.designs.its.rows import MODELS
from evaltoolkit.designs.its.shape_words import equation_parts, phase_text_of_sites, shapes_method
from evaltoolkit.designs.its.site_pooling import POOLING_WORDS, SitesFitted
from evaltoolkit.designs.its.site_regressions import MOST_ROWS
from evaltoolkit.results import Assumption, Equation, Method, Reference, Term


def errors_text(fitted: SitesFitted) -> str:
    """Return how the intervals of a site were made, in words."""
    return ERROR_WORDS[fitted.options.errors]


def assumptions() -> tuple[Assumption, ...]:
    """Return what has to be true, and how it was looked at."""
    return (
        Assumption(
            name="The course would have gone on",
            text="Without the program, every site would have kept the course that it had before.",
            checked="The course afterwards cannot be checked.",
        ),
        Assumption(
            name="Nothing else at the same time",
            text="No other change that matters for this outcome began at the sites when the program did.",
            checked="Not checked by the data; starts at different times make one cause for all less likely.",
        ),
        Assumption(
            name="Sites are a sample of their kind",
            text="Effects at the sites are like draws from those of sites of this kind, and sites do not share shocks.",
            checked="Not checked by the data. Where sites share shocks, the interval of the mean is too narrow.",
        ),
        Assumption(
            name="Recording stayed the same",
            text="The outcome was defined, counted and recorded in the same way throughout, at every site.",
            checked="Not checked by the data; it rests on the source.",
        ),
    )


def methods(fitted: SitesFitted) -> tuple[Method, ...]:
    """Return the methods with their equations."""
    return (_site(fitted), _pooled(fitted), _others(fitted))


def _site(fitted: SitesFitted) -> Method:
    options = fitted.options
    series = fitted.sites.series[int(fitted.fits.kept[0])]
    left = "log μ" if fitted.ratio else "E[y]"
    parts = [(" = αᵢ + βᵢ t", "alpha of the site plus beta of the site times t"), *equation_parts(series, options)]
    season = " Seasons enter each model." if options.season is not None else ""
    link = "log of the expected count" if fitted.ratio else "expected outcome"
    return Method(
        title="Model of a site",
        text=f"A {MODELS[options.family]} for each site by itself, with its own coefficients: the {link} has a "
        f"straight trend and, from the site's own start on, {shapes_method(series, options)}."
        f"{phase_text_of_sites(series)}{season} Errors: {errors_text(fitted)}. Periods count from "
        "each site's own start.",
        equation=Equation(
            terms=(Term(text=left, sub="it"), *(Term(text=text) for text, _ in parts)),
            alt=f"{left} of site i in period t equals " + ", plus ".join(words for _, words in parts) + ".",
        ),
    )  # fmt: skip


def _pooled(fitted: SitesFitted) -> Method:
    what = "log ratio, averaged over the periods since the start," if fitted.ratio else "average difference"
    return Method(
        title="Pooling",
        text=f"The {what} of each site, with its standard error, is pooled: {POOLING_WORDS[fitted.options.pooling]}. "
        "The interval is that of Hartung and Knapp with a t reference (sites less one degree of freedom), and the "
        "prediction interval for a further site adds the variance between sites, as R metafor has both.",
    )


def _others(fitted: SitesFitted) -> Method:
    if fitted.ratio:
        text = (
            "Counts are not pooled in one regression here: a mixed model of counts by maximum likelihood is not among "
            "the methods of this toolkit."
        )
    else:
        text = (
            "For comparison, one regression of all sites with site intercepts (CR1 errors by site) and a mixed model "
            f"with random intercepts, and trends where they differ (REML, statsmodels; up to {MOST_ROWS:,} rows). Both "
            "give every site the same change; the mixed model takes the errors of neighbouring periods as unrelated, "
            "and leaves out how much changes differ between sites, so its intervals are too narrow where they do."
        )
    return Method(title="One regression of all sites", text=text)


def limits(fitted: SitesFitted) -> tuple[str, ...]:
    """Return what a reader must keep in mind."""
    lines = [
        "No site stands for what would have happened without the program; difference-in-differences compares sites "
        "that started at different times.",
        "The standard errors of sites are taken as known when sites are pooled.",
    ]
    if fitted.ratio:
        lines.append("Logs of small counts lean a little to one side; over very many small sites this may show.")
    if any(name.startswith("slope") for name in fitted.fits.names):
        lines.append("The farther from the start, the more the expected course rests on the trend going on as it was.")
    return tuple(lines)


def references() -> tuple[Reference, ...]:
    """Return the sources of what was used."""
    return (
        Reference(
            text="Gebski, V. et al. (2012). Modelling interrupted time series to evaluate prevention and control of "
            "infection in healthcare. Epidemiology and Infection 140.",
            doi="10.1017/S0950268812000179",
        ),
        Reference(
            text="IntHout, J., Ioannidis, J. and Borm, G. (2014). The Hartung-Knapp-Sidik-Jonkman method for random "
            "effects meta-analysis. BMC Medical Research Methodology 14.",
            doi="10.1186/1471-2288-14-25",
        ),
        Reference(
            text="Higgins, J., Thompson, S. and Spiegelhalter, D. (2009). A re-evaluation of random-effects "
            "meta-analysis. Journal of the Royal Statistical Society A 172.",
            doi="10.1111/j.1467-985X.2008.00552.x",
        ),
        Reference(
            text="Turner, S. et al. (2021). Evaluation of statistical methods used in the analysis of interrupted time "
            "series studies: a simulation study. BMC Medical Research Methodology 21.",
            doi="10.1186/s12874-021-01364-0",
        ),
    )
