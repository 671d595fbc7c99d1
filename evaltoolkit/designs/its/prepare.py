"""From a study to its sample: one series, one beside its controls, or many sites."""

from __future__ import annotations

from typing import Any

from evaltoolkit.data import Source
from evaltoolkit.designs.its.controls import prepare_controlled
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.sample import prepare_alone
from evaltoolkit.designs.its.sites import prepare_sites
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.study import Study


def prepare(study: Study, options: Options, source: Source) -> AnalysisSample[Any]:
    """Read and check the data of a study."""
    if options.many_sites:
        return prepare_sites(study, options, source)
    if options.control is not None:
        return prepare_controlled(study, options, source)
    return prepare_alone(study, options, source)
