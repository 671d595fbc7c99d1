"""A small draft for tests of sealing, serialising and rating."""

from __future__ import annotations

import dataclasses
from typing import Any

from evaltoolkit.results import Draft, Estimand, Estimate, Statements, Tile

STATEMENTS = Statements(
    bottom_line="The program raised the level of screening.",
    tile=Tile(kicker="Screening", number="+2.0", meaning="more screens a month", interval="95% CI 1.0 to 3.0"),
    supports=("Keeping the program.",),
    does_not_show=("Activity is not outcome.",),
    design_name="A design",
    plain="We compared places.",
    how_we_know="Places moved together before.",
    approach=("We compare.",),
    findings=("It rose.",),
    assumptions=(),
    methods=(),
    limits=(),
    references=(),
    comparison="comparison-over-time",
)

HEADLINE = Estimate(
    term="ATT", kind="overall", estimand="ATT", outcome="screens", estimate=2.0, std_error=0.5, conf_low=1.0,
    conf_high=3.0, p_value=0.001, n_obs=200, n_units=100,
)  # fmt: skip


def draft(**changes: Any) -> Draft:
    made = Draft(
        study={"title": "T", "design": "d"},
        design="d",
        estimand=Estimand(symbol="ATT", words="the average effect on the treated"),
        headline=HEADLINE,
        statements=STATEMENTS,
        estimates=(HEADLINE,),
    )
    return dataclasses.replace(made, **changes)
