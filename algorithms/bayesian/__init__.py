"""Models and acquisition shared by the Bayesian optimizers."""

from snnbench.algorithms.bayesian.acquisition import AcquisitionOptimizer, ModelParameters
from snnbench.algorithms.bayesian.search import BayesianOptimizer
from snnbench.algorithms.bayesian.trust_region import TrustRegionOptimizer, TrustRegionParameters

__all__ = [
    "AcquisitionOptimizer",
    "BayesianOptimizer",
    "ModelParameters",
    "TrustRegionOptimizer",
    "TrustRegionParameters",
]
