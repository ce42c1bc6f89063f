"""The CIFAR members of the family, on a few made-up images in the official layout."""

import json

import pytest
import torch

from snnbench.data.loading import UnofficialDataWarning
from snnbench.errors import DataError
from snnbench.problems.sew import SEWCifar10, SEWCifar100

SMALL = {"blocks": "1-1", "members": 2, "source_epochs": 1, "calibration": 32, "batch": 64}
CASES = {"sew-cifar10": (SEWCifar10, 10, 100), "sew-cifar100": (SEWCifar100, 100, 10)}


def test_the_standard_problem_is_the_published_network():
    assert SEWCifar100().dimension == 21_328_292
    assert SEWCifar100().standard


@pytest.mark.filterwarnings("ignore::snnbench.data.loading.UnofficialDataWarning")
@pytest.mark.parametrize("name", CASES)
def test_from_files_to_evaluations(name, make, photographs, tmp_path):
    cls, classes, source_classes = CASES[name]
    problem, stages = make(cls, tmp_path, data=photographs, **SMALL)
    problem.prepare()
    assert any(stage.startswith("fine-tuning 2 members") for stage in stages.seen)
    description = json.loads(json.dumps(problem.describe(), allow_nan=False))
    assert description["official"] is False
    assert description["data"]["target"]["split"] == "derived"
    assert description["data"]["target"]["note"]
    splits = description["splits"]
    assert splits == (
        {"search": 180, "validation": 20, "test": 20}
        if classes == 10
        else {"search": 100, "validation": 100, "test": 100}
    )
    parts = {split: {i.numpy().tobytes() for i in problem._samples[split][0]} for split in splits}
    assert [len(part) for part in parts.values()] == list(splits.values())
    assert len(set.union(*parts.values())) == sum(splits.values())
    assert set(problem.task.source.class_names) != set(problem.task.target.class_names)
    assert problem.task.source.classes == source_classes

    x = problem.initial(5)
    assert x.shape == (2, problem.dimension)
    assert problem.network.classes == classes
    assert problem.network.channels == 3
    result = problem.evaluate(x)
    assert result.failures == ("", "")
    assert result.fitness.isfinite().all()
    assert result.metrics["layer_spikes"].shape == (2, 6, 4)
    again, stages = make(cls, tmp_path, data=photographs, **SMALL)
    again.prepare()
    assert not [stage for stage in stages.seen if "train" in stage or "tun" in stage]
    assert torch.equal(again.evaluate(again.initial(2)).fitness, result.fitness)


def test_unofficial_data_is_announced(make, photographs, tmp_path):
    problem, _ = make(SEWCifar10, tmp_path, data=photographs)
    with pytest.warns(UnofficialDataWarning, match="not the official data"):
        problem.estimate()


def test_the_estimate_needs_no_data_but_preparing_needs_whole_files(make, tmp_path):
    problem, _ = make(SEWCifar100, tmp_path)
    estimate = problem.estimate()
    assert estimate.preparation > 0
    assert estimate.evaluation > 0
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "cifar-10-batches-py").mkdir()
    (empty / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"no pickle")
    (empty / "cifar-100-python").mkdir()
    (empty / "cifar-100-python" / "train").write_bytes(b"no pickle")
    broken, _ = make(SEWCifar100, tmp_path, data=empty)
    with pytest.raises(DataError, match="not a readable data file"):
        broken.prepare()
