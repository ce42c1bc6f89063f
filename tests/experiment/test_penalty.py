"""What an algorithm that knows no constraints is told."""

import json

import numpy as np
import pytest
import torch

from snnbench.errors import UsageError
from snnbench.evaluations import Evaluations
from snnbench.experiment.loop import run
from snnbench.experiment.penalty import penalised
from snnbench.experiment.plan import check
from snnbench.experiment.record import load_evaluations


def test_infeasible_is_worse_than_the_worst_and_failed_stays_infinite():
    objectives = torch.tensor([[0.2], [0.1], [0.9], [np.inf], [0.3]], dtype=torch.float64)
    constraints = torch.tensor([[0.0, -1], [0.5, -2], [0.25, 2], [1.0, 1], [-3, -1]], dtype=torch.float64)
    given = Evaluations(objectives, constraints, {}, ("", "", "", "diverged", ""))
    told = penalised(given, [1.0])
    assert told.objectives.flatten().tolist() == [0.2, 1.5, 3.25, np.inf, 0.3]
    assert told.constraints.shape == (5, 0)
    assert given.objectives.flatten().tolist() == [0.2, 0.1, 0.9, np.inf, 0.3]  # the record's own values


def test_several_objectives_are_each_worse_than_their_worst():
    given = Evaluations(torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64), {}, ("",))
    assert penalised(given, [1.0, 40.0]).objectives.tolist() == [[2.0, 41.0]]


def test_only_algorithms_that_need_it_are_told_penalties(plan):
    assert plan("Single", "Fenced", penalty=True).penalty
    assert not plan("Walk", "Fenced", penalty=True).penalty  # handles constraints itself
    assert not plan("Single", "Bowl", penalty=True).penalty  # there are none
    with pytest.raises(UsageError, match="--penalty"):
        check(plan("Single", "Fenced"))


def test_the_record_keeps_what_was_measured(tmp_path, plan):
    made = plan("Single", "Fenced", budget=60, penalty=True)
    result = run(made, tmp_path)
    table = load_evaluations(result.directory).to_pandas()
    infeasible = table["constraint.0"] > 0
    assert infeasible.any()
    assert (table.loc[infeasible, "objective.error"] < 3.0).all()  # not 3 plus the violation
    assert json.loads((result.directory / "run.json").read_text())["plan"]["penalty"] is True
    x = table.loc[result.final[0]["evaluation"]]
    assert x["constraint.0"] <= 0
    assert made.directory(tmp_path) != plan("Single", "Fenced", budget=60).directory(tmp_path)
