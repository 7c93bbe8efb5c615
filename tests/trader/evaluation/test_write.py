"""A run's folder: every file is there, says the same as the figures, and is the same when written again."""

import csv
import hashlib
import json
import re
from html import unescape

import numpy as np
import polars as pl
import pytest

from core.errors import DataError
from inference.card import Interval
from tests.run_records import CHECKS, PAIRS, day, folds, random_record, record, trip, write_lake
from trader.backtest.record import ModelUsed, load
from trader.evaluation.market import SHOWN, WIDEST, Market, load_market, read_market, shown_trips
from trader.evaluation.significance import Significance
from trader.evaluation.write import keep, write_report

HOSTILE = '</script><img src=x onerror="document.title=1">'


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a record of 240 trades, its folder and what writing it said."""
    root = tmp_path_factory.mktemp("run")
    whole = random_record(
        days=120, trades=240, timeframe="1h", folds=folds(4, 30), checks=CHECKS, refusals={"x: a<b": 7}
    )
    folder = root / "run"
    whole.save(folder)
    market = read_market(whole, write_lake(root / "lake", days=200))
    return whole, folder, write_report(whole, folder, market, pictures=False), market


def test_everything_is_in_the_folder(made):
    _, folder, written, _ = made
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        *("run.json", "trips.json", "curve.parquet", "pairs.parquet", "market.parquet", "candles.parquet"),
        *("metrics.json", "trips.csv", "monthly.csv", "folds.csv", "report.html"),
        *(f"pairs/{pair.replace('/', '-')}.csv" for pair in PAIRS),
    }
    assert written.page == folder / "report.html"
    assert written.notes == ()


def test_tables_hold_what_the_figures_say(made):
    whole, folder, written, _ = made
    trips = rows(folder / "trips.csv")
    assert [row["net"] for row in trips] == [str(t.net) for t in whole.trips]
    assert trips[0]["opened"].endswith("Z")
    months = rows(folder / "monthly.csv")
    assert [row["month"] for row in months] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert float(months[1]["net_return"]) == written.figures.months[1].returns.total
    by_fold = rows(folder / "folds.csv")
    assert [row["tuned_threshold"] for row in by_fold] == ["0.4", "0.41", "0.42", "0.43"]
    assert float(by_fold[3]["sharpe"]) == written.figures.folds[3].returns.sharpe
    assert float(by_fold[0]["avg_hold_s"]) == written.figures.folds[0].trips.average_hold_s
    days = rows(folder / "pairs" / "ETH-USDT.csv")
    assert len(days) == 120
    net = sum(t.net for t in whole.trips if t.instrument == "ETH/USDT")
    assert float(days[-1]["net_so_far"]) == pytest.approx(float(net))
    assert sum(float(row["net"]) for row in days) == pytest.approx(float(net))
    assert sum(int(row["trades"]) for row in days) == sum(t.instrument == "ETH/USDT" for t in whole.trips)


def test_a_pairs_days_count_what_answered_the_last_close(tmp_path):
    late = trip("-1", opened=48, closed=48)
    write_report(record([trip("5"), late], days=2), tmp_path, pictures=False)
    assert [row["trades"] for row in rows(tmp_path / "pairs" / "BTC-USDT.csv")] == ["1", "1"]


def test_metrics_are_the_figures(made):
    _, folder, written, _ = made
    told = json.loads((folder / "metrics.json").read_text())
    assert told["verdict"] == written.figures.verdict
    assert told["pooled"]["trips"]["net"] == str(written.figures.pooled.trips.net)
    assert told["pooled"]["returns"]["sharpe"] == written.figures.pooled.returns.sharpe


def test_the_page_says_first_what_came_of_it_and_what_was_assumed(made):
    whole, folder, written, _ = made
    text = (folder / "report.html").read_text()
    words = unescape(re.sub(r"<[^>]+>", " ", text[text.index("<body>") : text.index('id="data"')])).replace(
        "\u00a0", " "
    )
    places = [words.index(written.figures.verdict), *(words.index(said) for said in whole.card.assumptions)]
    places += [words.index("delay one bar"), words.index("Equity, trades a day, drawdown")]
    assert places == sorted(places)
    for said in ("buy and hold", "same trades", "Ended by", "threshold 0.42", "days before", "a<b", "d" * 64):
        assert said in words
    assert "http" not in re.sub(r"data:[^\"]+", "", text[: text.index('id="data"')]).replace("http-equiv", "")


def test_the_page_is_bounded_and_its_data_whole(made):
    whole, folder, _, market = made
    text = (folder / "report.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert len(data["trips"]) == len(whole.trips)
    assert len(data["equity"]) == 120 * 24 + 1
    assert len(data["opened"]) == sum(last - first for _, first, last in data["regimes"]) == 120
    assert sum(data["opened"]) == len(whole.trips)
    assert set(data["candles"]) == {str(n) for n in range(len(whole.trips))}
    assert len(json.dumps(data)) < 2_000_000
    for number, (times, *prices) in data["candles"].items():
        assert len(times) <= WIDEST
        assert {len(price) for price in prices} == {len(times)}
        one = whole.trips[int(number)]
        assert times[0] * 1_000_000 <= one.opened
        assert times[-1] * 1_000_000 > one.opened
    assert market.candles.columns == ["trip", "ts", "open", "high", "low", "close"]


def test_the_same_run_writes_the_same_bytes(made, tmp_path):
    whole, folder, _, market = made
    whole.save(tmp_path)
    write_report(whole, tmp_path, market, pictures=False)
    assert hashes(tmp_path) == hashes(folder)
    before = hashes(folder)
    write_report(load(folder), folder, pictures=False)  # from the folder alone
    assert hashes(folder) == before


def test_pictures_are_the_same_bytes_and_carry_no_version(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the train set")
    small = record([trip("-12", fees="4"), trip("30", fees="4", opened=30)], days=3, instruments=PAIRS[:1])
    seen = []
    for name in "ab":
        write_report(small, tmp_path / name, on_picture=lambda *counts: seen.append(counts))
    pictures = sorted(path.name for path in (tmp_path / "a").rglob("*.png"))
    assert pictures == ["BTC-USDT.png", "equity.png"]
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert b"Software" not in (tmp_path / "a" / "equity.png").read_bytes()
    assert seen == [(1, 1), (1, 1)]


def test_no_word_of_a_run_becomes_markup(tmp_path):
    bad = record(
        [trip("1", reason=HOSTILE)],
        assumptions=(HOSTILE,),
        command=HOSTILE,
        refusals={HOSTILE: 1},
        schedule=HOSTILE,
    )
    write_report(bad, tmp_path, pictures=False)
    text = (tmp_path / "report.html").read_text()
    assert "<img src=x" not in text
    assert text.count("</script>") == 4


def luck(folder, *, passed, days=10):
    """Leave what `training significance run` would leave."""
    known = Interval(1.5, 0.25, 2.75)
    Significance(
        **dict.fromkeys(("sharpe", "cagr", "mean_daily", "max_drawdown"), known),
        **dict.fromkeys(("psr", "dsr", "dsr_textbook", "dsr_effective", "luck"), 0.875),
        **dict.fromkeys(("trips", "trials", "compared", "min_track_days", "min_backtest_days"), 77),
        days=days,
        config_hash="c",
        schedule="kraken",
        effective=3.0,
        sharpe_error=0.5,
        pbo=None,
        pbo_blocks=None,
        spa={"hold": 0.25, "flat": None},
        superior=passed,
        passed=passed,
        failed=(),
        sentence="Nothing here can be told from luck.",
    ).save(folder)


def shown_words(folder):
    text = (folder / "report.html").read_text()
    return unescape(re.sub(r"<[^>]+>", "", text[text.index("<body>") : text.index('id="data"')]))


def test_what_luck_could_have_done_is_on_the_first_page(tmp_path):
    write_report(record([trip("5")]), tmp_path, pictures=False)
    assert "training significance run was not run on this folder" in shown_words(tmp_path)
    luck(tmp_path, passed=False)
    figures = write_report(record([trip("5")]), tmp_path, pictures=False).figures
    assert figures.significance.trials == 77
    words = shown_words(tmp_path)
    assert "FAILED luck: Nothing here can be told from luck. 77 trials counted on this data" in words
    assert "95\u2009%: 0.25 to 2.75" in words
    assert "Judged over all days" not in words


def test_what_was_made_of_another_run_goes_with_it(tmp_path):
    first, second = record([trip("5")], instruments=("BTC/USDT",)), record([trip("-5")], days=12)
    keep(first, tmp_path)
    luck(tmp_path, passed=True)
    candles = pl.DataFrame(schema=dict.fromkeys(("trip", "ts", "open", "high", "low", "close"), pl.Int64))
    market = Market(np.array([day(1)]), {"BTC/USDT": np.array([100.0])}, candles)
    write_report(first, tmp_path, market, pictures=False)
    made = {path.name for path in tmp_path.rglob("*")}
    keep(first, tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == made >= {"significance.json", "market.parquet"}
    keep(second, tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {
        *("pairs", "run.json", "trips.json", "curve.parquet", "pairs.parquet")
    }
    assert write_report(second, tmp_path, pictures=False).figures.significance is None


def test_luck_that_was_judged_in_sample_says_so(tmp_path):
    luck(tmp_path, passed=True)
    half = record([trip("5")], models=(ModelUsed("swing", "entry", "e" * 64, "15m", day(4)),))
    write_report(half, tmp_path, pictures=False)
    assert "Judged over all days, those in sample among them" in shown_words(tmp_path)
    assert "95\u2009%: 0.25 to 2.75" not in shown_words(tmp_path)


def test_luck_that_was_judged_out_of_sample_is_that_of_the_days_that_count(tmp_path):
    luck(tmp_path, passed=True, days=6)
    half = record([trip("5")], models=(ModelUsed("swing", "entry", "e" * 64, "15m", day(4)),))
    write_report(half, tmp_path, pictures=False)
    assert "Judged over all days" not in shown_words(tmp_path)
    assert "95\u2009%: 0.25 to 2.75" in shown_words(tmp_path)


def test_a_damaged_significance_is_one_line(tmp_path):
    (tmp_path / "significance.json").write_text("{}")
    with pytest.raises(DataError, match="expected figures of significance"):
        write_report(record(), tmp_path, pictures=False)


def test_without_the_market_it_says_what_is_missing(tmp_path):
    written = write_report(record([trip("5")]), tmp_path, pictures=False)
    assert "no hold baseline" in written.notes[0]
    assert written.figures.hold is None
    assert "no hold baseline" in (tmp_path / "report.html").read_text()


def test_a_run_without_a_trade_has_a_page(tmp_path):
    written = write_report(record(), tmp_path, pictures=False)
    assert written.figures.verdict == "Did not trade in 10 days."
    assert rows(tmp_path / "trips.csv") == []


def test_more_trades_than_can_be_shown_keep_best_worst_and_newest():
    trips = [trip(str(n % 97 - 48), opened=n) for n in range(SHOWN + 200)]
    kept = shown_trips(trips)
    assert len(kept) == SHOWN
    assert kept == sorted(set(kept))
    assert len(trips) - 1 in kept
    nets = sorted(t.net for t in trips)
    assert {trips[n].net for n in kept} >= {nets[0], nets[-1]}
    assert shown_trips(trips[:SHOWN]) == list(range(SHOWN))


def test_a_long_trade_is_shown_in_coarser_bars(tmp_path):
    lake = write_lake(tmp_path, PAIRS[:1], days=200)
    long = record([trip("5", opened=24, closed=24 * 60)], days=100, timeframe="1h", instruments=PAIRS[:1])
    view = read_market(long, lake).candles
    assert len(view) <= WIDEST
    steps = view["ts"].diff().drop_nulls().unique().to_list()
    assert steps == [11 * 3600 * 10**9]  # 1417 bars of the trade in 130 places
    assert (view["low"] <= view["open"]).all()
    assert (view["high"] >= view["close"]).all()


def test_a_damaged_market_is_one_line(tmp_path):
    (tmp_path / "market.parquet").write_bytes(b"no")
    pl.DataFrame({"trip": [1]}).write_parquet(tmp_path / "candles.parquet")
    with pytest.raises(DataError, match=r"expected market\.parquet"):
        load_market(tmp_path)
