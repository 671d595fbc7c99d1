"""Complete results made by hand and sealed, one like each design."""

from __future__ import annotations

import dataclasses
from typing import Any

from evaltoolkit.results import (
    Assumption,
    Column,
    Diagnostic,
    Draft,
    Equation,
    Estimand,
    Estimate,
    EvidenceRating,
    FigureData,
    FlowStep,
    Method,
    Provenance,
    Reference,
    Result,
    SmallCells,
    Statements,
    TableData,
    Term,
    Tile,
    role_words,
    seal,
)
from tests.plots import figures

STUDY: dict[str, Any] = {
    "version": 1,
    "design": "made",
    "title": "Professional training and recognition of exploited minors",
    "question": "Did training county staff raise the number of exploited minors who are recognized?",
    "program": "Statewide training of child-welfare and juvenile-justice staff",
    "inference": {"level": 0.95, "seed": 20260101},
    "context": {
        "setting": "58 counties of one state, 2016 to 2022",
        "participants": "Minors aged 10 to 17 in the screening registry",
        "delivery": "A two-day course with a screening tool, and six months of coaching",
        "attrition": None,
        "co_occurring_events": "A statewide hotline opened in 2018",
        "limits": "Two counties reported one quarter late.",
        "synthetic": True,
    },
    "report": {
        "date": "2026-11-23",
        "prepared_for": "State Task Force on Exploited Youth",
        "paper": "us-letter",
        "language": "en",
    },
    "secondary": [{"column": "referred", "label": "Minors referred to services", "per": 10000.0}],
}

OUTCOME = "Minors recognized as exploited"


def estimate(value: float, half: float, **changes: Any) -> Estimate:
    fields: dict[str, Any] = {
        "term": "group",
        "kind": "overall",
        "estimand": "ATT",
        "outcome": OUTCOME,
        "outcome_role": "identification",
        "estimate": value,
        "std_error": half / 1.96,
        "conf_low": value - half,
        "conf_high": value + half,
        "p_value": 0.0004,
        "n_obs": 1624,
        "n_units": 58,
        "n_clusters": 58,
        "estimator": "group-time averages",
    }
    return Estimate(**(fields | changes))


STATEMENTS = Statements(
    bottom_line="Statewide training raised the recorded level of minors recognized as exploited by "
    "about 31 percent. "
    "The change holds up against the checks that were made.",
    tile=Tile(
        kicker=OUTCOME,
        number="+0.95",
        meaning="more minors recognized per 10,000 youth, each quarter",
        interval="95% CI 0.78 to 1.13 · from a base of 3.1",
    ),
    supports=(
        "Extending training to the other 22 counties.",
        "Planning services for the young people who are recognized.",
    ),
    does_not_show=(
        role_words("identification").caveat,
        "Results may not carry over to states without county task forces.",
    ),
    design_name="Staggered difference-in-differences",
    plain="We compared counties that trained their staff with counties that had not yet done so. "
    "Before training both moved "
    "alike. Afterwards the trained counties recognized more young people.",
    how_we_know="Trained and untrained counties moved in parallel for two years before training. That "
    "is what makes the comparison believable.",
    approach=(
        "Counties adopted training at different times. We compare each adopting cohort with "
        "counties that have not adopted "
        "yet, and average the cohort-by-quarter effects.",
        "This avoids the bias of two-way fixed effects when effects grow over time.",
    ),
    findings=(
        "Recognition rose by 0.95 minors per 10,000 each quarter relative to comparison "
        "counties (95% interval 0.78 to 1.13).",
        "The effect grows for two years and then holds.",
        "Secondary outcome. It is not yet clear whether training raised referrals.",
    ),
    assumptions=(
        Assumption(
            name="Parallel trends",
            text="Without training, trained counties would have moved like the others.",
            checked="Effects before training were near zero in every quarter.",
        ),
        Assumption(
            name="No anticipation",
            text="Nothing changed before training began.",
            checked="One quarter of lead was inspected.",
        ),
    ),
    methods=(
        Method(
            title="Group-time average effects",
            text="For each cohort g and quarter t, the change since the last quarter before training is "
            "compared with the change among counties that were not yet trained.",
            equation=Equation(
                terms=(
                    Term(text="ATT", upright=True),
                    Term(text="("),
                    Term(text="g"),
                    Term(text=","),
                    Term(text="t"),
                    Term(text=")"),
                    Term(text="="),
                    Term(text="E", upright=True),
                    Term(text="["),
                    Term(text="Y", sub="t"),
                    Term(text="−"),
                    Term(text="Y", sub="g−1"),
                    Term(text="|"),
                    Term(text="G", sub="g"),
                    Term(text="="),
                    Term(text="1"),
                    Term(text="]"),
                    Term(text="−"),
                    Term(text="E", upright=True),
                    Term(text="["),
                    Term(text="Y", sub="t"),
                    Term(text="−"),
                    Term(text="Y", sub="g−1"),
                    Term(text="|"),
                    Term(text="D", sub="t"),
                    Term(text="="),
                    Term(text="0"),
                    Term(text="]"),
                ),
                alt="ATT of g and t equals the expected change from g minus 1 to t in cohort g, minus the "
                "same among units not yet treated.",
            ),
        ),
        Method(
            title="Weighted average",
            text="Cohort effects are averaged with weights in proportion to cohort size.",
            equation=Equation(
                terms=(
                    Term(text="θ", accent="hat"),
                    Term(text="="),
                    Term(text="∑", sub="g", sup="G"),
                    Term(text="w", sub="g"),
                    Term(text="τ", sub="g", accent="hat", sup="2"),
                ),
                alt="Theta hat is the sum over cohorts of weight times effect.",
            ),
        ),
    ),
    limits=("The registry records recognition, which depends on staff.", "Counties chose when to train."),
    references=(
        Reference(
            text="Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple "
            "time periods. Journal of Econometrics, 225(2), 200–230.",
            doi="10.1016/j.jeconom.2020.12.001",
        ),
    ),
    study_period="2016 Q1 to 2022 Q4",
    comparison="comparison-over-time",
)

