"""Candidates through a problem, in chunks of a size that keeps the run responsive and fits into memory."""

import gc
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from snnbench.errors import SnnbenchError, said
from snnbench.evaluations import Evaluations
from snnbench.experiment.columns import join, normalise
from snnbench.experiment.overrides import EvaluationParameters
from snnbench.problem import Problem, Split


class Evaluator:
    """Evaluates candidates chunk by chunk.

    The first chunk is one candidate; then chunks grow (twofold at most) or shrink so that one takes about
    `chunk_seconds`. A chunk that does not fit into GPU memory is halved, and stays so.

    Parameters
    ----------
    problem
        Prepared.
    parameters
        Chunk size or time.
    message
        Receives one line when chunks have to become smaller.
    """

    def __init__(self, problem: Problem, parameters: EvaluationParameters, message: Callable[[str], None]) -> None:
        self.problem = problem
        self.parameters = parameters
        self.message = message
        self._size: dict[str, int] = {}
        self._largest: int | None = None

    def chunks(
        self, x: torch.Tensor, split: Split = "search", bounds: np.ndarray | None = None
    ) -> Iterator[tuple[int, Evaluations, dict[str, np.ndarray], float]]:
        """Evaluate candidates (n, d) in order; with bounds (n,), some not to the end (`Problem.measure_bounded`).

        Yields
        ------
        int, Evaluations, dict, float
            Position of the chunk's first candidate, its evaluations, metrics that are times, and the seconds it took.
        """
        start = 0
        while start < len(x):
            limit = self._limit(split)
            size = min(limit, len(x) - start)
            began = time.perf_counter()
            rows = slice(start, start + size)
            evaluations = self._try(x[rows], split, None if bounds is None else bounds[rows])
            if evaluations is None:
                self._shrink(size)
                continue
            seconds = time.perf_counter() - began
            suits = round(self.parameters.chunk_seconds * size / max(seconds, 1e-9))
            # A chunk cut short by the end of the generation says nothing for larger ones than were allowed.
            self._size[split] = max(1, min(suits, 2 * limit if size == limit else limit))
            checked, times = normalise(evaluations, size, self.problem.name)
            yield start, checked, times, seconds
            start += size

    def all(self, x: torch.Tensor, split: Split, between: Callable[[int], None] = lambda done: None) -> Evaluations:
        """Evaluate candidates (n, d), calling ``between(done)`` after every chunk."""
        parts = []
        for start, evaluations, _, _ in self.chunks(x, split):
            parts.append(evaluations)
            between(start + len(evaluations))
        return join(parts)

    def _limit(self, split: Split) -> int:
        size = self.parameters.chunk or self._size.get(split, 1)
        return min(size, self._largest or size)

    def _try(self, x: torch.Tensor, split: Split, bounds: np.ndarray | None) -> Evaluations | None:
        """Evaluations, or ``None`` if they do not fit into GPU memory."""
        try:
            with torch.no_grad():
                return self.problem.evaluate(x, split, bounds)
        except torch.cuda.OutOfMemoryError:
            return None  # memory is freed outside of the handler, whose traceback holds on to tensors
        except SnnbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise SnnbenchError(f"problem {self.problem.name} failed while evaluating: {said(error)}") from error

    def _shrink(self, size: int) -> None:
        if size == 1:
            raise SnnbenchError(
                f"out of GPU memory with a single candidate of {self.problem.name}; "
                "free the device, use a larger one, a smaller problem.calibration, or --device cpu"
            )
        if self._largest is None:
            self.message(f"out of GPU memory with {size} candidates at once; going on with smaller chunks")
        self._largest = size // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
