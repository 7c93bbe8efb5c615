import pytest

from core.errors import UsageError
from training.fit.terms import FitTerms


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"epochs": 0}, "epochs: expected 1 or more; found 0"),
        ({"batch": 1}, "batch: expected 2 or more; found 1"),
        ({"rate": 0.0}, "rate: expected a number above 0; found 0.0"),
        ({"rate": float("nan")}, "rate: expected a number above 0; found nan"),
        ({"weight_decay": 1.0}, "weight_decay: expected a number from 0 to below 1; found 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing: expected a number from 0 to below 1; found -0.1"),
    ],
)
def test_terms_out_of_range_are_refused(wrong, said):
    with pytest.raises(UsageError) as refused:
        FitTerms(**wrong)
    assert str(refused.value) == said


def test_auxiliary_heads_weigh_less_than_direction():
    assert sum(FitTerms().head_loss.values()) < 1
