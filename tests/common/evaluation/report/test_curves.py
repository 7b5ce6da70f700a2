import pytest

from common.errors import DataError
from common.evaluation.report.curves import read_curves

LOG = "epoch,generator_l1,val_mae,val_ssim\n1,3.0,,\n2,2.0,50.0,0.7\n3,1.5,,\n4,1.4,55.0,0.8\n"


def test_curves_leave_epochs_without_value_out(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    loss, mae, _ = read_curves(tmp_path / "log.csv")
    assert (loss.name, loss.values.tolist(), loss.best) == ("generator_l1", [3.0, 2.0, 1.5, 1.4], None)
    assert (mae.epochs.tolist(), mae.values.tolist(), mae.best) == ([2, 4], [50.0, 55.0], 2)


def test_unusable_log_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read training log .*none\.csv \(.*: train first"):
        read_curves(tmp_path / "none.csv")
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(DataError, match="has no column epoch, only step, loss: add it"):
        read_curves(tmp_path / "log.csv")
