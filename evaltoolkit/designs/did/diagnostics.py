"""Checks of a difference-in-differences study, each with a verdict by a stated rule."""

from __future__ import annotations

from evaltoolkit.designs.did.decomposition import decomposed, decomposition_check
from evaltoolkit.designs.did.display import amount
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.designs.did.inference import FEW
from evaltoolkit.designs.did.laws import Reassigned
from evaltoolkit.designs.did.left_out import left_out
from evaltoolkit.designs.did.method_words import METHOD_NAMES, brief
from evaltoolkit.designs.did.path_estimators import two_way
from evaltoolkit.designs.did.placebo import placebo_sites
from evaltoolkit.designs.did.robustness import leave_one_out, placebo_in_time, placebo_outcomes
from evaltoolkit.designs.did.sample_checks import sample_checks
from evaltoolkit.designs.did.trend_checks import Trends, departure_check, trend_checks
from evaltoolkit.kernels.two_way import treated_cell_weights
from evaltoolkit.results import Diagnostic, number, p_value, plural
from evaltoolkit.results.types import VerdictWord

SIGN = 0.05
WEAK_SIGN = 0.10
MANY_LOST = 0.05
_MANY_NUMBERS = (
    "The groups moved apart before the start by this test, but it joins many numbers for few clusters and then finds "
    "differences too often; look at the earlier points of the figure."
)


def checks(fitted: Fitted, trends: Trends) -> tuple[Diagnostic, ...]:
    """Return every check."""
    found = [
        _pretrends(fitted), *trend_checks(fitted, trends.path), _just_before(fitted), _treated(fitted),
        _cohorts(fitted), _comparison(fitted), _balance(fitted), *left_out(fitted),
        *sample_checks(fitted),
    ]  # fmt: skip
    if fitted.data.rows is None:
        return (*found, _no_rows(fitted))
    placebos = (placebo_in_time(fitted), placebo_outcomes(fitted), placebo_sites(fitted))
    found += [d for d in placebos if d is not None]
    if fitted.options.estimator in {"twfe", "two-by-two"}:
        found += [_forbidden(fitted), *decomposition_check(fitted, decomposed(fitted)), *_moving_covariates(fitted)]
    return tuple(found)


def _no_rows(fitted: Fitted) -> Diagnostic:
    """Say what stood in for rows, and what was left undone because none left the place they are in."""
    whole = "only sums by start and cross-products of the whole sample left it"
    if fitted.data.engine is None:
        how = "from sums over groups alike in start and covariates"
    elif fitted.data.small_sums:
        how = (
            f"inside the engine, because sums over groups would have rested on fewer than {fitted.small.threshold} "
            f"people; {whole}"
        )
    else:
        how = f"inside the engine; {whole}"
    return Diagnostic(
        name="sums-only", question="Were all checks made?", verdict="not-applicable",
        text=f"The estimates were made {how}. No row left the place the data are in. Rows of the {fitted.unit} that "
        "are used would give the same numbers. Checks that need rows were not made: placebo starts and outcomes, "
        "leaving out single cohorts and clusters, and who is like whom within groups.",
    )  # fmt: skip


def _pretrends(fitted: Fitted) -> Diagnostic:
    question = "Did the groups move alike before the start?"
    test = fitted.pretest
    reference = "Roth 2022, doi:10.1257/aeri.20210236"
    if test is None:
        why = (
            "There are too few periods before the start, or too few clusters, to test it. Whether the groups would "
            "have moved alike rests on judgment."
        )
        return Diagnostic(name="pre-trends", question=question, verdict="not-applicable", text=why, reference=reference)
    verdict: VerdictWord = "fail" if test.p_value < SIGN else "caution" if test.p_value < WEAK_SIGN else "pass"
    fewest = min(fitted.choice.smallest_cohort, fitted.choice.n_comparison)
    crowded = verdict == "fail" and test.q > fewest
    verdict = "caution" if crowded else verdict
    said = {
        "fail": "The groups already moved apart before the start, so the estimate mixes the program with other change.",
        "caution": "There are weak signs that the groups moved apart before the start.",
        "pass": "No sign that they moved apart. Such a test can miss differences that matter.",
    }[verdict]
    said = _MANY_NUMBERS if crowded else said
    many = plural(test.q, "number")
    dealt = fitted.cells is not None and isinstance(fitted.cells.law, Reassigned)
    by = "randomization" if dealt else "F"
    return Diagnostic(
        name="pre-trends", question=question, statistic=f"Wald ({many} before the start; p by {by})",
        value=test.statistic, df=float(test.q), p_value=test.p_value, threshold=SIGN, verdict=verdict,
        text=f"{said} p = {p_value(test.p_value)}.", reference=reference,
    )  # fmt: skip


