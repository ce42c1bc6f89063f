"""A run: its plan, its loop, its record on disk."""
