"""Readings against an independent computation in numpy."""

import numpy as np
import pytest
import torch

from snnbench.snn.readings import Readings, read


def by_hand(logits, labels, silent, confidence):
    steps, samples, _ = logits.shape
    correct, loss, exits, exit_correct = np.zeros(steps), 0.0, 0.0, 0.0
    for n in range(samples):
        right, left = [], None
        for t in range(steps):
            answer = logits[: t + 1, n].mean(axis=0)
            p = np.exp(answer - answer.max())
            p /= p.sum()
            best = np.flatnonzero(answer == answer.max())
            right.append(best.tolist() == [labels[n]] and not silent[n])
            if left is None and p.max() >= confidence and not silent[n]:
                left = t
        left = steps - 1 if left is None else left
        correct += right
        exits += left + 1
        exit_correct += right[left]
        loss -= np.log(p[labels[n]])
    return correct, loss, exits, exit_correct


@pytest.mark.parametrize("confidence", [0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("steps", [1, 4])
def test_agrees_with_a_computation_sample_by_sample(confidence, steps):
    rng = np.random.default_rng(0)
    # Halves make ties frequent, and their sums exact; T is a power of two, so means are exact as well.
    logits = rng.integers(-4, 5, (steps, 300, 5)) / 2
    labels, silent = rng.integers(0, 5, 300), rng.random(300) < 0.1
    got = read(torch.tensor(logits), torch.tensor(labels), torch.tensor(silent), confidence)
    correct, loss, exits, exit_correct = by_hand(logits, labels, silent, confidence)
    assert got.samples == 300
    assert got.correct.tolist() == correct.tolist()
    assert got.loss == pytest.approx(loss, rel=1e-12)
    assert got.exit_steps == exits
    assert got.exit_correct == exit_correct
    assert got.silent == silent.sum()


def test_a_tie_is_wrong_and_silence_is_wrong_and_late():
    logits = torch.zeros(4, 3, 2)
    logits[:, 1, 0] = 50.0
    logits[:, 2, 0] = 50.0
    got = read(logits, torch.tensor([0, 0, 0]), torch.tensor([False, False, True]), 0.9)
    assert got.correct.tolist() == [1, 1, 1, 1]
    assert got.exit_steps == 4 + 1 + 4
    assert got.exit_correct == 1
    assert got.silent == 1


def test_the_answer_is_the_mean_so_far():
    logits = torch.tensor([[[4.0, 0.0]], [[0.0, 2.0]], [[0.0, 9.0]]])
    assert read(logits, torch.tensor([0]), torch.tensor([False]), 1.0).correct.tolist() == [1, 1, 0]
    assert read(logits, torch.tensor([1]), torch.tensor([False]), 1.0).correct.tolist() == [0, 0, 1]


def test_samples_add_up():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 50, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (50,), generator=generator)
    silent = torch.rand(50, generator=generator) < 0.2
    whole = read(logits, labels, silent, 0.6)
    parts = [read(logits[:, part], labels[part], silent[part], 0.6) for part in (slice(0, 7), slice(7, 50))]
    total: Readings = parts[0].add(parts[1])
    assert total.samples == 50
    assert total.correct.tolist() == whole.correct.tolist()
    assert (total.exit_steps, total.exit_correct, total.silent) == (whole.exit_steps, whole.exit_correct, whole.silent)
    assert total.loss == pytest.approx(whole.loss, rel=1e-12)


def test_logits_that_are_not_finite_are_wrong():
    logits = torch.zeros(2, 2, 3)
    logits[:, 0] = float("nan")
    logits[:, 1, 1] = 5.0
    got = read(logits, torch.tensor([0, 1]), torch.tensor([False, False]), 0.5)
    assert got.correct.tolist() == [1, 1]
    assert not np.isfinite(got.loss)