def _just_before(fitted: Fitted) -> Diagnostic:
    question = "Did anything change just before the start?"
    limit = -fitted.options.anticipation
    labels = fitted.events.labels
    early = [i for i, e in enumerate(labels.tolist()) if e < limit and e != fitted.reference]
    found = None if not early else fitted.events.one(early[-1], fitted.level)
    if found is None or found.p_value is None:
        text = "There is no earlier period, or no standard error, to look at it."
        return Diagnostic(name="anticipation", question=question, verdict="not-applicable", text=text)
    early_change = found.p_value < SIGN
    unit = fitted.data.calendar.noun
    text = (
        f"In the last {unit} before the start that can be looked at, the difference is "
        f"{amount(fitted, found, found.estimate, signed=True)} (p = {p_value(found.p_value)})"
    )
    text += (
        f", so {fitted.unit} may have changed their behaviour in advance; try anticipation."
        if early_change else ", which shows no clear change in advance."
    )  # fmt: skip
    return Diagnostic(
        name="anticipation", question=question, statistic=f"effect at event time {int(labels[early[-1]])}",
        value=found.estimate, p_value=found.p_value, threshold=SIGN, verdict="caution" if early_change else "pass",
        text=text,
    )  # fmt: skip


def _few(n: int) -> VerdictWord:
    return "pass" if n >= FEW else "caution" if n >= 2 else "fail"


def _treated(fitted: Fitted) -> Diagnostic:
    choice = fitted.choice
    rule = brief(choice, fitted.cluster_rule)
    counted = f"{plural(choice.n_treated, 'cluster')} started the program. "
    hidden = fitted.cluster_rule is not None
    return Diagnostic(
        name="treated-clusters", question="Did enough clusters start the program to judge chance?",
        statistic="clusters that started the program", value=None if hidden else float(choice.n_treated),
        threshold=float(FEW), verdict=_few(choice.n_treated), text=("" if hidden else counted) + rule,
        reference="MacKinnon and Webb 2020, doi:10.1016/j.jeconom.2020.04.024",
    )  # fmt: skip


def _cohorts(fitted: Fitted) -> Diagnostic:
    question = "Is each cohort large enough for its own effect?"
    if not fitted.staggered:
        return Diagnostic(
            name="small-cohorts", question=question, verdict="not-applicable", text="There is a single start."
        )
    n = fitted.choice.smallest_cohort
    small = n < FEW
    hidden = fitted.cluster_rule is not None and fitted.small.hides(n)
    size = "is not shown" if hidden else f"has {plural(n, 'cluster')}"
    return Diagnostic(
        name="small-cohorts", question=question, statistic="clusters in the smallest cohort",
        value=None if hidden else float(n), threshold=float(FEW), verdict="caution" if small else "pass",
        text=_lonely(fitted) or f"The smallest cohort {size}. "
        + (
            "Effects of single cohorts are rough; the headline averages over all of them."
            if small else f"Each has at least {FEW}."
        ),
    )  # fmt: skip


def _lonely(fitted: Fitted) -> str:
    """Return what to say of cohorts so small that their own errors mean nothing; empty where there are none."""
    if fitted.study.counts_people:
        return ""
    facts = fitted.facts
    few = [(g, n) for g, n in zip(facts.cohorts.tolist(), facts.clusters.tolist(), strict=False) if n < FEW]
    if not few:
        return ""
    one, many = (fitted.one_unit, fitted.unit) if fitted.options.cluster is None else ("cluster", "clusters")
    said = [f"cohort {fitted.data.calendar.label(g)} has {plural(n, one, many)}" for g, n in few[:6]]
    more = f", and {plural(len(few) - 6, 'more cohort')} as few" if len(few) > 6 else ""
    text = ", ".join(said) + more
    return (
        f"{text[:1].upper()}{text[1:]}: their own standard errors cannot be trusted. Intervals use "
        f"{METHOD_NAMES[fitted.choice.way]}; the headline averages over all cohorts."
    )


def _comparison(fitted: Fitted) -> Diagnostic:
    n = fitted.choice.n_comparison
    hidden = fitted.cluster_rule is not None and fitted.small.hides(n)
    later = " They are the last to start; periods after their start are left out."
    return Diagnostic(
        name="comparison-clusters", question="Is the comparison group large enough?",
        statistic="comparison clusters", value=None if hidden else float(n), threshold=float(FEW), verdict=_few(n),
        text=("The size is not shown." if hidden else f"{plural(n, 'cluster')} can be compared with throughout.")
        + (later if fitted.data.last_as_comparison is not None else ""),
    )  # fmt: skip


