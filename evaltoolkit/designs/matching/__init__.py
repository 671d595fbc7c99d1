"""Propensity-score matching: compare served people with similar people who were not served."""

from evaltoolkit.designs.matching.design import PROPENSITY_SCORE_MATCHING, PropensityScoreMatching

__all__ = ["PROPENSITY_SCORE_MATCHING", "PropensityScoreMatching"]
