"""scipy's differential evolution."""

from importlib.metadata import version

from harness import HALF, Function, Reference, initial


def scipy_de(function: Function, dimension: int, budget: int, seed: int, population: int) -> None:
    """DE/rand/1/bin with F = 0.5 and CR = 0.9, a generation at a time."""
    from scipy import optimize

    optimize.differential_evolution(
        lambda x: function(x.T),
        [(-HALF, HALF)] * dimension,
        strategy="rand1bin",
        mutation=0.5,
        recombination=0.9,
        init=initial(dimension, population, seed),
        maxiter=budget // population,
        tol=0,
        polish=False,
        updating="deferred",
        vectorized=True,
        rng=seed,
    )


REFERENCES = {
    "de-scipy": Reference(
        "de",
        f"scipy {version('scipy')}, differential_evolution",
        scipy_de,
        overrides={"f": 0.5, "cr": 0.9},
        remark="scipy draws coordinates that leave the box anew, uniformly; ours moves them to its surface.",
    )
}