def _balance(fitted: Fitted) -> Diagnostic:
    data = fitted.data
    share = data.n_incomplete / data.n_units
    people = fitted.study.counts_people
    # With the number left out the flow gives the others away: those that are used, or had started before.
    rest = data.n_incomplete - data.n_left
    told = people and rest > 0 and fitted.small.hides(rest)
    left = "Some" if told else fitted.small.people(data.n_incomplete) if people else f"{data.n_incomplete:,}"
    kept = fitted.facts.n_units
    periods = plural(fitted.facts.periods.size, "period")
    verdict: VerdictWord = "pass" if share <= MANY_LOST else "caution"
    text = (
        f"All {fitted.unit}{'' if data.rows is not None else ' in the sums'} have a value in each of {periods}."
        if not data.n_incomplete else
        f"{left} {fitted.unit} lack a value in some period and {_use_of_incomplete(fitted)}"
    )  # fmt: skip
    if data.n_always:
        early = fitted.small.people(data.n_always) if people else f"{data.n_always:,}"
        text += f" {early[0].upper()}{early[1:]} had started by the first period and cannot be compared."
    secret = told or (people and (fitted.small.hides(data.n_incomplete) or fitted.small.hides(kept)))
    return Diagnostic(
        name="panel-balance", question=f"Are the same {fitted.unit} observed in every period?",
        statistic=f"share of {fitted.unit} that lack a value", value=None if secret else share, threshold=MANY_LOST,
        verdict=verdict, text=f"{text[0].upper()}{text[1:]}",
    )  # fmt: skip


def _use_of_incomplete(fitted: Fitted) -> str:
    data = fitted.data
    if not fitted.options.keeps_incomplete or data.engine is not None:
        return f"were left out, so that the same {fitted.unit} are compared throughout."
    if not data.n_left:
        used = ""
    elif data.rows is not None:
        used = " if these are two or more"
    else:
        used = " if these are two or more and enough others lack the same, else left out"
    return f"are used for the periods they have{used}; {fitted.unit} may differ between periods."


def _forbidden(fitted: Fitted) -> Diagnostic:
    question = f"Are treated {fitted.unit} compared only with untreated ones?"
    reference = "Goodman-Bacon 2021, doi:10.1016/j.jeconom.2021.03.014"
    if not fitted.staggered:
        return Diagnostic(
            name="forbidden-comparisons", question=question, verdict="pass", reference=reference,
            text=f"There is a single start, so treated {fitted.unit} are compared only with those that never start.",
        )  # fmt: skip
    by_cell = treated_cell_weights(two_way(fitted.panel)).weight.tolist()
    negative = [w for w in by_cell if w < -1e-12]
    text = (
        "Starts are staggered, so two-way fixed effects also compare later starters with earlier ones that are already "
        f"treated. {_weighed(len(negative), len(by_cell), float(-sum(negative)))} Use estimator = 'callaway-santanna'."
    )
    return Diagnostic(
        name="forbidden-comparisons", question=question, statistic="sum of negative weights",
        value=float(sum(negative)), threshold=0.0, verdict="caution", text=text, reference=reference,
    )  # fmt: skip


def _weighed(negative: int, n: int, total: float) -> str:
    if not negative:
        return f"None of {n} cohort-period effects enters with a negative weight here, but weights are uneven."
    return f"{negative} of {n} cohort-period effects enter with a negative weight ({number(total, 2)} in all)."


def _moving_covariates(fitted: Fitted) -> list[Diagnostic]:
    X = fitted.panel.covariates
    moving = [name for j, name in enumerate(fitted.data.covariate_names) if not (X[:, :, j] == X[:, :1, j]).all()]
    if not moving:
        return []
    return [
        Diagnostic(
            name="moving-covariates", question="Could the program change what is adjusted for?", verdict="caution",
            text=f"These covariates change over time: {', '.join(moving)}. If the program changes them, adjusting for "
            "them takes part of its effect away.",
        )
    ]  # fmt: skip


def sensitivity(fitted: Fitted, trends: Trends) -> tuple[Diagnostic, ...]:
    """Return what could overturn the finding: departures from parallel trends, one cohort or site, other analyses."""
    alone = () if fitted.data.rows is None else leave_one_out(fitted)
    return (*_others(fitted), *departure_check(fitted, trends.departures), *alone)


def _others(fitted: Fitted) -> tuple[Diagnostic, ...]:
    if not fitted.variants:
        return ()
    known = [v.found for v in fitted.variants if v.found is not None]
    lost = [v.label for v in fitted.variants if v.found is None]
    m = fitted.headline
    same = [v for v in known if (v.estimate > 0) == (m.estimate > 0)]
    agree = len(same) == len(known)
    text = f"Other analyses with an effect of the same sign as the headline: {len(same)} of {len(known)}."
    if lost:
        text += f" Could not be estimated: {', '.join(lost)}."
    return (
        Diagnostic(
            name="other-analyses", question="Do other reasonable analyses agree?",
            statistic="analyses of the same sign", value=float(len(same)), threshold=float(len(known)),
            verdict="not-applicable" if not known else "pass" if agree else "caution", text=text,
        ),
    )  # fmt: skip
