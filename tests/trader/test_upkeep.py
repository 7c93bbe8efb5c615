"""Between decisions: a cell that was written over stops entries, and what is kept is whole or absent."""

import asyncio
import threading
from contextlib import asynccontextmanager

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from core.clock import DAY, MINUTE, SECOND, ManualClock
from core.errors import DataError
from core.events import Operator, RequestOpinion, Severity, Verb
from core.market import Bar, Timeframe
from inference.pipeline import OpinionSource
from inference.predictor import PredictorThread
from tests.model_copies import SHIPPED
from tests.venue.fake_kraken import running
from trader import feature_state
from trader.models import load_model
from trader.parity_watch import WatchedSource, spread
from trader.tables import Inference
from trader.upkeep import Upkeep
from trader.worker import Worker

PAIRS = ("BTC/USDT", "ETH/USDT")
MODEL = load_model(SHIPPED / "entry-5m")
END = 20_000 * DAY


class Board:
    def __init__(self):
        self.notices, self.parity = [], []

    def on_notice(self, notice):
        self.notices.append(notice)

    def on_parity(self, values, differing):
        self.parity.append((values, differing))


class Desk:
    """Upkeep over a real, warmed source on a real thread."""

    def __init__(self, tmp_path, **table):
        self.clock = ManualClock(END + 1)
        self.source = OpinionSource({"scalp": MODEL}, PAIRS)
        self.watched = WatchedSource(self.source, PAIRS)
        self.watched.warm(history())
        self.thread = PredictorThread(
            self.watched, budget_ns=10**12, clock=self.clock, deliver=lambda _: None
        )
        self.board, self.wishes, self.repairs, self.cold = Board(), [], [], ()
        self.path = tmp_path / "features.state"
        self.upkeep = Upkeep(
            self.watched,
            Worker(self.thread),
            self.path,
            table=Inference(**table),
            clock=self.clock,
            board=self.board,
            cold=lambda: self.cold,
            repair=self.repairs.append,
            put=self.wishes.append,
        )
        self.upkeep.calm = 0

    async def until(self, holds):
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110  # a thread and a file tell nobody
                await asyncio.sleep(0.001)


@asynccontextmanager
async def desk(tmp_path, **table):
    made = Desk(tmp_path, **table)
    try:
        yield made
    finally:
        assert made.thread.stop(10)


def history():
    return [bar for timeframe in MODEL.timeframes for pair in PAIRS for bar in walk(pair, timeframe)]


def walk(pair, timeframe):
    moves = np.random.default_rng([ord(pair[0]), timeframe.minutes]).normal(0, 0.002, 720)
    prices = (100 * np.exp(np.cumsum(moves))).tolist()
    for i, price in enumerate(prices):
        ts = END - (720 - i) * timeframe.ns
        yield Bar(pair, timeframe, ts, price, price * 1.001, price * 0.999, price, 5.0, price, 3)


def corrupt(source, pair):
    """Write over one cell of one instrument's live state, as a stray pointer or a bad restore would."""
    live = source.frame._live[Timeframe.M5]
    live.work.out[live.layout.rows["rsi"], source.frame.instruments.index(pair)] += 1e-3


# ---- parity ----


async def test_sound_features_are_compared_and_nothing_happens(tmp_path):
    async with desk(tmp_path) as made:
        await made.upkeep.check()
        ((values, differing),) = made.board.parity
        assert values > 20
        assert differing == 0
        assert (made.board.notices, made.wishes) == ([], [])


async def test_one_corrupted_cell_stops_entries_within_one_check(tmp_path):
    async with desk(tmp_path, parity_every_closes=2) as made:
        await made.upkeep.keep()
        corrupt(made.source, "ETH/USDT")
        async with running(made.upkeep.run()):
            made.upkeep.on_bars()
            made.upkeep.on_bars()
            await made.until(lambda: made.wishes)
        (wish,) = made.wishes
        (notice,) = made.board.notices
        assert (wish.verb, wish.actor) == (Verb.PAUSE, "parity")
        assert isinstance(wish, Operator)
        assert (notice.severity, notice.instrument) == (Severity.CRITICAL, "ETH/USDT")
        assert notice.text.startswith("ETH/USDT 5m.rsi is ")
        assert notice.text == wish.reason
        assert made.repairs == [{"ETH/USDT"}]
        made.watched.warm([bar for bar in history() if bar.instrument == "ETH/USDT"])
        assert made.watched.check() == [], "a history that is fetched anew heals it"


async def test_features_that_were_wrong_once_are_never_kept_again(tmp_path):
    async with desk(tmp_path) as made:
        await made.upkeep.keep()
        assert made.path.exists()
        corrupt(made.source, "BTC/USDT")
        await made.upkeep.check()
        assert not made.path.exists()
        await made.upkeep.keep()
        assert not made.path.exists()


