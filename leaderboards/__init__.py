"""Suites, and boards of results; nothing here is code that runs."""
