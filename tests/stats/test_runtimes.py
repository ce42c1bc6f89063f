"""Fixed targets: hitting times, ERT and ECDF against their definitions."""

import numpy as np
import pytest

from snnbench.errors import RecordError, UsageError
from snnbench.report.targets import content, shown
from snnbench.stats.results import load_results
from snnbench.stats.runtimes import (
    TARGETS,
    data_profile,
    expected_running_time,
    first_reached,
    hitting_times,
    runtime_ecdf,
    spent,
    targets_of,
)
from snnbench.stats.target_tables import target_tables


def test_hitting_times_follow_the_record(recorded):
    recorded(seed=0, values=[np.nan, 60.0, 80.0, 40.0, 30.0], ends=(20.0, 120.0))  # scaled: inf .4 .6 .2 .1
    recorded(seed=1, values=[70.0] * 5, ends=(20.0, 120.0))
    recorded(seed=2, values=[20.0] * 5, ends=(20.0, 120.0), constraints=[[1.0, 1.0, 0.0, np.nan, 0.0]])
    recorded(seed=3, values=[20.0, 20.0], budget=5, ends=(20.0, 120.0), status="failed")
    runs = load_results(recorded.folder)
    found = hitting_times(runs, np.array([0.5, 0.4, 0.15, 0.05]))
    never = np.inf
    expected = [[2, 2, 5, never], [1, never, never, never], [3, 3, 3, 3], [never] * 4]
    assert found.tolist() == expected
    assert spent(runs).tolist() == [5, 5, 5, 5]
    ert = expected_running_time(found, spent(runs))
    assert ert == pytest.approx([(2 + 1 + 3 + 5) / 3, (2 + 5 + 3 + 5) / 2, (5 + 5 + 3 + 5) / 2, 18.0])
    assert expected_running_time(found[:2, 3:], spent(runs)[:2]).tolist() == [never]


def test_a_share_that_is_a_target_up_to_rounding_reached_it():
    target = np.array([0.1, 0.3])
    above = np.nextafter(target, 1.0)
    assert first_reached(above[::-1].copy(), target).tolist() == [2.0, 1.0]
    assert first_reached(target[::-1] + 1e-9, target).tolist() == [np.inf, 2.0]


def test_more_targets_than_are_reached_are_counted_in_the_ecdf():
    times = np.array([[1.0, 4.0, np.inf], [2.0, np.inf, np.inf]])
    assert runtime_ecdf(times, np.array([0, 1, 2, 3, 4, 1e9])).tolist() == pytest.approx(
        [0, 1 / 6, 2 / 6, 2 / 6, 0.5, 0.5]
    )
    assert data_profile([times, times[:1]], [1, 3], np.array([1.0])).tolist() == pytest.approx([(2 / 6 + 2 / 3) / 2])


def test_targets_are_frozen_and_may_be_declared(recorded):
    recorded(seed=0)
    assert (targets_of(load_results(recorded.folder)) == TARGETS).all()
    assert (TARGETS[0], TARGETS[-1], len(TARGETS)) == (1.0, 0.01, 51)
    for seed in (0, 1):
        recorded(problem="q", seed=seed, ends=(-10.0, 10.0), targets={"error": [-8.0, 0.0, -5.0]})
    recorded(problem="q", seed=2, ends=(-10.0, 10.0))  # recorded before targets were declared
    runs = load_results(recorded.folder)
    runs = runs[runs["problem"] == "q"]
    assert targets_of(runs).tolist() == [0.5, 0.25, 0.1]
    recorded(problem="q", seed=3, ends=(-10.0, 10.0), targets={"error": [-9.0]})
    runs = load_results(recorded.folder)
    with pytest.raises(UsageError, match="different targets"):
        targets_of(runs[runs["problem"] == "q"])


def test_a_record_that_was_cut_is_refused(recorded):
    recorded(values=[0.5] * 6, recorded=8)
    with pytest.raises(RecordError, match=r"holds 6 evaluations, its run\.json says 8"):
        hitting_times(load_results(recorded.folder))


def test_several_objectives_are_measured_by_the_hypervolume_so_far(recorded):
    values = [[2.0, 0.0], [0.5, 0.5], [0.6, 0.6], [0.25, 0.75], [0.5, 0.25]]
    recorded(values=values, objectives=("error", "energy"))
    # 1 - hypervolume: 1, .75, .75, .6875, .5625
    found = hitting_times(load_results(recorded.folder), np.array([1.0, 0.75, 0.7, 0.5625, 0.5]))
    assert found.tolist() == [[1, 2, 4, 5, np.inf]]


def test_the_table_of_expected_running_times(recorded):
    for seed in range(2):
        recorded(algorithm="quick", seed=seed, values=[90.0, 50.0, 20.0, 5.0], ends=(0.0, 100.0))
        recorded(algorithm="slow", seed=seed, values=[90.0, 90.0, 50.0, 20.0 + 20 * seed], ends=(0.0, 100.0))
    [table] = target_tables(load_results(recorded.folder), count=3)
    assert [row.algorithm for row in table.rows] == ["quick", "slow"]
    assert table.targets == pytest.approx(100 * table.scaled)
    assert table.scaled[-1] == pytest.approx(TARGETS[TARGETS >= 0.05][-1])
    assert table.rows[0].ert[-1] == 4
    assert table.rows[1].successes.tolist()[-1] == 0
    text = shown([table])
    assert "slow" in text
    assert max(map(len, text.splitlines())) <= 80
    assert content([table])[0]["algorithms"][1]["ert"][-1] is None
    recorded(problem="q", algorithm="quick", values=[5.0])
    recorded(problem="q", algorithm="slow", values=[5.0])
    assert "q: no target tells its runs apart" in shown(target_tables(load_results(recorded.folder)))
