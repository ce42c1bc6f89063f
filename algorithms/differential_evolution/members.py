"""The members of a population and of its archive, in one tensor."""

from typing import Any

import numpy as np
import torch


class Members:
    """N members and an archive of up to A replaced ones, in the rows of one tensor (the pool).

    Which row holds which member is a list of numbers. So a parent that is replaced moves into the archive, and a
    worst member out of the population, without a single coordinate being copied.

    Parameters
    ----------
    population
        (N, d), the members; kept if there is no archive, otherwise copied.
    archive
        Largest number of archived members A.

    Attributes
    ----------
    pool : torch.Tensor
        (N + A, d). Rows that were never used take no memory on a CPU.
    rows, archived : list of int
        Rows of the members and of the archived ones.
    """

    def __init__(self, population: torch.Tensor, archive: int = 0) -> None:
        n = len(population)
        self.pool = population
        if archive:
            self.pool = population.new_empty(n + archive, population.shape[1])
            self.pool[:n].copy_(population)
        self.rows = list(range(n))
        self.archived: list[int] = []
        self.free = list(range(n, n + archive))
        self.limit = archive

    @property
    def population(self) -> torch.Tensor:
        """(N, d) The members: the very memory as long as they lie in order, otherwise a copy."""
        if self.rows == list(range(len(self.rows))):
            return self.pool[: len(self.rows)]
        return self.pool[self.rows]

    @property
    def numbered(self) -> np.ndarray:
        """(N + archived,) Row of each member and then of each archived one."""
        return np.array(self.rows + self.archived)

    def replace(self, member: int, x: torch.Tensor, archive: bool, rng: np.random.Generator) -> None:
        """Put ``x`` (d,) in the place of a member, which goes to the archive if ``archive`` and there is one.

        A full archive loses one of its own, chosen at random.
        """
        if archive and self.limit:
            old = self.rows[member]
            if len(self.archived) < self.limit:
                self.rows[member] = self.free.pop(0)
                self.archived.append(old)
            else:
                place = int(rng.integers(self.limit))
                self.rows[member], self.archived[place] = self.archived[place], old
        self.pool[self.rows[member]].copy_(x)

    def shrink(self, keep: list[int], limit: int, rng: np.random.Generator) -> None:
        """Keep these members, and of the archive ``limit``, chosen at random."""
        kept = [self.rows[member] for member in keep]
        self.free += sorted(set(self.rows) - set(kept))
        self.rows = kept
        self.limit = min(limit, self.limit)
        while len(self.archived) > self.limit:
            self.free.append(self.archived.pop(int(rng.integers(len(self.archived)))))
        self.free.sort()

    def state_dict(self) -> dict[str, Any]:
        """The rows in use, up to the last one, and where they are."""
        return {
            "population": self.pool[: max(self.rows + self.archived) + 1],
            "rows": torch.tensor(self.rows),
            "archived": torch.tensor(self.archived, dtype=torch.int64),
            "free": torch.tensor(self.free, dtype=torch.int64),
            "limit": self.limit,
        }

    @classmethod
    def load(cls, state: dict[str, Any], device: torch.device) -> "Members":
        """From a `state_dict`, with memory of its own."""
        used, rows, archived, free = (state[name] for name in ("population", "rows", "archived", "free"))
        height = len(rows) + len(archived) + len(free)
        self = cls.__new__(cls)
        self.pool = torch.empty(height, used.shape[1], dtype=used.dtype, device=device)
        self.pool[: len(used)].copy_(used)
        self.rows, self.archived, self.free = rows.tolist(), archived.tolist(), free.tolist()
        self.limit = state["limit"]
        return self
