"""Masked measures as metrics of an evaluator: means over cases, iterations and ranks."""

import math

import ignite.distributed as idist
import pytest
import torch
from ignite.engine import Engine
from ignite.exceptions import NotComputableError

from common.metrics import MaskedMetric, bone_dice, mae


def _case(error, label=0.0):
    """A case (1, 2, 2, 2) with ``error`` in the six voxels of the mask and 9999 outside."""
    truth = torch.full((1, 2, 2, 2), label)
    mask = torch.ones(1, 2, 2, 2)
    mask[0, 0, 0] = 0
    return {"pred": torch.where(mask > 0, truth + error, 9999.0), "label": truth, "mask": mask}


def _evaluate(metric, iterations):
    engine = Engine(lambda _, batch: batch)
    metric.attach(engine, "metric")
    return engine.run(iterations).metrics["metric"]


def test_mean_over_cases_of_uneven_iterations():
    metric = MaskedMetric(mae)
    value = _evaluate(metric, [[_case(1.0), _case(-2.0)], [_case(6.0)]])
    assert value == pytest.approx((1 + 2 + 6) / 3)
    assert metric.rows == [1.0, 2.0, 6.0]


def test_every_run_starts_afresh():
    metric = MaskedMetric(mae)
    _evaluate(metric, [[_case(1.0)]])
    assert _evaluate(metric, [[_case(4.0)]]) == 4.0
    assert metric.rows == [4.0]


def test_undefined_cases_are_left_out_of_the_mean():
    metric = MaskedMetric(bone_dice)
    assert _evaluate(metric, [[_case(0.0), _case(-900.0, label=1000.0), _case(0.0, label=1000.0)]]) == 0.5
    assert math.isnan(metric.rows[0])
    assert metric.rows[1:] == [0.0, 1.0]


def test_no_defined_case_cannot_be_computed():
    with pytest.raises(NotComputableError, match="at least one case with a defined value"):
        _evaluate(MaskedMetric(bone_dice), [[_case(0.0)]])


def test_half_precision_is_scored_in_double():
    case = {key: value.to(torch.bfloat16) for key, value in _case(1.0, label=256.0).items()}
    # bfloat16 has 8 significant bits: 257 is stored as 256.
    assert _evaluate(MaskedMetric(mae), [[case, _case(3.0)]]) == 1.5


def test_the_channels_of_a_picture_count_together():
    truth = torch.zeros(3, 2, 2, 1)
    pred = torch.tensor([1.0, 2.0, 6.0])[:, None, None, None] + truth
    metric = MaskedMetric(mae)
    metric.update(([pred], [truth], [torch.ones(1, 2, 2, 1)]))
    assert metric.compute() == 3


def _score_on_one_rank(rank, folder):
    # Rank 0 sees two cases and rank 1 one, so that a mean of rank means would differ.
    iterations = [[[_case(1.0)], [_case(2.0)]], [[_case(9.0)]]][rank]
    metric = MaskedMetric(mae)
    value = _evaluate(metric, iterations)
    (folder / f"rank_{rank}.txt").write_text(f"{value} {len(metric.rows)}")


@pytest.mark.slow
def test_ranks_share_their_sums(tmp_path):
    idist.spawn("gloo", _score_on_one_rank, args=(tmp_path,), nproc_per_node=2)
    assert (tmp_path / "rank_0.txt").read_text() == "4.0 2"
    assert (tmp_path / "rank_1.txt").read_text() == "4.0 1"
