"""Reference directions of decomposition and niching: points spread evenly over the unit simplex."""

import numpy as np

ONE_LAYER = 3
"""Objectives up to which one lattice is enough: with more, a small lattice has points on the boundary only."""


def reference_directions(objectives: int, most: int) -> np.ndarray:
    """Reference directions (n, objectives), n <= `most`, rows sum to 1.

    The largest lattice that has at most `most` points (I. Das and J. E. Dennis, SIAM J. Optim. 8(3):631-657, 1998):
    exactly `most` for two objectives, 91 of 100 for three. For more objectives a second lattice of half the size
    around the centre is added, again the largest that fits (K. Deb and H. Jain, IEEE Trans. Evol. Comput. 18(4),
    2014): 94 of 100 for four, 85 for five.

    Parameters
    ----------
    objectives
        m >= 2.
    most
        At least m.

    Examples
    --------
    >>> reference_directions(2, 3)
    array([[0. , 1. ],
           [0.5, 0.5],
           [1. , 0. ]])
    """
    from pymoo.util.ref_dirs import get_reference_directions
    from pymoo.util.reference_direction import get_partition_closest_to_points

    outer = get_partition_closest_to_points(most, objectives)
    directions = get_reference_directions("das-dennis", objectives, n_partitions=outer)
    inner = get_partition_closest_to_points(most - len(directions), objectives)
    if objectives > ONE_LAYER and inner > 0:
        centre = get_reference_directions("das-dennis", objectives, n_partitions=inner, scaling=0.5)
        directions = np.concatenate([directions, centre])
    return np.asarray(directions, dtype=np.float64)
