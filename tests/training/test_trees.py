import numpy as np
import pytest

from training import trees


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((4000, 6)).astype(np.float32)
    pull = x[:, 0] + rng.standard_normal(4000)
    return x, np.digitize(pull, [-0.5, 0.5]).astype(np.int8)


@pytest.fixture(scope="module")
def booster(rows):
    return trees.fit(*rows, seed=1)


def test_probabilities_sum_to_one_and_follow_the_planted_column(rows, booster):
    x, _ = rows
    p = trees.chances(booster, x)
    assert p.shape == (4000, 3)
    assert p.sum(axis=1) == pytest.approx(1.0)
    assert np.corrcoef(p[:, 2] - p[:, 0], x[:, 0])[0, 1] > 0.8


def test_same_rows_and_seed_give_the_same_trees(rows, booster):
    assert trees.fit(*rows, seed=1).model_to_string() == booster.model_to_string()
    assert trees.fit(*rows, seed=2).model_to_string() != booster.model_to_string()


def test_thresholds_are_float32_and_send_every_training_row_the_same_way(rows):
    import lightgbm

    x, kind = rows
    plain = lightgbm.train(
        {**trees.PARAMETERS, "objective": "multiclass", "num_class": 3, "verbosity": -1}
        | {
            "min_data_in_leaf": 20,
            "seed": 1,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
        },
        lightgbm.Dataset(x, kind),
        num_boost_round=trees.ROUNDS,
    )
    ours = trees.fit(x, kind, seed=1)
    assert (trees.chances(ours, x) == trees.chances(plain, x)).all()
    lines = [line for line in ours.model_to_string().splitlines() if line.startswith("threshold=")]
    values = np.array(" ".join(line.removeprefix("threshold=") for line in lines).split(), float)
    assert len(values) > 100
    assert (values == values.astype(np.float32)).all()


def test_best_rounds_stop_where_unseen_rows_are_predicted_best(rows, booster):
    x, kind = rows
    noise = np.random.default_rng(4).permutation(kind)
    assert trees.best_rounds(booster, x, kind) == trees.ROUNDS
    found = trees.best_rounds(booster, x, noise)
    losses = [
        -np.mean(np.log(trees.chances(booster, x, rounds)[np.arange(4000), noise]))
        for rounds in range(1, trees.ROUNDS + 1)
    ]
    assert found == int(np.argmin(losses)) + 1 < 10
