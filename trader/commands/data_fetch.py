"""`trader data fetch`: download history into the lake, with progress, a log, and a summary.

Must not know any source. Called by trader.commands.data. stdout carries the summary, stderr the progress bar.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from core.clock import SECOND, LiveClock
from core.errors import UsageError, VenueError
from core.market import TIMEFRAMES, Timeframe
from core.text import iso
from trader.commands.data_options import LogFile
from trader.commands.options import AsJson, emit, moment, rows, talk

if TYPE_CHECKING:
    from feeds.history import Fetched
    from trader.fetch import Request
    from trader.fetch_watch import Watch

SETTLE = 10 * SECOND
"""A venue may still be writing what has just happened: the newest moment is left to the next download."""
_KEY = "AMBERDATA_API_KEY"


def fetch(
    source: Annotated[
        str,
        typer.Argument(
            help="kraken-trades, kraken-ohlc, ccxt:EXCHANGE, amberdata:EXCHANGE, "
            "amberdata-latest:EXCHANGE, funding or open-interest."
        ),
    ] = "",
    lake: Annotated[Path, typer.Option("--lake", metavar="DIR", help="Folder of the lake.")] = Path("lake"),
    instruments: Annotated[
        str, typer.Option("--instruments", metavar="LIST", help="BTC/USD,ETH/USD or all.")
    ] = "",
    timeframes: Annotated[
        str, typer.Option("--timeframes", metavar="LIST", help="Of 1m,5m,15m,30m,1h,4h,1d; or all.")
    ] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="First instant, UTC; default: 30 days back.")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="First instant left out; default: now.")
    ] = "",
    preset: Annotated[
        str,
        typer.Option("--preset", metavar="NAME", help="five-minute-six-months or minute-and-hour-two-years."),
    ] = "",
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="Another host that serves the same paths.")
    ] = "",
    bars: Annotated[
        bool, typer.Option("--bars", help="Make 1m bars of every complete month of trades.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Count what was stored and compute all features over it.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin at --since whatever was downloaded before.")
    ] = False,
    log: LogFile = None,
    as_json: AsJson = False,
) -> int:
    """Download history into the lake. Run it again to go on where it ended, however it ended."""
    from trader.fetch import PRESETS, Request

    clock = LiveClock()
    chosen = PRESETS.get(preset)
    if preset and chosen is None:
        raise UsageError(f"--preset: expected one of {', '.join(PRESETS)}; found {preset!r}")
    settled = clock.now() - SETTLE
    end = min(moment("--until", until) if until else settled, settled)
    request = Request(
        source=source or (chosen.source if chosen else ""),
        lake=lake,
        instruments=_words(instruments) or (chosen.instruments if chosen else ()),
        timeframes=_timeframes(timeframes) or (chosen.timeframes if chosen else (Timeframe.H1,)),
        since=moment("--since", since) if since else (end - chosen.span if chosen else None),
        until=end,
        url=url,
        key=os.environ.get(_KEY, ""),
        bars=bars,
        restart=restart,
    )
    _refuse_impossible(request)
    _say_sunset(request)
    if request.kind == "amberdata-latest":
        return _latest(request, as_json=as_json)
    return _download(request, log=log, check=check, as_json=as_json)


def _download(request: "Request", *, log: Path | None, check: bool, as_json: bool) -> int:
    from trader.fetch_report import bar_series, lines, summary
    from trader.fetch_watch import watching

    results: list[Fetched] = []
    with watching(LiveClock(), log, [request.key] if request.key else []) as watch:
        failed, stopped = _run(request, results, watch)
    told = summary(request.source, str(request.lake), results, failed, interrupted=bool(stopped))
    if check and not stopped:
        from trader.dataset_check import check as checked

        told["check"] = checked(request.lake, bar_series(results))
    flat = [(name, value) for name, value in told.items() if not isinstance(value, list | dict)]
    emit(told, as_json=as_json, lines=[*rows(flat), *lines(told)])
    if stopped:
        return 128 + stopped
    return VenueError.exit_code if failed else 0


def _run(request: "Request", results: "list[Fetched]", watch: "Watch") -> tuple[list[str], int]:
    """Download until done or told to stop; gives what failed and the signal's number (0: none)."""
    from trader.fetch import fetch as download
    from trader.loop import run

    stopped = 0

    async def until_stopped() -> list[str]:
        nonlocal stopped
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def stop(number: int) -> None:
            nonlocal stopped
            stopped = number
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        try:
            return await download(request, results, clock=LiveClock(), watch=watch)
        except asyncio.CancelledError:
            if not stopped:
                raise
            task.uncancel()
            return []

    failed = run(until_stopped())
    return failed, stopped


def _latest(request: "Request", *, as_json: bool) -> int:
    from feeds.history_bars import MS
    from trader.fetch import latest
    from trader.fetch_watch import Watch
    from trader.loop import run

    newest = run(latest(request, clock=LiveClock(), watch=Watch()))
    names = ("ts", "open", "high", "low", "close", "volume")
    table = {symbol: dict(zip(names, row, strict=True)) for symbol, row in sorted(newest.items())}
    lines = [f"{symbol}  {iso(row[0] * MS)}  close {row[4]:g}" for symbol, row in sorted(newest.items())]
    emit({"source": request.source, "latest": table}, as_json=as_json, lines=lines)
    return 0


# ---- what the command line said ----


def _refuse_impossible(request: "Request") -> None:
    from trader.fetch import SOURCES

    known = {source.partition(":")[0]: ":" in source for source in SOURCES}
    if request.kind not in known or known[request.kind] != bool(request.exchange):
        raise UsageError(f"expected a source such as {', '.join(SOURCES)}; found {request.source!r}")
    if not all(letter.isalnum() or letter == "_" for letter in request.exchange):
        raise UsageError(f"expected the name of an exchange after the colon; found {request.exchange!r}")
    parts = urlsplit(request.url)
    if request.url and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise UsageError(f"--url: expected an address such as https://host; found {request.url!r}")
    if not request.instruments and request.kind != "amberdata-latest":
        raise UsageError("--instruments: expected a list such as BTC/USD,ETH/USD, or all; found none")
    if request.since is not None and request.since >= request.until:
        raise UsageError(f"--since: expected a time before {iso(request.until)}; found {iso(request.since)}")


def _say_sunset(request: "Request") -> None:
    from feeds.kraken_futures import SUNSET

    if request.kind in {"funding", "open-interest"} and request.until >= SUNSET:
        talk(f"trader: Kraken announced that this host answers until {iso(SUNSET)[:10]}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _timeframes(text: str) -> tuple[Timeframe, ...]:
    if text == "all":
        return TIMEFRAMES
    known = {timeframe.value: timeframe for timeframe in TIMEFRAMES}
    words = _words(text)
    for word in words:
        if word not in known:
            raise UsageError(f"--timeframes: expected some of {', '.join(known)}; found {word!r}")
    return tuple(known[word] for word in words)
