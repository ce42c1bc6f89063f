"""Empirical attainment: what so many of the runs of an algorithm reach, in several objectives."""

import numpy as np
import pandas as pd

from snnbench.stats.fronts import fronts
from snnbench.stats.runtimes import reference_scale


def attainment_surfaces(runs: pd.DataFrame, k: tuple[int, ...] = (), split: str = "test") -> dict[int, np.ndarray]:
    """The k-of-n attainment surfaces of one algorithm on one task.

    After Fonseca, Guerreiro, Lopez-Ibanez and Paquete (EMO 2011): the surface for k is the boundary of what at least
    k of the n runs attain, that is, weakly dominate.

    Parameters
    ----------
    runs
        Rows of `load_results`, one algorithm on one task with two or three objectives, complete or failed.
    k
        Which surfaces, from 1 (the best run everywhere) to n (the worst); by default 1, the median ceil(n / 2), and n.
    split
        Of whose values: ``search``, ``validation`` or ``test``.

    Returns
    -------
    dict of int to numpy.ndarray
        (points, m) corners of each surface in the units of the objectives, sorted by the first; (0, m) if fewer than k
        runs have a set.

    Raises
    ------
    ValueError
        If k is not between 1 and n, or there are more than three objectives.
    """
    import moocore

    n = len(runs)
    k = k or tuple(sorted({1, (n + 1) // 2, n}))
    if not all(1 <= level <= n for level in k):
        raise ValueError(f"{n} runs have attainment surfaces 1 to {n}, not {k}")
    sets = fronts(runs, split)
    low, high = reference_scale(runs)
    if len(low) > 3:
        raise ValueError(f"attainment surfaces are known for 2 and 3 objectives, not {len(low)}")
    filled = [s for s in sets if len(s)]  # a run without a set attains nothing, but is one of n
    surfaces = {level: np.empty((0, len(low))) for level in k}
    if not filled:
        return surfaces
    owner = np.repeat(np.arange(len(filled)), [len(s) for s in filled])
    corners = moocore.eaf(np.concatenate(filled), owner)
    counts = np.rint(corners[:, -1] / 100.0 * len(filled)).astype(int)
    for level in k:
        found = corners[counts == level, :-1]
        surfaces[level] = low + found[np.lexsort(found.T[::-1])] * (high - low)
    return surfaces
