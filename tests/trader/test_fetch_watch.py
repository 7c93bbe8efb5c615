"""A log that can be followed without drowning in it, and a bar that tells what is waited for."""

import io
import json

import pytest
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TextColumn

from core.clock import SECOND, ManualClock
from core.errors import UsageError
from feeds.history import Fetched, Gap, Progress
from feeds.history_pace import Refusal
from trader.fetch_report import bar_series, lines, summary
from trader.fetch_watch import Terminal, watching

SERIES = "trades/kraken/BTC-USD"


def progress(reached, **more):
    values = {
        "series": SERIES,
        "since": 0,
        "until": 100,
        "rows": 5,
        "requests": 2,
        "retries": 1,
        "eta_s": 7.25,
    }
    return Progress(**values | more, reached=reached)


def fetched(**more):
    return Fetched(series=SERIES, since=0, until=100 * SECOND, reached=50 * SECOND, **more)


def test_log_tells_progress_every_few_seconds_and_everything_else_at_once(tmp_path):
    clock, log = ManualClock(10 * SECOND), tmp_path / "new" / "log"
    with watching(clock, log, ["UAK-secret"]) as watch:
        watch.on_plan(2)
        for second in range(12):
            watch.on_progress(progress(second))
            clock.advance_to(clock.now() + SECOND)
        watch.on_refusal(Refusal("bars", "GET: 429 UAK-secret", 2.0))
        watch.on_series(fetched(rows=3))
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in told] == [
        "fetch_plan",
        *["fetch_progress"] * 3,
        "fetch_refused",
        "fetch_done",
    ]
    assert (told[1]["share"], told[1]["eta_s"], told[1]["rows"]) == (0.0, 7.2, 5)
    assert "UAK" not in log.read_text()


def test_log_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match="--log: expected a file"),
        watching(ManualClock(), tmp_path / "file" / "x"),
    ):
        pass


def test_failures_are_said_on_stderr(capsys):
    with watching(ManualClock(), None) as watch:
        watch.on_failure("trades/kraken/X-Y: gone")
    assert capsys.readouterr().err == "trader: trades/kraken/X-Y: gone\n"


def test_bar_tells_series_share_and_what_is_waited_for():
    out = io.StringIO()
    column = TextColumn("{task.description} {task.percentage:.0f} {task.fields[rows]} {task.fields[eta]}")
    bars = Bars(column, console=Console(file=out, width=200), auto_refresh=False)
    terminal = Terminal(bars)
    terminal.on_plan(3)
    terminal.on_series(fetched())
    terminal.on_progress(progress(25))
    assert bars.tasks[0].description == f"2/3 {SERIES}"
    assert (bars.tasks[0].percentage, bars.tasks[0].fields["eta"]) == (25, "7 s")
    terminal.on_progress(progress(25, eta_s=None))
    assert bars.tasks[0].fields["eta"] == "?"
    terminal.on_refusal(Refusal("bars", "HTTP 520", 8.2))
    assert bars.tasks[0].description == "waiting 8 s: HTTP 520"


def test_summary_adds_up_and_names_gaps():
    gap = Gap(after_ts=SECOND, before_ts=2 * SECOND, ids=7)
    told = summary(
        "kraken-trades", "lake", [fetched(rows=3, gaps=[gap]), fetched(rows=4)], [], interrupted=True
    )
    assert (told["rows"], told["gaps"], told["interrupted"]) == (7, 1, True)
    assert told["series"][0]["complete"] is False
    (line,) = lines(told)
    assert line.startswith("gap in trades/kraken/BTC-USD: 1970-01-01T00:00:01")
    assert line.endswith("7 trades lacking")


def test_trades_count_as_the_minutes_they_may_be_made_into():
    hours = Fetched(series="ohlcv/binance/BTC-USDT/1h", since=0, until=1, reached=0)
    rates = Fetched(series="funding/kraken-futures/PF_XBTUSD", since=0, until=1, reached=0)
    assert [
        (one.venue, one.instrument, one.timeframe.value) for one in bar_series([fetched(), hours, rates])
    ] == [
        ("kraken", "BTC/USD", "1m"),
        ("binance", "BTC/USDT", "1h"),
    ]
