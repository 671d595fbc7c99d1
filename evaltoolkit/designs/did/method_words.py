"""What is said of the way uncertainty is measured."""

from __future__ import annotations

from evaltoolkit.designs.did.catalogue import Name
from evaltoolkit.designs.did.estimator_words import WORDS
from evaltoolkit.designs.did.inference import FEW, MANY, Choice, Way
from evaltoolkit.kernels.few_treated import DOUBT, UNEQUAL
from evaltoolkit.results import SmallCells, number


def words(choice: Choice, estimator: Name, small: SmallCells | None = None) -> str:
    """Return the method and the reason for it in a few sentences.

    ``small`` is the small-cell rule where clusters are people, so that their numbers fall under it.
    """
    if choice.none_possible:
        return _no_interval(choice)
    said = {
        "analytic": f"Standard errors are clustered, {WORDS[estimator].errors}".rstrip(".") + ".",
        "jackknife": _JACKKNIFE,
        "welch": _WELCH,
        "scaled": _SCALED,
        "randomization": _RANDOMIZATION.format(n=f"{choice.reassigned:,}"),
        "conley-taber": _CONLEY_TABER,
        "ferman-pinto": _CONLEY_TABER + _FERMAN_PINTO,
        "placebo": _PLACEBO,
        "bootstrap": _BOOTSTRAP,
        "cr1": _CR1,
        "cr2": _CR2,
        "cr3": _CR3,
        "wild-cluster": _WILD,
    }[choice.way]
    return f"{said} {_why(choice, small)}"


def brief(choice: Choice, small: SmallCells | None = None) -> str:
    """Return what intervals use and why, without how that works."""
    if choice.none_possible:
        return _no_interval(choice)
    return f"Intervals use {METHOD_NAMES[choice.way]}. {_why(choice, small)}"


_BOOTSTRAP = (
    "Standard errors are by the multiplier bootstrap: influence functions summed within clusters are multiplied at "
    "random "
    "(Mammen's law; Webb's up to 12 clusters, the normal above 1,000), and the interquartile range of the draws over "
    "that "
    "of the normal is the error (the convention of R did). Intervals use the same reference as analytic ones."
)
_CR1 = (
    "Standard errors are clustered (CR1): scores summed within clusters, times clusters over clusters less one. "
    "Intervals use the t distribution with clusters less one as degrees of freedom."
)
_CR2 = (
    "Standard errors are clustered (CR2): residuals of each cluster are scaled so that the error is right on average "
    "where clusters vary alike. Intervals use the t distribution with Satterthwaite's degrees of freedom."
)
_CR3 = (
    "Standard errors are clustered (CR3), close to leaving out each cluster in turn. Intervals use the t distribution "
    "with Satterthwaite's degrees of freedom."
)
_WILD = (
    "Intervals and p-values are by the wild cluster bootstrap: the residuals of whole clusters are multiplied at "
    "random with the effect set to each value in turn (restricted; Webb's six-point law up to 12 clusters, signs "
    "above). "
    "There is no standard error."
)
_JACKKNIFE = (
    "Standard errors are by the jackknife: every cluster is left out in turn and everything is estimated again. "
    "Intervals use the t distribution with the smaller of treated and comparison clusters less one as degrees of "
    "freedom."
)
_WELCH = (
    "Standard errors come from the spread of clusters within each cohort and within the comparison group, which need "
    "not vary alike (CR2). Intervals use the t distribution with the degrees of freedom of Welch and Satterthwaite."
)
_SCALED = (
    "Standard errors come from the spread of the clusters that never start, scaled by how much more the treated ones "
    "varied where the program played no part. Intervals use the t distribution with the degrees of freedom of the two."
)
_RANDOMIZATION = (
    "Intervals are by randomization inference: they hold every constant effect that would not be unusual had the same "
    "starts fallen on other clusters ({n} ways to deal them out, the one observed included). There is no standard "
    "error."
)
_CONLEY_TABER = (
    "Intervals are those of Conley and Taber: how far the estimate would lie from zero with clusters that never start "
    "in the place of the treated ones. There is no standard error."
)
_PLACEBO = (
    "Standard errors are those of placebos: clusters that never start are taken for treated ones, as many in each "
    "cohort, and the effect is estimated again. That is right where treated clusters vary like the others. Intervals "
    "use the normal distribution."
)
_FERMAN_PINTO = " Clusters count with the variance that goes with their size (Ferman and Pinto)."


