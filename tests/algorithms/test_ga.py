"""The genetic algorithm: DEAP's operators, elitism, and what is kept away from DEAP's habits."""

import random
import statistics

import numpy as np
import pytest
import torch

from snnbench.algorithms.ga import borrowed_random
from snnbench.errors import UsageError


def begun(toys, task, seed=0, **overrides):
    algorithm = toys["make"]("ga", task, seed, **overrides)
    x = algorithm.ask()
    algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
    return algorithm


def test_borrowed_random_continues_its_own_stream_and_puts_the_other_back():
    random.seed(5)
    expected = [random.Random(7).random()]
    own = random.Random(7)
    with borrowed_random(own):
        drawn = [random.random()]
    assert drawn == expected
    with pytest.raises(IndexError), borrowed_random(own):
        drawn.append([][random.randrange(3)])
    stream = random.Random(7)
    assert drawn == [stream.random()]
    stream.randrange(3)
    assert own.random() == stream.random()
    assert random.random() == random.Random(5).random()


def test_a_generation_is_deaps(toys):
    """The children are what DEAP's operators, called by hand with the same stream, make of the same members."""
    from deap import base, tools

    task = toys["task"](dimension=6, offered=12)
    algorithm = begun(toys, task, seed=3)
    before = algorithm.population.clone()

    class Minimum(base.Fitness):
        weights = (-1.0,)

    class Member(list):
        pass

    members = []
    for row, value in zip(before.tolist(), toys["sphere"](before).tolist(), strict=True):
        member = Member(row)
        member.fitness = Minimum((value,))
        members.append(member)
    saved = random.getstate()
    random.setstate(random.Random(3).getstate())
    expected = []
    while len(expected) < 11:
        pair = [Member(parent) for parent in tools.selTournament(members, 2, 2)]
        if random.random() < 0.9:
            tools.cxSimulatedBinaryBounded(*pair, 20.0, -5.0, 5.0)
        for child in pair:
            tools.mutPolynomialBounded(child, 20.0, -5.0, 5.0, 1 / 6)
        expected += pair
    random.setstate(saved)
    children = algorithm.ask()
    assert children.numpy() == pytest.approx(np.array(expected[:11]), abs=1e-6)
    assert torch.equal(algorithm.population, before)  # the operators wrote into copies


@pytest.mark.parametrize("elite", [0, 1, 3])
def test_elite_stays_and_is_not_evaluated_again(toys, elite):
    algorithm = begun(toys, toys["task"](offered=10), elite=elite)
    for _ in range(6):
        best = algorithm.population[algorithm.fitness.argsort()[:elite]].clone()
        x = algorithm.ask()
        assert len(x) == 10 - elite
        algorithm.tell(x, toys["evaluations"](toys["sphere"](x) + 1000))
        assert torch.equal(algorithm.population, torch.cat([best, x]))
        assert algorithm.fitness[:elite].tolist() == pytest.approx(toys["sphere"](best).tolist())


def test_failed_members_lose_every_tournament(toys):
    algorithm = toys["make"]("ga", toys["task"](offered=12), crossover=0.0, mutation=0.0, tournament=12)
    x = algorithm.ask()
    fitness = np.full(12, np.inf)
    fitness[4] = 1.0
    algorithm.tell(x, toys["evaluations"](fitness))
    children = algorithm.ask()
    winners = (children[:, None] == x[None]).all(dim=2).float().argmax(dim=1)
    assert statistics.mode(winners.tolist()) == 4


def test_no_room_for_children(toys):
    with pytest.raises(UsageError, match="elite=6 leaves no room"):
        toys["make"]("ga", toys["task"](), population=6, elite=6)


@pytest.mark.slow
def test_as_good_as_deaps_own_loop(toys):
    """Final fitness on three functions: no significant difference from DEAP's eaSimple with the same operators."""
    from deap import algorithms, base, tools
    from scipy import stats

    functions = {
        "sphere": toys["sphere"],
        "ellipsoid": lambda x: (torch.logspace(0, 6, 10, dtype=torch.float64) * x.double() ** 2).sum(dim=1),
        "rastrigin": lambda x: (x.double() ** 2 - 10 * torch.cos(2 * torch.pi * x.double()) + 10).sum(dim=1),
    }

    class Minimum(base.Fitness):
        weights = (-1.0,)

    class Member(list):
        def __init__(self, genes):
            super().__init__(genes)
            self.fitness = Minimum()

    def theirs(function, start, seed):
        box = base.Toolbox()
        best = [np.inf]

        def evaluate(member):
            value = float(function(torch.tensor([list(member)]))[0])
            best[0] = min(best[0], value)
            return (value,)

        box.register("evaluate", evaluate)
        box.register("mate", tools.cxSimulatedBinaryBounded, eta=20.0, low=-5.0, up=5.0)
        box.register("mutate", tools.mutPolynomialBounded, eta=20.0, low=-5.0, up=5.0, indpb=0.1)
        box.register("select", tools.selTournament, tournsize=2)
        with borrowed_random(random.Random(seed)):
            algorithms.eaSimple([Member(row) for row in start.tolist()], box, 0.9, 1.0, 49, verbose=False)
        return best[0]

    pvalues = []
    for function in functions.values():
        results = []
        for seed in range(15):
            task = toys["task"](budget=2000, offered=None)
            start = task.space.sample(40, torch.Generator().manual_seed(seed))
            task = type(task)(task.space, ("f",), 2000, lambda n, start=start: start[:n])
            ours = toys["drive"](toys["make"]("ga", task, seed, elite=0, population=40), function)[1].min()
            results.append((float(ours), theirs(function, start, seed)))
        pvalues.append(stats.mannwhitneyu(*zip(*results, strict=True)).pvalue)
    assert min(pvalues) > 0.05 / len(pvalues)
