import numpy as np
import torch

from tests.training.members import made
from training.fit.resident import Resident, Taught
from training.members.member import Lesson
from training.members.seen import seen

CPU = torch.device("cpu")


def test_batches_are_the_tensors_that_the_artifact_will_see_to_the_bit():
    panel = made.panel(200)
    view = seen(panel)
    some = panel.only(np.arange(30, 390))
    rows = np.array([0, 5, 169, 170, 359])
    found = Resident(some, view, CPU).batch(torch.from_numpy(rows))
    expected = view.tensors(some, rows)
    assert expected["15m"].shape == (5, made.WINDOW, len(made.COLUMNS))
    np.testing.assert_array_equal(found["15m"].numpy(), expected["15m"])


def test_a_window_of_the_second_instrument_holds_nothing_of_the_first():
    panel = made.panel(60)
    panel.blocks["15m"].matrix[: 60 + made.WINDOW, made.SIGNAL] = 1e6
    first_of_second = torch.tensor([60])
    batch = Resident(panel, seen(panel.only(panel.instrument == 1)), CPU).batch(first_of_second)
    assert batch["15m"].abs().max() < 8.0


def test_flat_tensors_come_beside_windows():
    panel = made.panel(50)
    beside = np.random.default_rng(3).standard_normal((100, 4)).astype(np.float32)
    panel = type(panel)(**{**vars(panel), "beside": {"position": beside}})
    view = seen(panel)
    found = Resident(panel, view, CPU).batch(torch.tensor([3, 99]))
    np.testing.assert_array_equal(found["position"], view.tensors(panel, np.array([3, 99]))["position"])


def test_no_rows_give_no_batch():
    empty = made.panel(50).only(np.zeros(100, np.bool_))
    rows = Resident(empty, seen(made.panel(50)), CPU)
    assert len(rows) == 0
    assert rows.batch(torch.zeros(0, dtype=torch.int64))["15m"].shape == (0, made.WINDOW, len(made.COLUMNS))


def test_other_answers_keep_their_kind_of_number():
    panel = made.panel(50)
    lesson = Lesson(
        panel,
        panel.followed["barrier"].kind,
        panel.weight,
        {"magnitude": np.full(100, np.nan), "volume": np.full(100, -1, np.int8)},
    )
    taught = Taught(lesson, Resident(panel, seen(panel), CPU), CPU)
    assert taught.beside["magnitude"].dtype is torch.float32
    assert taught.beside["volume"].dtype is torch.int64
    assert len(taught) == 100