METHOD_NAMES: dict[Way, str] = {
    "analytic": "analytic errors",
    "jackknife": "the jackknife",
    "welch": "the spread within cohorts",
    "scaled": "errors scaled from the clusters that never start",
    "randomization": "randomization inference",
    "conley-taber": "the method of Conley and Taber",
    "ferman-pinto": "the method of Ferman and Pinto",
    "placebo": "placebos among the clusters that never start",
    "bootstrap": "the multiplier bootstrap",
    "cr1": "CR1 errors",
    "cr2": "CR2 errors",
    "cr3": "CR3 errors",
    "wild-cluster": "the wild cluster bootstrap",
    "none": "nothing, as too few clusters allow none",
}
"""What intervals use, in a few words."""


def _no_interval(choice: Choice) -> str:
    who = "treated" if choice.n_treated < 2 else "comparison"
    few = min(choice.n_treated, choice.n_comparison)
    counted = f"There is a single {who} cluster" if few < 2 else f"There are only {choice.n_clusters} clusters"
    said = (
        f"{counted}, so no standard error from these data can be trusted, and none is given. The estimate says by how "
        "much the treated moved apart from the others, not how far they would have moved by chance."
    )
    if choice.reassigned:
        said += (
            f" The p-value is by randomization: the starts could be dealt out in {choice.reassigned:,} ways, which is "
            "too few for an interval."
        )
    return said


def _why(choice: Choice, small: SmallCells | None) -> str:
    if choice.why == "asked":
        return "This was asked for." + _caution(choice)
    cohort, compared = (
        f"{n:,}" if small is None else small.people(n) for n in (choice.smallest_cohort, choice.n_comparison)
    )
    noun = "cluster" if choice.smallest_cohort == 1 and small is None else "clusters"
    counted = f"the smallest cohort has {cohort} {noun} and the comparison group {compared}"
    reasons = {
        "many": f"each group has at least {MANY}",
        "enough": f"analytic errors need {MANY} clusters in each group to be right",
        "estimator": f"analytic errors need {MANY} clusters in each group to be right",
        "few": f"with fewer than {FEW} clusters the spread within a group says too little, and the check finds treated "
        "clusters no more variable than the others",
        "few-unchecked": f"with fewer than {FEW} clusters the spread within a group says too little; whether treated "
        "clusters vary like the others could not be checked",
        "unequal-sizes": f"with fewer than {FEW} clusters the spread within a group says too little, and the largest "
        f"cluster has more than {number(UNEQUAL, 0)} times the units of the smallest",
        "more-variable": f"with fewer than {FEW} clusters the spread within a group says too little, and treated "
        f"clusters were more variable than the others (p below {number(DOUBT, 2)})",
        "cannot-permute": "units of the same cluster start in different periods, so starts cannot be dealt out anew",
        "too-few-assignments": "there are too few ways to deal the starts out anew",
        "one-treated": "a single cluster is treated",
        "synthetic": "synthetic comparisons have no formula for their error",
        "many-cohorts": "with so many cohorts and periods, dealing the starts out anew would take too long",
        "not-possible": "other methods for few clusters do not fit these data",
        "rows-stay": f"analytic errors need {MANY} clusters in each group to be right, and other methods for few "
        "clusters need the rows, which stay where they are",
    }
    caution = _caution(choice) if choice.why == "rows-stay" else ""
    return f"It was chosen because {reasons[choice.why]}: {counted}.{caution}"


def _caution(choice: Choice) -> str:
    if choice.way != "analytic" or not choice.few:
        return ""
    return f" With fewer than {MANY} clusters in a cohort or to compare with such errors tend to be too small."
