"""Keeping libraries that draw from global random state to themselves."""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run a library as if it were alone in the process, from a seed of our own.

    BoTorch and GPyTorch draw Sobol scramblings, starting points and base samples from the global generators of torch,
    numpy and `random`. Inside, these start from the seed; afterwards they are what they were. Gradients are on inside,
    whatever the caller has switched off, since models are fitted by them; exact (Cholesky) linear algebra is used at
    any size, since the approximations draw random numbers of their own; and advice to people who fit models by hand
    is not printed.

    Parameters
    ----------
    seed
        From 0 to 2^31 - 1.
    """
    import gpytorch

    # Not torch.manual_seed: that would also seed the generators of all accelerators, which nothing here uses.
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        with warnings.catch_warnings(), torch.enable_grad(), gpytorch.settings.max_cholesky_size(2**31):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
