"""Conformance checks that authors run on their own algorithm, under pytest or by ``snnbench test``."""

from snnbench.testing.checks import CHECKS, Check, Result, outcome, results
from snnbench.testing.conformance import AlgorithmConformance, judge
from snnbench.testing.subject import Subject

__all__ = ["CHECKS", "AlgorithmConformance", "Check", "Result", "Subject", "judge", "outcome", "results"]