CHECKS = (
    Diagnostic(
        name="pretrend",
        question="Did both groups move alike before training?",
        verdict="pass",
        text="All eight effects before training are near zero.",
        statistic="Wald chi-squared",
        value=5.2,
        df=7,
        reference="Roth (2022), doi 10.1257/aeri.20210236",
        p_value=0.64,
    ),
    Diagnostic(
        name="clusters",
        question="Are there enough counties?",
        verdict="pass",
        text="58 counties, the smallest cohort has 10.",
    ),
    Diagnostic(
        name="anticipation",
        question="Did anything change before training began?",
        verdict="caution",
        text="One quarter shows a small rise.",
    ),
    Diagnostic(
        name="overlap", question="Are covariates alike?", verdict="not-applicable", text="No covariates were used."
    ),
    Diagnostic(
        name="late",
        question="Were all quarters reported in time?",
        verdict="fail",
        text="Two counties reported one quarter late.",
    ),
)

COHORTS = TableData(
    key="cohorts",
    title="Effect by adoption cohort",
    subtitle="Minors recognized per 10,000 youth, per quarter",
    columns=(
        Column(key="cohort", label="Cohort", kind="text"),
        Column(key="counties", label="Counties", kind="count"),
        Column(key="minors", label="Minors recognized", kind="people"),
        Column(key="effect", label="Effect", signed=True, digits=2),
        Column(key="interval", label="95% interval", kind="text"),
    ),
    rows=(
        ("2018 Q2", 10, 240, 1.19, "0.93 to 1.46"),
        ("2019 Q2", 14, 7, 0.78, "0.48 to 1.07"),
        ("2020 Q2", 12, 310, 0.89, "0.48 to 1.29"),
        ("All cohorts", 36, 557, 0.95, "0.78 to 1.13"),
    ),
    main_rows=(3,),
    total_rows=(3,),
)

FLOW = (
    FlowStep(label="Rows in the registry", n=1650, unit="county quarters"),
    FlowStep(
        label="In the study period", n=1630, unit="county quarters", excluded=20, reason="before 2016 or after 2022"
    ),
    FlowStep(
        label="Complete",
        n=1624,
        unit="county quarters",
        excluded=6,
        reason="reported late",
        treated=1008,
        comparison=616,
    ),
)


