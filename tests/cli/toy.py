"""A difference of two means as a fourth design, so that the command line is tested apart from the real ones."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from evaltoolkit.contract import sealed
from evaltoolkit.data import Source, binary_column, identifier_values, numeric_column
from evaltoolkit.errors import NoComparisonError, NoVariationError
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.registry import Entry
from evaltoolkit.results import FlowStep, Result
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated
from tests.drafts import draft


class ToyOptions(Section):
    treated: str = Field(description="Column that is 1 for the program group", json_schema_extra={"column": "treated"})
    covariates: tuple[str, ...] = Field((), description="Covariates", json_schema_extra={"column": "covariates"})


class Toy:
    kind: ClassVar[str] = "toy"
    options: ClassVar[type[Any]] = ToyOptions

    def parse(self, study: Study) -> ToyOptions:
        return validated(ToyOptions, study.settings, study.origin, known=SHARED_KEYS)

    def prepare(self, study: Study, options: ToyOptions, source: Source) -> AnalysisSample[Any]:
        rows = source.rows(study)
        frame = rows.frame
        y = numeric_column(frame, study.outcome.column, role="outcome", where=study.place("outcome", "column"))
        d = binary_column(frame, options.treated, role="treated", where=study.place("treated"))
        for column in options.covariates:
            numeric_column(frame, column, role="covariates", where=study.place("covariates"))
        if d.all():
            raise NoComparisonError("nobody is untreated", expected="two groups", todo="add a comparison group")
        if np.ptp(y) == 0:
            raise NoVariationError(
                f"'{study.outcome.column}' never varies", expected="variation", todo="choose another"
            )
        flow = (FlowStep(label="Rows read", n=rows.n_read, unit="rows"),)
        return AnalysisSample((y, d), flow, identifier_values(frame, study.disclosure.identifiers))

    def estimate(self, study: Study, options: ToyOptions, sample: AnalysisSample[Any]) -> Result:
        y, d = sample.content
        made = draft()
        headline = dataclasses.replace(made.headline, estimate=float(y[d == 1].mean() - y[d == 0].mean()))
        return sealed(dataclasses.replace(made, headline=headline), study, sample)


TOY = Toy()
ENTRY = Entry("toy", "toy", "A difference of two means.", "tests.cli.toy:TOY")
