"""What the evaluator declares: models of a design file, and reading one."""

from evaltoolkit.study.language import language_findings, study_language
from evaltoolkit.study.load import load, study_from, validated
from evaltoolkit.study.models import (
    CMS_THRESHOLD,
    DETECTION_ROLES,
    SHARED_KEYS,
    Context,
    Data,
    Detection,
    DisclosureRules,
    Filter,
    Inference,
    MomentRules,
    Outcome,
    Release,
    ReportOptions,
    Section,
    Study,
)
from evaltoolkit.study.origin import Origin
from evaltoolkit.study.paths import project_root

__all__ = [
    "CMS_THRESHOLD",
    "DETECTION_ROLES",
    "SHARED_KEYS",
    "Context",
    "Data",
    "Detection",
    "DisclosureRules",
    "Filter",
    "Inference",
    "MomentRules",
    "Origin",
    "Outcome",
    "Release",
    "ReportOptions",
    "Section",
    "Study",
    "language_findings",
    "load",
    "project_root",
    "study_from",
    "study_language",
    "validated",
]