def keyed(figure: FigureData, key: str, section: Any = "results", headline: str = "") -> FigureData:
    return dataclasses.replace(figure, key=key, section=section, headline=headline or figure.headline)


def draft(**changes: Any) -> Draft:
    headline = estimate(0.95, 0.18)
    made = Draft(
        study=STUDY,
        design="made",
        estimand=Estimand(
            symbol="ATT", words="the average effect on trained counties, over all quarters after training"
        ),
        headline=headline,
        statements=STATEMENTS,
        estimates=(
            headline,
            estimate(30.6, 5.8, kind="percent"),
            estimate(
                0.2,
                0.5,
                standing="secondary",
                outcome="Minors referred to services",
                outcome_role="service-access",
                p_value=0.43,
            ),
            estimate(
                6.4,
                16.0,
                kind="percent",
                standing="secondary",
                outcome="Minors referred to services",
                outcome_role="service-access",
                p_value=0.43,
            ),
            estimate(
                0.9, 0.2, standing="sensitivity", term="never-treated comparison", estimator="never-treated comparison"
            ),
            estimate(0.88, 0.22, standing="sensitivity", term="imputation", estimator="two-stage imputation"),
            estimate(0.3, 0.34, standing="sensitivity", term="two-way fixed effects", estimator="least squares"),
        ),
        diagnostics=CHECKS,
        sensitivity=(
            Diagnostic(
                name="bounds",
                question="How far may trends differ before the conclusion changes?",
                verdict="pass",
                text="The interval excludes zero until the differences are 1.4 times the largest before training.",
                value=1.4,
                statistic="breakdown value",
            ),
        ),
        figures=(
            keyed(figures.trajectories(), "paths"),
            keyed(figures.effect_path(), "event", headline="The effect grows for two years and then holds"),
            keyed(figures.forest(6), "group"),
        ),
        tables=(COHORTS,),
        flow=FLOW,
    )
    return dataclasses.replace(made, **changes)


EVIDENCE = EvidenceRating(
    level="moderate",
    dots=3,
    reasons=(
        "A comparison group followed over time supports at most high confidence.",
        "One check calls for caution.",
        "2 of 3 other analyses agree in direction.",
    ),
)
PROVENANCE = Provenance(
    data_name="training_counties.csv",
    data_sha256="ab" * 32,
    design_name="training.toml",
    design_sha256="cd" * 32,
    seed=20260101,
    versions={"evaltoolkit": "0.1.0", "numpy": "2.4.6", "typst": "0.15.2"},
)


def sealed(made: Draft | None = None, **changes: Any) -> Result:
    result = seal(made or draft(), SmallCells(), rows_are_people=False)
    return dataclasses.replace(result, **({"evidence": EVIDENCE, "provenance": PROVENANCE} | changes))


def staggered() -> Result:
    return sealed()


def matched() -> Result:
    return sealed(
        draft(
            study=STUDY | {"title": "Victim services and stable housing", "secondary": [], "context": {}},
            estimates=(estimate(7.0, 10.0, term="ATT", outcome="Stable housing at 12 months"),),
            headline=estimate(7.0, 10.0, term="ATT", outcome="Stable housing at 12 months"),
            figures=(
                keyed(figures.love(), "love", "checks"),
                keyed(figures.overlap(), "overlap", "checks"),
                keyed(figures.forest(3), "effects"),
            ),
            statements=dataclasses.replace(
                STATEMENTS,
                design_name="Propensity-score matching",
                bottom_line="It is not yet clear whether services raised stable housing.",
                tile=Tile(
                    kicker="Stable housing",
                    number="+7 pts",
                    meaning="more served youth stably housed after 12 months",
                    interval="95% CI −3 to 17",
                ),
            ),
        )
    )


def interrupted() -> Result:
    return sealed(
        draft(
            study=STUDY
            | {"title": "A safe-harbor law and contacts with young people", "secondary": [], "report": {"paper": "a4"}},
            estimates=(estimate(-7.1, 1.9, term="average", kind="average", outcome="Contacts per month"),),
            headline=estimate(-7.1, 1.9, term="average", kind="average", outcome="Contacts per month"),
            figures=(keyed(figures.series(), "series"),),
        ),
        evidence=None,
    )


MADE = {"staggered": staggered, "matched": matched, "interrupted": interrupted}
