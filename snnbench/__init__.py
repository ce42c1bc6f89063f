"""Benchmarks for gradient-free optimization of spiking neural networks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnbench.stats.results import load_results

__all__ = ["__version__", "load_results"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Only who asks for results waits for pandas; and every room imports this package, which itself needs none of them.
    if name == "load_results":
        return importlib.import_module("snnbench.stats.results").load_results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
