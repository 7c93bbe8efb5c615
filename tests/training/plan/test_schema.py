from pathlib import Path

import pytest

from core.errors import ConfigError, UsageError
from training.plan.schema import chosen, needs, read_plan, stages

PLANS = Path(__file__).parents[3] / "configs" / "train"
HEAD = 'test_start = "2024-05-01"\n'
TREES = '[[trees]]\nname = "entry-1h"\nspec = "entry_1h"\n'


@pytest.fixture
def planned(tmp_path):
    def read(text: str):
        path = tmp_path / "plan.toml"
        path.write_text(text)
        return read_plan(path)

    return read


@pytest.mark.parametrize(
    "text, told",
    [
        ("test_start = 1", r"plan\.toml: expected a training plan; found: Expected `str`, got `int`"),
        (HEAD + "[[tree]]\n", r"unknown field `tree`"),
        (HEAD + TREES + "rows = 5\n", r"unknown field `rows` - at `\$\.trees\[0\]`"),
        (HEAD + TREES + 'source = "7m"\n', r"Invalid enum value '7m' - at `\$\.trees\[0\]\.source`"),
        (HEAD + TREES + "trials = 0\n", r"entry-1h\.trials: expected a number above 0; found 0"),
        (
            HEAD + TREES + 'test_start = "May"\n',
            r"entry-1h\.test_start: expected a date like .*; found 'May'",
        ),
        (
            HEAD + TREES.replace("entry_1h", "entry_9h"),
            r"entry-1h\.spec: expected one of .*; found 'entry_9h'",
        ),
        (HEAD + TREES + TREES, r"entry-1h\.name: expected every name once; found 2 of it"),
        (HEAD + TREES.replace("entry-1h", "../x"), r"name: expected a plain word; found '\.\./x'"),
        (HEAD, r"trees: expected at least one model; found none"),
        (
            HEAD + TREES + '[[ensemble]]\nname = "both"\nvote = ["entry-1h", "entry-2h"]\n',
            r"both: expected members of entry-1h, both; found 'entry-2h'",
        ),
        (
            HEAD + TREES + '[[meta]]\nname = "m"\nof = "all"\n',
            r"m\.of: expected an ensemble of the plan; found 'all'",
        ),
        (
            HEAD + TREES + '[[ensemble]]\nname = "b"\nvote = ["entry-1h"]\nprior = { x = 1.0 }\n',
            r"b\.prior: expected names of entry-1h; found 'x'",
        ),
        ('test_start = "soon"\n' + TREES, r"test_start: expected a date like 2024-05-01; found 'soon'"),
        ('test_start = "none"\n' + TREES, r" test_start: expected a date like 2024-05-01; found 'none'"),
        ('test_start = ""\n' + TREES, r" test_start: expected a date like 2024-05-01; found ''"),
        (
            HEAD + TREES + 'test_start = "none"\n',
            r"entry-1h\.test_start: expected a date like 2024-05-01; found 'none'",
        ),
        (
            HEAD + TREES + 'vault_start = "2024-05-01"\n',
            r"entry-1h\.vault_start: expected a day behind the test span's first, 2024-05-01; found 2024",
        ),
        (
            HEAD + TREES + '[[ensemble]]\nname = "b"\nvote = ["entry-1h"]\npolicy = { min_vote = 1 }\n',
            r"b\.policy: expected fields of a policy; found .*min_vote",
        ),
        ("[[", r"plan\.toml: expected a training plan; found"),
    ],
)
def test_what_a_plan_cannot_say_is_refused_with_file_key_expected_and_found(planned, text, told):
    with pytest.raises(ConfigError, match=told) as refused:
        planned(text)
    assert "\n" not in str(refused.value)


def test_a_plan_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: expected a training plan; found: No such file"):
        read_plan(tmp_path / "none.toml")


def test_what_stands_on_others_is_made_behind_them(planned):
    plan = planned(
        HEAD
        + '[[ensemble]]\nname = "all"\nvote = ["a", "b"]\nmeta = "m"\n'
        + '[[meta]]\nname = "m"\nof = "all"\n'
        + "".join(TREES.replace("entry-1h", name) for name in "abc")
    )
    order = [[one.name for one in stage] for stage in stages(plan, plan.orders)]
    assert order == [["a", "b", "c"], ["m"], ["all"]]
    assert [one.name for one in chosen(plan, ("all",), whole=True)] == ["a", "b", "m", "all"]
    assert [one.name for one in chosen(plan, ("all",), whole=False)] == ["all"]
    with pytest.raises(UsageError, match="--only: expected names of a, b, c, m, all; found 'z'"):
        chosen(plan, ("z",), whole=False)


def test_models_that_need_each_other_are_refused(planned):
    plan = planned(
        HEAD + '[[ensemble]]\nname = "p"\nvote = ["q"]\n[[ensemble]]\nname = "q"\nvote = ["p"]\n' + TREES
    )
    with pytest.raises(ConfigError, match="expected models that do not need each other; found p, q"):
        stages(plan, plan.orders)


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.name)
def test_a_plan_that_comes_along_can_be_read_and_ordered(path):
    if path.name == "grid.toml":
        pytest.skip("a grid of studies is no plan")
    plan = read_plan(path)
    made: set[str] = set()
    for stage in stages(plan, plan.orders):
        assert all(set(needs(order, plan)) <= made for order in stage)
        made |= {order.name for order in stage}
    assert made == {order.name for order in plan.orders}
