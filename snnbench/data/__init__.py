"""Data sets as tensors on a device, with their splits, checksums and provenance."""
