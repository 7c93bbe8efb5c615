"""The whole run on made markets: what is there is found, what is not is not, and the daemon can ask it."""

import shutil

import msgspec
import numpy as np
import pytest

from core.clock import DAY
from core.errors import DataError, UsageError
from core.market import Timeframe
from feeds.lake import aggregate
from inference.artifact import load, open_session, verify
from inference.card import Kind
from inference.card_check import POSITION
from inference.ensemble import load as load_ensemble
from inference.features.fold import fold
from inference.features.spec import SPECS
from inference.pipeline import OpinionSource
from tests.inference.making import write_ensemble, write_model
from training.guard.market import START, null_market, planted_market
from training.guard.score import holds
from training.labels import BarrierTerms
from training.manager import check, value
from training.manager.page import page, verdict
from training.manager.policy import Chosen, Gain
from training.manager.recipe import ManagerOrder, craft
from training.members.boosted import BoostedMaker
from training.members.kept import TEST
from training.members.kept import load as load_kept
from training.members.member import silent
from training.members.persistence import PersistenceMaker

PAIRS, DAYS = 2, 26


@pytest.fixture(scope="module")
def planted():
    return planted_market(PAIRS, DAYS, 1, edge=check.EDGE)


@pytest.fixture(scope="module")
def made(planted, tmp_path_factory):
    """Train on the planted market; gives the folder and what the recipe found."""
    folder = tmp_path_factory.mktemp("managers")
    return folder, crafted(planted, folder)


def crafted(series, folder, **changes):
    start = int(series[0].ts_open[0] + (series[0].ts_open[-1] - series[0].ts_open[0]) * 6 // 10)
    terms = {
        "name": "manager-1m",
        "venue": "made",
        "trade": check.TRADE,
        "test_start": start,
        "fewest_acted": 60,
    }
    return craft(
        ManagerOrder(**(terms | changes)),
        series,
        [BoostedMaker()],
        rivals=[PersistenceMaker()],
        out=folder / "manager-1m",
        work=folder / "work",
        say=silent,
        entries=check.flips(series, start, 1),
    )


def test_planted_edge_is_found_and_acting_on_it_pays(planted, made):
    _, found = made
    (own,) = [one for one in found.value.compared if not one.rival]
    assert own.test.auc.low > 0.6
    assert own.late.low > 0.6  # a drift that lasts is still there a minute later
    assert found.value.threshold.pays
    gross = next(one for one in found.value.gains if (one.policy, one.schedule) == ("manager", "gross"))
    assert gross.bps.low > 0
    beyond = next(one for one in found.value.gains if one.policy == value.BEYOND)
    assert beyond.bps.low > 0
    best = check.oracle(found.kept.only(found.kept.fold == TEST), planted)
    assert best.low > own.test.share
    assert own.test.log_loss < own.test.log_loss_base
    assert verdict(found.value).startswith("Acting on this manager was better than the stops")


def test_null_market_gives_chance_and_acting_is_worth_nothing():
    finding = check.check("null", 1, pairs=PAIRS, days=DAYS)
    assert finding.passed
    assert holds(finding.auc, 0.5)
    assert finding.oracle is None


def test_artifact_is_proved_and_its_card_tells_what_was_asked(made):
    folder, found = made
    assert verify(folder / "manager-1m")["ok"]
    card = load(folder / "manager-1m").card
    assert card == found.card
    assert (card.kind, card.classes) == (Kind.MANAGER, ("reverse", "continue"))
    assert card.inputs[POSITION] == (5,)
    assert card.label.rule.startswith("continue: the mean close of the coming minutes 3 to 10")
    assert card.parameters["leave_at"] == found.value.threshold.threshold
    assert card.parameters["parity"] <= 1e-5
    (own,) = [one for one in found.value.compared if not one.rival]
    assert card.metrics.auc == own.test.auc
    assert card.metrics.log_loss == pytest.approx(own.test.log_loss)
    assert card.metrics.rival.startswith("persistence")
    assert card.split.embargo_s == check.TRADE.max_hold_s + 600
    assert card.split.test_rows == own.test.rows


def test_answers_are_kept_for_whoever_judges_them(made):
    folder, found = made
    kept = load_kept(folder / "work" / "manager-1m.npz")
    assert kept.subject.model_hash == found.card.model_hash
    assert kept.subject.classes == ("reverse", "continue")
    assert {*kept.voices} == {"lightgbm", "persistence"}
    assert (kept.kind >= 0).all()
    assert (kept.ts[kept.fold != TEST] < kept.subject.test_start).all()
    assert (kept.ts[kept.fold == TEST] >= kept.subject.test_start).all()
    for number in range(PAIRS):
        assert (np.diff(kept.ts[kept.instrument == number]) >= 0).all()
    assert value.load(folder / "work" / "manager-1m-value.json") == found.value


def test_same_seed_gives_the_same_model(planted, made, tmp_path):
    _, found = made
    again = crafted(planted, tmp_path)
    assert again.card == found.card
    assert again.value == found.value


def test_daemon_asks_it_about_open_positions(planted, made, tmp_path):
    """Live features of the newest minute and a position: the same answer as the model gives offline."""
    folder, _ = made
    write_model(tmp_path / "entry", "entry_5m", seed=1)
    shutil.copytree(folder / "manager-1m", tmp_path / "manager-1m")
    write_ensemble(tmp_path / "both", tmp_path / "entry", tmp_path / "manager-1m")
    names = tuple(bars.instrument for bars in planted)
    source = OpinionSource({"a": load_ensemble(tmp_path / "both")}, names)
    newest = [bars.between(int(bars.ts_open[-6 * 1440]), int(bars.ts_close[-1])) for bars in planted]
    for timeframe in source.frame.timeframes:
        source.warm([bar for bars in newest for bar in aggregate(bars, timeframe).bars()[-3000:]])
    end = int(newest[0].ts_close[-1])
    position = np.array([[0.4, 12, -0.3, 0.9, 1], [0.4, 12, -0.3, 0.9, -1]], np.float32)
    found = source.manage("a", end, names, position)
    assert found.ready.all(), found.reason
    artifact = load(folder / "manager-1m")
    spec = SPECS["manager_1m5m"]
    rows = [
        fold(spec, {t: aggregate(bars, t) for t in spec.timeframes}).tensors(np.array([len(bars) - 1]))
        for bars in newest
    ]
    tensors = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]} | {POSITION: position}
    expected = artifact.run(open_session(artifact.model), tensors)
    assert found.p == pytest.approx(expected, abs=1e-6)
    turned = position.copy()
    turned[:, 4] *= -1
    assert np.abs(source.manage("a", end, names, turned).p - found.p).max() > 1e-3  # the side matters


