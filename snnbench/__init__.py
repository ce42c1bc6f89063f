"""Benchmarks for gradient-free optimization of spiking neural networks."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnbench.stats.results import load_results

__all__ = ["__version__", "load_results"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Only who asks for results waits for pandas.
    if name == "load_results":
        from snnbench.stats.results import load_results

        return load_results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
