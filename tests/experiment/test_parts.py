"""The pieces a run is made of, each on its own."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from snnbench.errors import RecordError, SnnbenchError
from snnbench.evaluations import Evaluations
from snnbench.experiment import checkpoint, digest
from snnbench.experiment.columns import block, join, normalise, to_evaluations, to_table
from snnbench.experiment.disk import DiskFull, replacing, write_json
from snnbench.experiment.incumbent import Incumbent, crowding
from snnbench.experiment.log import ROW_GROUP, EvaluationLog


def batch(n, seed=0, **metrics):
    rng = np.random.default_rng(seed)
    values = {"loss": rng.random(n), "map": rng.random((n, 2, 4)).astype(np.float32)} | metrics
    return Evaluations(torch.tensor(rng.random((n, 1))), torch.tensor(rng.random((n, 2))), values, ("",) * n)


def rows(first, evaluations, annotations=None):
    n = len(evaluations)
    index = {name: np.arange(first, first + n) for name in ("evaluation", "generation", "digest")}
    time = {name: np.full(n, 0.5) for name in ("seconds", "evaluate", "ask", "tell")}
    return block(evaluations, ["error"], index, annotations or {}, {}, time)


def same(a, b):
    assert torch.equal(a.objectives, b.objectives)
    assert torch.equal(a.constraints, b.constraints)
    assert a.failures == b.failures
    assert set(a.metrics) == set(b.metrics)
    for name, values in a.metrics.items():
        assert values.dtype == b.metrics[name].dtype
        np.testing.assert_array_equal(values, b.metrics[name])


# Checkpoints


def test_state_comes_back_exactly(tmp_path):
    generator = torch.Generator().manual_seed(5)
    state = {
        "generator": generator.get_state(),
        "population": torch.randn(4, 1000),
        "view": torch.randn(8, 6)[::2, 1:4].T,
        "scalar": torch.tensor(0.1, dtype=torch.float64),
        "none": torch.zeros(0, 3),
        "half": torch.randn(3).to(torch.bfloat16),
        "mask": torch.tensor([True, False]),
        "numbers": [0.1, 1e-323, float("inf"), -0.0, 2**100, True, None, "text"],
        "numpy": {"float": np.float32(0.1), "int": np.int64(3), "array": np.arange(6.0).reshape(2, 3).T},
        "nested": ({"a": (1, 2)}, [torch.ones(2)]),
        "by number": {3: torch.zeros(1), (1, 2): "pair"},
        "bytes": b"\x00\xff",
        "rng": np.random.default_rng(1).bit_generator.state,
    }
    checkpoint.save(tmp_path / "c.safetensors", state)
    back = checkpoint.load(tmp_path / "c.safetensors")
    assert list(back) == list(state)
    for name in ("generator", "population", "view", "scalar", "none", "half", "mask"):
        assert back[name].dtype == state[name].dtype
        assert torch.equal(back[name], state[name])
    assert back["numbers"] == state["numbers"]
    assert [type(v) for v in back["numbers"]] == [type(v) for v in state["numbers"]]
    assert np.signbit(back["numbers"][3])
    assert type(back["numpy"]["float"]) is np.float32
    assert back["numpy"]["float"] == np.float32(0.1)
    np.testing.assert_array_equal(back["numpy"]["array"], state["numpy"]["array"])
    assert back["nested"][0] == {"a": (1, 2)}
    assert torch.equal(back["nested"][1][0], torch.ones(2))
    assert back["by number"][(1, 2)] == "pair"
    assert back["bytes"] == b"\x00\xff"
    assert back["rng"] == state["rng"]
    library = load_file(tmp_path / "c.safetensors")  # others can read it
    assert torch.equal(library["population"], state["population"])


def test_one_storage_twice_is_written_twice(tmp_path):
    x = torch.arange(6.0)
    checkpoint.save(tmp_path / "c.safetensors", {"a": x, "b": x.view(2, 3), "c": x[2:4]})
    back = checkpoint.load(tmp_path / "c.safetensors")
    assert torch.equal(back["b"], x.view(2, 3))
    assert back["c"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), torch.zeros(2).to_sparse(), lambda: 0])
def test_state_of_another_kind_is_refused(tmp_path, value):
    with pytest.raises(TypeError, match=r"^deep\[1\].inner is a .*, which a checkpoint cannot hold"):
        checkpoint.save(tmp_path / "c.safetensors", {"deep": [0, {"inner": value}]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated_checkpoint(tmp_path, keep):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"x": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RecordError, match="delete it and resume"):
        checkpoint.load(path)


def test_checkpoints_take_their_share_of_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = checkpoint.CheckpointClock(interval=5.0)
    clock.expect(int(8e8))  # two seconds at the speed that is guessed

    def due_after(seconds):
        now[0] += seconds
        return clock.due()

    assert (due_after(39.0), due_after(1.5)) == (False, True)
    clock.written(0.1)
    assert (due_after(4.0), due_after(1.5)) == (False, True)
    clock.written(3.0)
    assert (due_after(59.0), due_after(1.5)) == (False, True)
    assert clock.spent == pytest.approx(3.1)


def test_size_counts_tensors_and_refuses_like_save():
    assert checkpoint.size({"a": torch.zeros(10), "b": {"c": np.zeros(3)}, "d": 1}) == 40 + 24
    with pytest.raises(TypeError, match="checkpoint cannot hold"):
        checkpoint.size({"a": object()})


# Files


def test_replacing_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def write(error):
        with replacing(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(ValueError, match="half"):
        write(ValueError("half way"))
    with pytest.raises(DiskFull, match="no space left while writing"):
        write(OSError(28, "No space left on device"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_json_is_strict(tmp_path):
    write_json(tmp_path / "j", {"a": float("nan"), "b": np.float64(2.5), "c": (1, torch.tensor([1.0]))})
    assert '"a": null' in (tmp_path / "j").read_text()
    assert '"b": 2.5' in (tmp_path / "j").read_text()


# Digests


def test_digest_of_blocks_and_rows_is_the_same(monkeypatch):
    x = torch.randn(5, 999, generator=torch.Generator().manual_seed(0))
    whole = digest.digests(x)
    monkeypatch.setitem(digest._BLOCK, "cpu", 64)
    assert (digest.digests(x) == whole).all()
    assert (np.concatenate([digest.digests(row[None]) for row in x]) == whole).all()
    assert len(set(whole)) == 5


def test_digest_sees_every_change():
    x = torch.zeros(1, 50)
    seen = {int(digest.digests(x)[0])}
    for i in range(50):
        for value in (1.0, 1.0000001, -0.0):
            changed = x.clone()
            changed[0, i] = value
            seen.add(int(digest.digests(changed)[0]))
    assert len(seen) == 151
    assert digest.digests(torch.tensor([[1.0, 2.0]])) != digest.digests(torch.tensor([[2.0, 1.0]]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_digest_changes_nothing(dtype):
    x = torch.linspace(0, 1, 10, dtype=dtype)[None].contiguous()
    before = x.clone()
    digest.digests(x)
    assert torch.equal(x, before)


def test_finite(monkeypatch):
    monkeypatch.setitem(digest._BLOCK, "cpu", 8)
    x = torch.zeros(2, 30)
    assert digest.finite(x)
    for bad in (float("nan"), float("inf")):
        x[1, 29] = bad
        assert not digest.finite(x)


# Columns and log


def test_evaluations_come_back_exactly():
    given, times = normalise(batch(5, tag=np.array(list("abcde")), wall_seconds=np.ones(5)), 5, "p")
    assert list(times) == ["wall_seconds"]
    given.objectives[2, 0] = np.inf
    given = Evaluations(given.objectives, given.constraints, given.metrics, ("", "", "diverged", "", ""))
    same(to_evaluations(to_table([rows(0, given)])), given)


def test_metric_of_another_length_is_refused():
    with pytest.raises(SnnbenchError, match=r"problem p returned metric 'loss' of shape \(3,\) for 5 candidates"):
        normalise(batch(5, loss=np.zeros(3)), 5, "p")


def test_join_is_what_one_batch_would_be():
    whole, _ = normalise(batch(6), 6, "p")
    parts = [
        Evaluations(
            whole.objectives[s], whole.constraints[s], {k: v[s] for k, v in whole.metrics.items()}, whole.failures[s]
        )
        for s in (slice(0, 1), slice(1, 6))
    ]
    same(join(parts), whole)


def test_columns_may_come_and_go_but_not_change(tmp_path):
    (tmp_path / "a").mkdir()
    log = EvaluationLog(tmp_path / "a")
    log.append(rows(0, normalise(batch(3), 3, "p")[0]))
    log.append(rows(3, normalise(batch(2), 2, "p")[0], {"F": np.array([0.5, 0.6])}))
    log.flush()
    log.append(rows(5, normalise(batch(2, extra=np.ones(2)), 2, "p")[0]))
    log.flush()
    table = EvaluationLog(tmp_path / "a").read(2, 6)
    assert table.column("algorithm.F").to_pylist() == [None, 0.5, 0.6, None]
    assert np.isnan(to_evaluations(table).metrics["extra"]).tolist() == [True, True, True, False]
    log.append(rows(7, normalise(batch(1, loss=np.ones((1, 2))), 1, "p")[0]))
    log.flush()
    with pytest.raises(SnnbenchError, match="column 'loss' changed its type, shape or meaning"):
        log.finish()


def test_missing_part_is_noticed(tmp_path):
    log = EvaluationLog(tmp_path)
    for first in (0, 4, 8):
        log.append(rows(first, batch(4)))
        log.flush()
    (tmp_path / "evaluations" / "000002.parquet").unlink()
    with pytest.raises(RecordError, match="evaluations from number 4 on are missing"):
        EvaluationLog(tmp_path)


def test_memory_of_finishing_does_not_grow_with_the_record(tmp_path, monkeypatch):
    held = []
    write = pq.ParquetWriter.write_table

    def watched(writer, table, **options):
        held.append(pa.total_allocated_bytes())
        return write(writer, table, **options)

    def peak(count, size=3000):
        log = EvaluationLog(tmp_path / str(count))
        log.directory.mkdir()
        wide = {"wide": np.random.default_rng(0).random((size, 32))}
        for part in range(count):
            log.append(rows(part * size, batch(size, **wide)))
            log.flush()
        held.clear()
        before = pa.total_allocated_bytes()
        log.finish()
        final = pq.ParquetFile(log.final).metadata
        assert final.num_rows == size * count
        assert {final.row_group(i).num_rows for i in range(final.num_row_groups - 1)} == {ROW_GROUP}
        return max(held) - before

    monkeypatch.setattr(pq.ParquetWriter, "write_table", watched)
    assert peak(24) < 2 * peak(6)


# The best so far


def found(*values, constraints=None):
    n = len(values)
    k = torch.zeros(n, 0) if constraints is None else torch.tensor(constraints).reshape(n, -1)
    return Evaluations(torch.tensor(values, dtype=torch.float64).reshape(n, -1), k, {}, ("",) * n)


def test_best_is_the_first_of_equals_and_never_a_failure():
    incumbent = Incumbent(1, 1)
    x = torch.arange(5.0)[:, None]
    incumbent.update(x[:1], found(np.inf), 0)
    assert incumbent.candidates() is None
    incumbent.update(x[1:], found(3.0, 2.0, 2.0, 5.0), 1)
    assert incumbent.candidates().tolist() == [[2.0], [3.0], [1.0], [4.0]]
    assert incumbent.lowest.tolist() == [2.0]


def test_the_lowest_objective_is_that_of_a_feasible_candidate():
    incumbent = Incumbent(1, 1)
    incumbent.update(torch.zeros(1, 1), found(1.0, constraints=[0.5]), 0)
    assert incumbent.lowest.tolist() == [np.inf]
    incumbent.update(torch.zeros(3, 1), found(4.0, 3.0, 2.0, constraints=[-0.1, 0.0, 0.1]), 1)
    assert incumbent.lowest.tolist() == [3.0]


def test_feasible_before_infeasible():
    incumbent = Incumbent(1, 1)
    x = torch.arange(4.0)[:, None]
    incumbent.update(x, found(0.1, 0.2, 9.0, 8.0, constraints=[2.0, 1.0, -1.0, 0.5]), 0)
    assert incumbent.candidates().tolist() == [[2.0], [3.0], [1.0], [0.0]]


@pytest.mark.parametrize("width", [1, 7, 100])
def test_the_best_are_kept_whatever_the_batches(width):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 12, 100).astype(float)  # many equals
    values[[3, 50]] = np.inf
    x = torch.arange(100.0)[:, None]
    x[60] = x[int(np.argmin(values))]  # the best again
    values[60] = values.min()
    incumbent = Incumbent(1, 1)
    for start in range(0, 100, width):
        incumbent.update(x[start : start + width], found(*values[start : start + width]), start)
    order = [i for i in np.argsort(values, kind="stable") if i != 60][:10]
    assert incumbent.candidates()[:, 0].tolist() == x[order, 0].tolist()
    copy = Incumbent(1, 1)
    copy.load_state_dict(incumbent.state_dict(), torch.device("cpu"))
    for one in (incumbent, copy):
        one.update(torch.tensor([[-1.0]]), found(-1.0), 100)
    assert torch.equal(copy.candidates(), incumbent.candidates())
    assert len(copy.candidates()) == 10


def test_fewer_of_the_best_are_kept_where_they_are_large():
    assert [Incumbent(1, d).capacity for d in (10, 6_000_000, 21_000_000, 10**9)] == [10, 10, 3, 1]
    assert [Incumbent(1, 10, budget).capacity for budget in (1, 19, 20, 95, 1000)] == [1, 1, 2, 9, 10]


def test_archive_does_not_depend_on_batches_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    t = rng.random(400)
    values = np.stack([t, (1 - t) ** 2 + 0.01 * rng.random(400)], axis=1)
    x = torch.tensor(t, dtype=torch.float32)[:, None]
    archives = []
    for width in (1, 37, 400):
        incumbent = Incumbent(2, 1)
        for start in range(0, 400, width):
            incumbent.update(x[start : start + width], found(*map(list, values[start : start + width])), start)
        archives.append(incumbent.candidates())
    assert torch.equal(archives[0], archives[1])
    assert torch.equal(archives[0], archives[2])
    assert 50 < len(archives[0]) <= 100
    assert x.min() in archives[0]
    copy = Incumbent(2, 1)
    copy.load_state_dict(incumbent.state_dict(), torch.device("cpu"))
    assert torch.equal(copy.candidates(), archives[0])


def test_crowding_by_hand():
    points = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    assert crowding(points).tolist() == [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf]
