"""Independent random streams of one run, all from its one seed."""

import zlib

import numpy as np

STREAMS = ("initial", "algorithm", "evaluation", "data")


def stream(seed: int, name: str) -> int:
    """The seed of a named stream: an integer of 63 bits.

    The stream's position in the tree of `numpy.random.SeedSequence` comes from its name, so a stream that is added
    later leaves the others as they were.

    Examples
    --------
    >>> stream(0, "algorithm") == stream(0, "algorithm"), stream(0, "algorithm") == stream(0, "data")
    (True, False)
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def streams(seed: int) -> dict[str, int]:
    """Every stream of a run by name."""
    return {name: stream(seed, name) for name in STREAMS}
