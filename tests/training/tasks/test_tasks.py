"""The tasks by hand, the blocks that learn them, and the table that tells of it."""

import json
import math

import pytest
import torch

from core.errors import DataError, UsageError
from training.cli import run
from training.networks.tcn import TemporalConv
from training.tasks.learn import GOAL, SETTINGS, far_enough, learn, reader
from training.tasks.learned import Learned
from training.tasks.made import CALL, SPAN, SYMBOLS, TASKS, adding, copying
from training.tasks.results import PLAN, PUBLISHED, Row, headline, write


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def test_adding_asks_for_the_sum_of_the_two_marked_numbers():
    made = adding(50, 30, seeded())
    assert made.x.shape == (50, 30, 2)
    assert torch.equal(made.x[:, :, 1].sum(dim=1), torch.full((50,), 2.0))
    assert set(made.x[:, :, 1].unique().tolist()) == {0.0, 1.0}
    for x, y in zip(made.x.tolist(), made.y.tolist(), strict=True):
        assert math.isclose(sum(value for value, mark in x if mark), y, rel_tol=1e-6)
    places = made.x[:, :, 1].nonzero()[:, 1]
    assert places.min() == 0
    assert places.max() == 29


def test_copying_asks_for_ten_digits_at_the_last_ten_steps():
    made = copying(20, 40, seeded())
    assert made.x.shape == (20, 40 + 2 * SPAN, SYMBOLS)
    seen = made.x.argmax(dim=2)
    assert torch.equal(made.y[:, -SPAN:], seen[:, :SPAN])
    assert made.y[:, :-SPAN].max() == 0
    assert seen[:, :SPAN].min() == 1
    assert seen[:, :SPAN].max() == CALL - 1
    assert seen[:, SPAN : SPAN + 39].max() == 0
    assert torch.equal(seen[:, -SPAN - 1 :], torch.full((20, SPAN + 1), CALL))


@pytest.mark.parametrize("task", TASKS)
def test_guessing_costs_what_the_task_says(task):
    one = TASKS[task]
    made = one.make(4_000, 50, seeded())
    if task == "adding":
        found = torch.ones(4_000, 50, 1)
    else:
        # The right zeros, and at the last ten steps the same chance for each of the eight digits.
        found = torch.full((4_000, 50 + 2 * SPAN, SYMBOLS), -100.0)
        found[:, :-SPAN, 0] = 0.0
        found[:, -SPAN:, 1:CALL] = 0.0
    assert math.isclose(float(one.loss(found, made.y)), one.guess(50), rel_tol=0.05)


@pytest.mark.parametrize(
    "needed, taps, expected", [(199, 4, 4), (599, 4, 5), (599, 2, 10), (210, 0, 2), (1010, 0, 2)]
)
def test_a_stack_sees_far_enough_and_one_layer_less_does_not(needed, taps, expected):
    found, dilations = far_enough(needed, taps)
    assert len(dilations) == expected
    assert TemporalConv(1, 1, dilations, taps=found).reach >= needed
    assert TemporalConv(1, 1, dilations[:-1], taps=found).reach < needed


def test_a_convolutional_network_learns_to_add_over_200_steps():
    found = learn("adding", "tcn", steps=200, seed=1)
    assert found.loss <= GOAL < found.guess
    assert found.reached
    assert found.rounds < found.most
    assert found.parameters < 10_000


@pytest.mark.parametrize("network", ["tcn", "gru", "lstm"])
def test_a_few_rounds_are_the_same_rounds_again(network):
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    first, again = (learn("copy", network, steps=5, seed=3, rounds=50) for _ in range(2))
    assert torch.equal(torch.rand(3), expected), "the process goes on as it was"
    assert not torch.are_deterministic_algorithms_enabled()
    other = learn("copy", network, steps=5, seed=4, rounds=50)
    assert first == again
    assert first.loss != other.loss
    assert not first.reached
    assert first.rounds == first.most == 50


def test_rounds_are_told_with_the_loss():
    heard = []
    learn("adding", "tcn", steps=4, seed=1, rounds=100, told=lambda *words: heard.append(words))
    assert [words[:2] for words in heard] == [(50, 100), (100, 100)]
    assert all(0 < words[2] < 1 for words in heard)


def test_the_readers_are_the_networks_own_blocks():
    from training.networks.recurrent import Recurrent

    for (task, network), setting in SETTINGS.items():
        block = reader(TASKS[task], network, 20, setting).block
        assert isinstance(block, TemporalConv if network == "tcn" else Recurrent)


@pytest.mark.parametrize("network", ["tcn", "gru", "lstm"])
def test_the_step_that_is_learned_from_is_the_one_that_is_judged(network):
    task = TASKS["adding"]
    model = reader(task, network, 20, SETTINGS["adding", network])
    x = adding(3, 20, seeded()).x
    assert torch.allclose(model.newest(x), model(x)[:, -1:], atol=1e-6)