def test_entry_model_of_its_own_is_asked_out_of_fold(tmp_path):
    series = null_market(PAIRS, 40, seed=2)
    order = ManagerOrder(
        venue="made", entry_spec="entry_5m", entry_terms=BarrierTerms(Timeframe.M5), entry_folds=2, folds=2,
        entry_rows=2_000, max_rows=2_000, trade=check.TRADE, test_start=START + 34 * DAY,
    )  # fmt: skip
    found = craft(order, series, [BoostedMaker(rounds=5)], work=tmp_path, say=silent)
    assert found.card is None
    assert found.value.chosen == "lightgbm"
    assert 0 < found.value.entries.tested < found.value.entries.positions
    assert (tmp_path / "manager-1m.npz").is_file()
    assert found.value.entries.least > 0


def test_bars_too_few_and_a_folder_of_others_are_refused_in_a_line(planted, tmp_path):
    (tmp_path / "manager-1m").mkdir()
    (tmp_path / "manager-1m" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="found other files"):
        crafted(planted, tmp_path)
    short = [bars.between(int(bars.ts_open[0]), int(bars.ts_open[3000])) for bars in planted]
    with pytest.raises(DataError, match="expected"):
        crafted(short, tmp_path / "other")


def test_page_says_the_worst_plainly(made):
    _, found = made
    text = page(found.value)
    assert text.startswith("# What manager-1m is worth\n\nActing on this manager was better")
    assert "| lightgbm |" not in text
    assert "| **lightgbm** |" in text
    assert "| persistence (rival) |" in text
    lost = [
        msgspec.structs.replace(one, bps=msgspec.structs.replace(one.bps, value=-3.0, low=-5.0, high=-1.0))
        for one in found.value.gains
    ]
    worse = msgspec.structs.replace(found.value, gains=tuple(lost))
    assert "Acting on this manager loses money" in page(worse)
    unclear = [Gain(o.policy, o.schedule, 9, 1, type(o.bps)(0.1, -1.0, 1.0), o.r) for o in found.value.gains]
    assert "cannot be told from" in verdict(msgspec.structs.replace(found.value, gains=tuple(unclear)))
    nothing = Chosen(None, 0, type(lost[0].bps)(None, None, None))
    assert verdict(msgspec.structs.replace(found.value, threshold=nothing)).startswith(
        "No threshold left enough"
    )


def test_simplest_maker_within_one_standard_error_is_chosen(made):
    _, found = made
    rival, own = found.value.compared
    interval = type(own.behind)
    near = msgspec.structs.replace(own, name="simple", behind=interval(0.001, -0.002, 0.004))
    far = msgspec.structs.replace(own, name="simple", behind=interval(0.002, -0.001, 0.005))
    assert value.simplest([rival, near, own]) == "simple"  # an error of 0.0015
    assert value.simplest([rival, far, own]) == own.name
    with pytest.raises(DataError, match="rivals alone"):
        value.simplest([rival])