async def test_a_busy_worker_puts_a_check_off(tmp_path):
    async with desk(tmp_path, parity_every_closes=1) as made:
        while made.thread.when_idle(lambda: None):
            pass
        assert made.thread.stop(10)
        async with running(made.upkeep.run()):
            made.upkeep.on_bars()
            for _ in range(5):
                await asyncio.sleep(0)
        assert made.board.parity == []


def test_the_sample_spreads_from_liquid_to_quiet():
    ranked = [str(number) for number in range(1000)]
    assert spread(ranked, 4) == ("0", "333", "666", "999")
    assert spread(ranked, 1) == ("0",)
    assert spread(ranked, 0) == ()
    assert spread(ranked[:3], 4) == ("0", "1", "2")


def shifted(bars, factor):
    """Give a history as another witness tells it: every price by a factor off, bar by bar."""
    return [
        msgspec.structs.replace(
            bar,
            open=bar.open * factor,
            high=bar.high * factor * factor,
            low=bar.low / factor,
            close=bar.close * factor,
        )
        for bar in bars
    ]


def later(bars, count):
    """Give the bars that close next after a history, at the last price."""
    newest = {(bar.instrument, bar.timeframe): bar for bar in bars}
    return [
        msgspec.structs.replace(bar, ts_open=bar.ts_open + (step + 1) * bar.timeframe.ns)
        for bar in newest.values()
        for step in range(count)
    ]


def test_a_history_that_repairs_replaces_what_live_bars_had_done():
    source = OpinionSource({"scalp": MODEL}, PAIRS)
    watched = WatchedSource(source, PAIRS)
    watched.warm(shifted(history(), 1.01))  # what the feed had made of it
    watched.on_bars(shifted(later(history(), 3), 1.01))
    repaired = [*history(), *later(history(), 3)][12:]
    watched.warm(repaired)
    expected = OpinionSource({"scalp": MODEL}, PAIRS)
    expected.warm(repaired)
    assert source.save() == expected.save(), "wrong bars outlived their repair"
    assert watched.check() == []


def test_a_restored_state_is_not_held_against_a_history_that_it_never_saw():
    kept = OpinionSource({"scalp": MODEL}, PAIRS)
    kept.warm(history())
    source = OpinionSource({"scalp": MODEL}, PAIRS)
    source.restore(kept.save())
    watched = WatchedSource(source, PAIRS)
    as_rounded = shifted([*history()[5:], *later(history(), 2)], 1.0001)
    watched.warm(as_rounded)
    watched.on_bars(later(as_rounded, 3))
    assert watched.check() == []
    assert watched.checked > 0, "short columns are compared at once"
    went_on = OpinionSource({"scalp": MODEL}, PAIRS)
    went_on.warm(as_rounded)
    went_on.on_bars(later(as_rounded, 3))
    assert source.save() != went_on.save(), "the state began anew with the history"


# ---- what is kept ----


async def test_kept_features_answer_as_those_that_never_stopped(tmp_path):
    request = RequestOpinion("scalp", "p", Timeframe.M5, END, PAIRS)
    async with desk(tmp_path, save_every_s=10) as made:
        async with running(made.upkeep.run()):
            made.upkeep.on_bars()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not made.path.exists(), "too early"
            made.clock.advance_to(made.clock.now() + 11 * SECOND)
            made.upkeep.on_bars()
            await made.until(made.path.exists)
        expected = made.source.answer(request).opinions
    other = OpinionSource({"scalp": MODEL}, PAIRS)
    raw = feature_state.read(made.path, END + MINUTE)
    assert raw is not None
    assert other.restore(raw) == PAIRS
    assert other.answer(request).opinions == expected
    assert expected[0].ready


async def test_an_instrument_that_waits_for_its_repair_is_not_kept(tmp_path):
    async with desk(tmp_path) as made:
        made.cold = ("ETH/USDT",)
        await made.upkeep.keep()
    other = OpinionSource({"scalp": MODEL}, PAIRS)
    assert feature_state.restore(made.path, other.restore, END + MINUTE) == PAIRS
    btc, eth = other.answer(RequestOpinion("scalp", "p", Timeframe.M5, END, PAIRS)).opinions
    assert (btc.ready, eth.ready) == (True, False)


