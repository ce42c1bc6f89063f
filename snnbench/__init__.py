"""Benchmarks for gradient-free optimization of spiking neural networks."""

__version__ = "0.1.0"