@pytest.mark.parametrize("words", [("sorting", "tcn"), ("adding", "transformer")])
def test_unknown_tasks_and_networks_are_refused(words):
    with pytest.raises(UsageError, match="expected one of"):
        learn(*words, steps=10, seed=1)


def learned(row, loss):
    return Learned(
        task=row.task,
        network=row.network,
        steps=row.steps,
        seed=row.seed,
        width=16,
        parameters=4321,
        rate=0.01,
        rounds=50,
        most=100,
        loss=loss,
        guess=0.1667,
        goal=1e-3,
        measure="mean squared error",
    )


def test_a_table_is_written_line_by_line_and_taken_up_where_it_stopped(tmp_path):
    rows = (Row("adding", "tcn", 600), Row("adding", "lstm", 600))
    page = tmp_path / "results" / "tasks.md"

    def first_only(row):
        if row.network == "lstm":
            raise KeyboardInterrupt
        return learned(row, 5e-4)

    with pytest.raises(KeyboardInterrupt):
        write(page, rows, first_only)
    assert "1 of 1 lines met the goal of 1.0e-03; not taught yet: " in page.read_text()
    taught = []

    def rest(row):
        taught.append(row.network)
        return learned(row, 0.2)

    write(page, rows, rest)
    assert taught == ["lstm"]
    text = page.read_text()
    assert "1 of 2 lines met the goal of 1.0e-03; not met by lstm at adding T = 600; not taught yet: " in text
    assert (
        "| adding | 600 | lstm | 1 | 4,321 | 50 of 100 | 0.2 | 0.167 | **no** | 0.164 (70k): not learned |"
        in text
    )
    assert {path.name for path in page.parent.iterdir()} == {"tasks.md", "tasks.json"}


def test_the_headline_names_what_failed_and_what_waits_and_is_content_with_a_whole_plan():
    assert headline({}) == "Nothing yet."
    lines = {row.key: learned(row, 1e-4) for row in PLAN}
    assert headline(lines) == "Every line met the goal of 1.0e-03."
    lines["adding-200-gru-2"] = learned(Row("adding", "gru", 200, seed=2), 0.1)
    del lines["copy-1000-tcn-1"]
    assert headline(lines) == (
        f"{len(PLAN) - 2} of {len(PLAN) - 1} lines met the goal of 1.0e-03; "
        "not met by gru at adding T = 200 (seed 2); not taught yet: tcn at copy T = 1,000."
    )


def test_a_damaged_file_of_figures_is_refused(tmp_path):
    (tmp_path / "page.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="expected figures of `training tasks`; found"):
        write(tmp_path / "page.md", (), lambda row: learned(row, 1.0))


def test_the_plan_has_the_lengths_that_were_published():
    planned = {(row.task, row.network, row.steps) for row in PLAN}
    assert {("adding", one, 600) for one in ("tcn", "gru", "lstm")} <= planned & set(PUBLISHED)
    assert ("copy", "tcn", 1_000) in planned & set(PUBLISHED)
    assert len({row.key for row in PLAN}) == len(PLAN)


def test_commands_print_json_or_a_verdict(capsys):
    words = ["tasks", "adding", "--network", "gru", "--steps", "5", "--rounds", "1", "--seed", "2"]
    assert run(words) == 0
    text = capsys.readouterr().out
    assert "mean squared error" in text
    assert "goal of 0.001 missed; guessing costs 0.17" in text
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["network"], found["steps"], found["rounds"]) == ("adding", "gru", 5, 1)
    assert run(["tasks", "copy", "--network", "lstm", "--steps", "3", "--rounds", "1"]) == 0
    assert "cross-entropy" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, expected",
    [
        ("tasks adding --network cnn", "network: expected one of tcn, gru, lstm; found 'cnn'"),
        ("tasks copy --steps 1", "--steps"),
        ("tasks report --only adding-1-tcn-1", "--only: expected lines of adding-200-tcn-1"),
    ],
)
def test_refusals_are_one_line(words, expected, capsys):
    assert run(words.split()) == 64
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert expected in line


def test_report_command_writes_the_page_from_kept_figures(tmp_path, capsys):
    page = tmp_path / "page.md"
    row = Row("adding", "tcn", 200)
    write(page, (row,), lambda one: learned(one, 1e-4))
    assert run(["tasks", "report", "--out", str(page), "--only", row.key]) == 0
    assert capsys.readouterr().out.startswith("1 of 1 lines met the goal of 1.0e-03; not taught yet: gru at ")
    assert run(["tasks", "report", "--out", str(page), "--only", row.key, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[row.key]["loss"] == 1e-4