async def test_what_was_found_wrong_while_it_was_being_kept_is_taken_back(tmp_path):
    async with desk(tmp_path) as made:
        busy = threading.Event()
        made.thread.do(lambda: busy.wait(10) and None)
        checking = asyncio.create_task(made.upkeep.check())
        keeping = asyncio.create_task(made.upkeep.keep())
        await asyncio.sleep(0)
        corrupt(made.source, "BTC/USDT")
        busy.set()
        await asyncio.gather(checking, keeping)
        assert made.wishes, "it was found"
        assert not made.path.exists()


async def test_a_stop_that_keeps_while_the_hourly_keeping_is_on_its_way_spoils_neither(tmp_path):
    async with desk(tmp_path) as made:
        with capture_logs() as lines:
            await asyncio.gather(*(made.upkeep.keep() for _ in range(4)))
        assert [line["event"] for line in lines] == ["features_kept"] * 4
    assert feature_state.read(made.path, END + MINUTE) == made.source.save()


async def test_features_of_a_step_that_failed_are_not_kept(tmp_path):
    """Half of it may be folded in: a restart must not go on from there."""
    async with desk(tmp_path) as made:
        made.thread.on_bars(END, (*later(history(), 1)[:1], "no bar"))
        made.thread.on_bars(END, tuple(later(history(), 1)))
        with capture_logs() as lines:
            await made.upkeep.keep()
        assert not made.path.exists()
        (line,) = lines
        assert line["event"] == "features_not_kept"
        assert line["reason"] == "features: expected whole steps to keep; found one that failed"


async def test_a_repair_that_comes_while_keeping_waits_is_not_undone(tmp_path):
    """The thread is busy when the state is to be kept; meanwhile the history of a cold instrument comes."""
    request = RequestOpinion("scalp", "p", Timeframe.M5, END, PAIRS)
    async with desk(tmp_path) as made:
        made.cold = ("ETH/USDT",)
        busy = threading.Event()
        made.thread.do(lambda: busy.wait(10) and None)
        keeping = asyncio.create_task(made.upkeep.keep())
        await asyncio.sleep(0)
        made.cold = ()
        made.thread.warm(tuple(bar for bar in history() if bar.instrument == "ETH/USDT"))
        busy.set()
        await keeping
        assert [opinion.ready for opinion in made.source.answer(request).opinions] == [True, True]


def test_what_was_restored_and_not_yet_led_on_is_kept_again():
    kept = OpinionSource({"scalp": MODEL}, PAIRS)
    kept.warm(history())
    source = OpinionSource({"scalp": MODEL}, PAIRS)
    source.restore(kept.save())
    assert WatchedSource(source, PAIRS).save(lambda: PAIRS) == kept.save()


def test_nothing_kept_is_no_error(tmp_path):
    assert feature_state.read(tmp_path / "features.state", END) is None


def test_a_state_from_after_now_is_refused(tmp_path):
    path = tmp_path / "features.state"
    feature_state.write(path, b"state", END + 1)
    assert feature_state.read(path, END + 1) == b"state"
    with pytest.raises(DataError, match="expected a state from before 2024-10-04T00:00:00"):
        feature_state.read(path, END)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_file_is_refused(tmp_path):
    path = tmp_path / "features.state"
    path.write_bytes(b"\x00")
    with pytest.raises(DataError, match="expected a state from before"):
        feature_state.read(path, END)


def test_another_models_or_altered_state_is_refused_in_one_line(tmp_path):
    source = OpinionSource({"scalp": MODEL}, PAIRS)
    raw = source.save()
    for bad in (b"", raw[:-1], raw[:-8] + b"rubbish!"):
        with pytest.raises(DataError) as refused:
            source.restore(bad)
        assert "\n" not in str(refused.value)
    other = OpinionSource({"swing": load_model(SHIPPED / "entry-15m")}, PAIRS)
    with pytest.raises(DataError, match="expected specs"):
        other.restore(raw)


def test_a_damaged_file_is_worth_one_line_and_history_is_used(tmp_path):
    path, source = tmp_path / "features.state", OpinionSource({"scalp": MODEL}, PAIRS)
    with capture_logs() as said:
        assert feature_state.restore(path, source.restore, END) == ()
    assert said == []
    feature_state.write(path, source.save(), END)
    with capture_logs() as said:
        assert feature_state.restore(path, source.restore, END) == PAIRS
    assert [line["event"] for line in said] == ["features_restored"]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with capture_logs() as said:
        assert feature_state.restore(path, source.restore, END) == ()
    assert [(line["event"], line["reason"].count("\n")) for line in said] == [("features_not_restored", 0)]


def test_a_disk_that_refuses_is_named(tmp_path):
    with pytest.raises(DataError, match="expected to keep the state of features; found: No such file"):
        feature_state.write(tmp_path / "none" / "features.state", b"", END)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="expected the state of features; found: Is a directory"):
        feature_state.read(tmp_path / "folder", END)
