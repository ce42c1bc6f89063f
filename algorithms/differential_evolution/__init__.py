"""Differential evolution: one kernel with exchangeable parts."""
