"""Recorded runs in the formats of other tools: IOHprofiler, Optuna, and one tidy CSV file."""
