"""Tree-structured Parzen estimator, by Optuna."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, State, Task
from snnbench.algorithms.bayesian.optuna_bridge import distributions, from_optuna, quiet, to_optuna
from snnbench.parameters import param

RUNNING, COMPLETE = 0, 1


@dataclass(frozen=True)
class TPEParameters:
    """Parameters of `TPE`."""

    startup: int = param(
        10, "evaluations before the estimator is used; the design counts", low=1, source="Optuna: n_startup_trials"
    )
    ei_candidates: int = param(
        24, "draws from which the best ratio is taken", low=1, source="Optuna; Bergstra et al. 2011"
    )
    multivariate: bool | None = param(
        None, "model variables jointly; by default for a single objective only", source="Optuna 5"
    )
    batch: int | None = param(
        None,
        "candidates per generation; by default 1, or as many as --eval-workers evaluates at once",
        low=1,
        source="ours",
    )


class TPE(Algorithm):
    """Tree-structured Parzen estimator (Optuna).

    Optuna's `TPESampler` on the variables themselves: integers and categories are such, logarithmic scales stay.
    Several objectives are ranked by non-domination and hypervolume, infeasible candidates by their total violation.
    The problem's initial design (at most `startup` points) is evaluated first. Candidates that are being evaluated
    count as bad ones (constant liar), which spreads a batch.
    """

    family: ClassVar[str] = "Bayesian"
    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, constraints=True, discrete=True, max_dimension=300, asynchronous=True, batches=True
    )
    requires: ClassVar[tuple[str, ...]] = ("optuna",)
    extra: ClassVar[str] = "bayes"
    Parameters: ClassVar[type] = TPEParameters
    reference: ClassVar[str] = (
        "J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, Algorithms for Hyper-Parameter Optimization, NIPS 2011; "
        "S. Watanabe, Tree-Structured Parzen Estimator, arXiv:2304.11127, 2023; T. Akiba, S. Sano, T. Yanase, T. Ohta "
        "and M. Koyama, Optuna: A Next-generation Hyperparameter Optimization Framework, KDD 2019"
    )

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.distributions = distributions(task.space)
        self.asked, self.design_left = 0, 0
        self.waiting: list[int] = []
        with quiet():
            self.study, self.sampler = self._study(seed)

    def ask(self) -> torch.Tensor:
        """The problem's design, then what the estimator suggests."""
        if not self.asked:
            self.design_left = len(self._design())
        batch = self.parameters.batch or max(1, self.task.workers)
        count = 1 if self.task.asynchronous else self.design_left or batch
        with quiet():
            if self.design_left:
                design = self._design()
                first = len(design) - self.design_left
                x = design[first : first + count].clone()
                self.design_left -= len(x)
                for row in to_optuna(self.task.space, x):
                    self.study.add_trial(self._trial(row, RUNNING))
            else:
                rows = []
                for _ in range(count):
                    trial = self.study.ask(self.distributions)
                    rows.append([d.to_internal_repr(trial.params[name]) for name, d in self.distributions.items()])
                x = from_optuna(self.task.space, np.array(rows)).to(self.task.device, self.task.dtype)
        self.waiting += range(self.asked, self.asked + len(x))
        self.asked += len(x)
        return x

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        """Finish trials, in the order in which they are told."""
        numbers = evaluations.candidates.tolist() if self.task.asynchronous else self.waiting[: len(x)]
        # Optuna computes hypervolumes of several objectives; there a failure is a large number, and as bad.
        objectives = evaluations.objectives
        if objectives.shape[1] > 1:
            objectives = objectives.clamp(max=1e100)
        with quiet():
            for number, values, limits in zip(numbers, objectives, evaluations.constraints, strict=True):
                self.waiting.remove(number)
                self.limits[number] = tuple(limits.tolist())
                self.study.tell(number, values.tolist())

    def state_dict(self) -> State:
        """Trials with their parameters as Optuna holds them, and its two random streams."""
        trials = self.study.get_trials(deepcopy=False)
        params = [[d.to_internal_repr(t.params[name]) for name, d in self.distributions.items()] for t in trials]
        done = [number not in set(self.waiting) for number in range(len(trials))]
        m, k = len(self.task.objectives), self.task.constraints
        values = [t.values if finished else [0.0] * m for t, finished in zip(trials, done, strict=True)]
        limits = [self.limits.get(t.number, (0.0,) * k) for t in trials]
        state = super().state_dict() | {
            "asked": self.asked,
            "design_left": self.design_left,
            "params": torch.tensor(params, dtype=torch.float64).reshape(len(trials), len(self.distributions)),
            "values": torch.tensor(values, dtype=torch.float64).reshape(len(trials), m),
            "limits": torch.tensor(limits, dtype=torch.float64).reshape(len(trials), k),
            "done": torch.tensor(done, dtype=torch.bool),
        }
        for name, rng in self._streams().items():
            inner: Any = rng.get_state(legacy=False)
            state[f"{name}_keys"] = torch.from_numpy(inner["state"]["key"].astype(np.int64))
            rest = [inner["state"]["pos"], inner["has_gauss"], inner["gauss"]]
            state[f"{name}_rest"] = torch.tensor(rest, dtype=torch.float64)
        return state

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.asked, self.design_left = state["asked"], state["design_left"]
        done = state["done"].tolist()
        self.waiting = [number for number, finished in enumerate(done) if not finished]
        with quiet():
            self.study, self.sampler = self._study(0)
            for number, finished in enumerate(done):
                values, limits = state["values"][number].tolist(), tuple(state["limits"][number].tolist())
                if finished:
                    self.limits[number] = limits
                result = {"values": values, "limits": limits} if finished else {}
                row = state["params"][number].numpy()
                self.study.add_trial(self._trial(row, COMPLETE if finished else RUNNING, **result))
        for name, rng in self._streams().items():
            position, has_gauss, gauss = state[f"{name}_rest"].tolist()
            keys = state[f"{name}_keys"].numpy().astype(np.uint32)
            rng.set_state(("MT19937", keys, int(position), int(has_gauss), gauss))

    def _study(self, seed: int) -> tuple[Any, Any]:
        import optuna

        self.limits: dict[int, tuple[float, ...]] = {}
        limits, several = self.limits, len(self.task.objectives) > 1
        multivariate = self.parameters.multivariate
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=self.parameters.startup,
            n_ei_candidates=self.parameters.ei_candidates,
            seed=seed % 2**32,
            multivariate=not several if multivariate is None else multivariate,
            constant_liar=True,
            constraints_func=(lambda trial: limits[trial.number]) if self.task.constraints else None,
        )
        directions = [optuna.study.StudyDirection.MINIMIZE] * len(self.task.objectives)
        return optuna.create_study(sampler=sampler, directions=directions), sampler

    def _streams(self) -> dict[str, np.random.RandomState]:
        return {"estimator": self.sampler._rng.rng, "startup": self.sampler._random_sampler._rng.rng}

    def _design(self) -> torch.Tensor:
        design = self.task.initial(self.parameters.startup).to(self.task.device, self.task.dtype, copy=True)
        return self.task.space.clip_(design)

    def _trial(self, row: np.ndarray, state: int, values: Any = None, limits: tuple[float, ...] = ()) -> Any:
        import optuna

        named = zip(self.distributions.items(), row.tolist(), strict=True)
        states = optuna.trial.TrialState
        return optuna.trial.create_trial(
            state=states.COMPLETE if state == COMPLETE else states.RUNNING,
            params={name: distribution.to_external_repr(value) for (name, distribution), value in named},
            distributions=self.distributions,
            values=values,
            system_attrs={"constraints": limits} if limits else {},
        )
