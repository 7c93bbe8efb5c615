"""What a voice would have earned: its kept answers traded by the real engine at every fee schedule.

Must not know how answers came about or pages. Called by training.measure.report, one voice a process. The
threshold of each schedule comes from the voice's out-of-fold rows before the test span and from nothing else;
the test span is then traded once, whatever validation said of its prospects, and what is left if one had
stood aside where validation saw no profit follows from `pays`.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays, Lake, Series
from inference.card import Interval
from risk.policy import ModelTerms
from trader.backtest.opinion_table import OpinionTable, TabledOpinions
from trader.backtest.result import BacktestResult
from trader.backtest.run import trade
from trader.backtest.source import GridLake, Recorded
from trader.config import Config
from trader.evaluation.daily import returns_of
from training import bootstrap
from training.measure import shelf
from training.measure.sharpe import chance, daily, held, sharpe
from training.members.kept import TEST, Kept
from training.thresholds import Tuned, tune
from training.trades import SCHEDULES, Outcomes
from training.walkforward.desk import acting, desk, only

NAMES = tuple(fees.name for fees in SCHEDULES)
WHOLE = 0.9
"""Share of the equity that all pairs together may hold at most; each has an equal part of it."""
PART = 0.1
"""No pair holds more than this share, however few there are."""

STEPS = 4
"""Bars to a decision that are fine enough to see which barrier was met first."""

Floats = npt.NDArray[np.float64]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's part in a run: the Sharpe ratio of what it added to the equity each day."""

    instrument: str
    trades: int
    net_bps: float | None
    sharpe: Interval


class AtFees(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `turnover` is notional traded a year over the cash, `depth` the deepest fall of the equity.

    `random` is the mean and the middle 95 % of the Sharpe ratios of the same trades entered at random.
    `net_bps` is the mean result per trade after fees, of notional.
    """

    schedule: str
    tuned: Tuned
    sharpe: Interval
    total: float
    trades: int
    turnover: float
    depth: float
    net_bps: float | None
    fees_bps: float | None
    random: Interval
    pairs: tuple[Pair, ...]


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """A voice at all schedules, beside holding all pairs; `why_not` says why nothing was traded.

    `own`: it is the model's own voice, no baseline on its rows. `bars` are those on which stops and
    targets were walked.
    """

    model: str
    voice: str
    own: bool
    decision: str
    venue: str
    bars: str = ""
    start: str = ""
    end: str = ""
    days: int = 0
    hold: Interval = Interval(None, None, None)
    hold_total: float = 0.0
    fees: tuple[AtFees, ...] = ()
    why_not: str = ""


class Outcome(NamedTuple):
    """The figures, and the daily returns [days] behind them by schedule, from the day `first` on."""

    traded: Traded
    returns: dict[str, Floats]
    first: int


class Job(NamedTuple):
    """Everything that decides a result. `kept` need hold no other voice than the one asked for."""

    kept: Kept
    voice: str
    lake: Path
    desk: Path
    schedules: tuple[str, ...] = NAMES
    seed: int = 1
    runs: Path | None = None
    """Where runs are kept and found again."""

    def __str__(self) -> str:
        return f"{self.kept.subject.name} {self.voice}"


def job(kept: Kept, voice: str, lake: Path, desk: Path, *, seed: int = 1, runs: Path | None = None) -> Job:
    """Give the job of one voice, without the others' answers: it travels to another process."""
    rows = kept.only(np.flatnonzero(np.isfinite(kept.voices[voice]).all(axis=1)))
    alone = replace(rows, voices={voice: rows.voices[voice]})
    return Job(alone, voice, lake, desk, seed=seed, runs=runs)


def trades_of(kept: Kept) -> bool:
    """Tell whether a model's answers are sides that can be traded."""
    return kept.subject.kind == "entry" and {"down", "up"} <= set(kept.subject.classes)


def work(job: Job) -> Outcome:
    """Trade one voice at each schedule; a voice that cannot be traded says why in one line."""
    kept, subject = job.kept, job.kept.subject
    head = Traded(
        model=subject.name,
        voice=job.voice,
        own=job.voice == subject.model,
        decision=subject.decision,
        venue=subject.venue,
    )
    tested = kept.only(kept.fold == TEST)
    early = before(kept)
    if not len(tested) or not len(early):
        lacks = "no rows of the test span" if not len(tested) else "no out-of-fold rows to set a threshold by"
        return Outcome(msgspec.structs.replace(head, why_not=lacks), {}, 0)
    start = int(tested.ts.min()) // DAY * DAY
    end = -(-int(tested.ts_end.max()) // DAY) * DAY
    traders = [subject.instruments[number] for number in np.unique(tested.instrument).tolist()]
    path = walked_on(Lake(job.lake), kept, traders)
    series = [Series(subject.venue, name, path) for name in traders]
    with only(job.lake, series) as lake, tempfile.TemporaryDirectory(prefix="seamark-no-model-") as none:
        config = desk(job.desk, subject.venue, traders, Path(none))
        recorded = Recorded(GridLake(lake, config), series, start, end, keep=True)
        name = shelf.key(
            kept, recorded.content_hash(), job.desk.read_bytes(), job.voice, job.schedules, job.seed
        )
        if (known := shelf.find(job.runs, name)) is not None:
            return _unfolded(known)
        bars = [recorded.bars(one, start, end) for one in series]
        told = msgspec.structs.replace(
            head,
            bars=path.value,
            start=iso(start)[:10],
            end=iso(end)[:10],
            days=(end - start) // DAY,
        )
        outcome = _lived(job, told, config, recorded, bars=bars, rows=(early, tested))
        shelf.keep(job.runs, name, _folded(outcome))
    # Read back even what was made just now: a run that is found must not differ by a digit.
    return _unfolded(_folded(outcome))


def _lived(
    job: Job,
    told: Traded,
    config: Config,
    recorded: Recorded,
    *,
    bars: list[BarArrays],
    rows: tuple[Kept, Kept],
) -> Outcome:
    """Trade the rows of the test span, the second of `rows`, at each schedule."""
    (early, tested), figures, returns = rows, [], {}
    start, end = recorded.since, recorded.end
    drawn = bootstrap.day_weights((end - start) // DAY, job.seed)
    names = [one.instrument for one in bars]
    table, terms = tabled(tested, job.voice, names), _terms(tested, job.voice)
    for fees in SCHEDULES:
        if fees.name not in job.schedules:
            continue
        tuned = tune(outcomes(early), sides(early, job.voice), fees, seed=job.seed)
        acts = _sized(acting(config, fees.name, min(1.0, tuned.threshold)), len(names), tested)
        (trader,) = acts.traders
        opinions = TabledOpinions({trader.name: table})
        result = trade(acts, recorded, opinions, {trader.name: terms}, start=start, end=end)
        at, lines = _figures(result, tuned, bars, schedule=fees.name, drawn=drawn, seed=job.seed)
        figures.append(at)
        returns[fees.name] = lines
    holding = held(bars, start, end)
    whole = msgspec.structs.replace(
        told,
        hold=sharpe(holding, drawn),
        hold_total=float(np.prod(1.0 + holding) - 1.0),
        fees=tuple(figures),
    )
    return Outcome(whole, returns, start // DAY)


def before(kept: Kept) -> Kept:
    """Give the rows out of fold that a threshold may rest on: what followed was over by the test span."""
    known = (kept.fold != TEST) & (kept.kind >= 0)
    tested = kept.ts[kept.fold == TEST]
    return kept.only(known & (kept.ts_end <= tested.min()) if len(tested) else known)


def walked_on(lake: Lake, kept: Kept, instruments: list[str]) -> Timeframe:
    """Give the bars on which stops and targets are walked: recorded, and at least four to a decision.

    The coarsest such bars that reach from each instrument's first answer of the test span to its last, since
    the engine's time goes with the bars on which a position is open; the answers' own source where there
    are none.
    """
    decision = Timeframe(kept.subject.decision)
    there = {(one.instrument, one.timeframe) for one in lake.series() if one.venue == kept.subject.venue}
    shared = [t for t in Timeframe if all((name, t) in there for name in instruments)]
    fine = sorted((t for t in shared if t.ns * STEPS <= decision.ns), key=lambda t: t.ns, reverse=True)
    whole = (t for t in fine if all(_reaches(lake, kept, name, t) for name in instruments))
    return next(whole, Timeframe(kept.subject.source))


def _reaches(lake: Lake, kept: Kept, name: str, timeframe: Timeframe) -> bool:
    number = kept.subject.instruments.index(name)
    ts = kept.ts[(kept.fold == TEST) & (kept.instrument == number)]
    first, last = int(ts.min()), int(ts.max())
    bars = lake.read(kept.subject.venue, name, timeframe, start=first, end=last + timeframe.ns)
    return bool(len(bars) and bars.ts_open[0] <= first and bars.ts_close[-1] >= last)


def tabled(kept: Kept, voice: str, instruments: list[str]) -> OpinionTable:
    """Put rows into a table of closes and instruments; where there is no row, nothing is said."""
    closes = np.unique(kept.ts)
    names = [instruments.index(name) if name in instruments else -1 for name in kept.subject.instruments]
    row, column = np.searchsorted(closes, kept.ts), np.array(names)[kept.instrument]
    shape = (len(closes), len(instruments))
    p, scales, usable = np.zeros((*shape, 3)), np.zeros((*shape, 3)), np.zeros(shape, np.bool_)
    p[row, column] = sides(kept, voice)
    scales[row, column] = np.column_stack([kept.atr, kept.volatility, kept.close])
    usable[row, column] = True
    return OpinionTable(
        model_hash=_terms(kept, voice).model_hash,
        decision=Timeframe(kept.subject.decision),
        instruments=tuple(instruments),
        members=(voice,),
        ts_close=closes,
        usable=usable,
        reason=np.where(usable, 0, 1).astype(np.uint32),
        reasons=("", "not asked"),
        p=p,
        scales=scales,
        spread=np.zeros(shape),
        age_s=np.zeros(shape),
    )


def sides(kept: Kept, voice: str) -> Floats:
    """Give the chances of down, hold and up [n, 3]; DataError for classes that are no sides."""
    classes = kept.subject.classes
    if not {"down", "up"} <= set(classes):
        raise DataError(f"{kept.subject.name}: expected classes with down and up; found {', '.join(classes)}")
    p = kept.voices[voice].astype(np.float64)
    found = np.zeros((len(p), 3))
    found[:, 0], found[:, 2] = p[:, classes.index("down")], p[:, classes.index("up")]
    found[:, 1] = 1.0 - found[:, 0] - found[:, 2]
    return found


def outcomes(kept: Kept) -> Outcomes:
    """Give what each row would have led to."""
    return Outcomes(kept.instrument, kept.ts, kept.ts_end, kept.long_return, kept.short_return)


class _Shelved(msgspec.Struct, frozen=True):
    traded: Traded
    returns: dict[str, list[float]]
    first: int


def _folded(outcome: Outcome) -> bytes:
    lines = {name: line.tolist() for name, line in outcome.returns.items()}
    return msgspec.json.encode(_Shelved(outcome.traded, lines, outcome.first))


def _unfolded(body: bytes) -> Outcome:
    found = msgspec.json.decode(body, type=_Shelved)
    lines = {name: np.array(line, np.float64) for name, line in found.returns.items()}
    return Outcome(found.traded, lines, found.first)


def _terms(kept: Kept, voice: str) -> ModelTerms:
    subject = kept.subject
    return ModelTerms(
        subject.model_hash or f"kept {subject.name} {voice}",
        subject.name,
        Timeframe(subject.decision),
        subject.barrier_atr,
        subject.horizon_bars,
    )


def _sized(config: Config, pairs: int, kept: Kept) -> Config:
    """Leave every pair its equal part, so that what one does never keeps another one out."""
    (trader,) = config.traders
    barrier = kept.subject.barrier_atr
    policy = msgspec.structs.replace(
        trader.policy,
        max_position_notional=min(PART, WHOLE / pairs),
        max_open_positions=pairs,
        stop_atr=barrier,
        target_atr=barrier,
    )
    return config.model_copy(update={"traders": (trader.model_copy(update={"policy": policy}),)})


def _figures(
    result: BacktestResult,
    tuned: Tuned,
    bars: list[BarArrays],
    *,
    schedule: str,
    drawn: Floats,
    seed: int,
) -> tuple[AtFees, Floats]:
    start, end, cash = result.start, result.end, float(result.cash)
    equity = daily([(row[0], row[2]) for row in result.curve], cash, start, end)
    returns = returns_of(equity)
    trips = result.trips
    notional = sum(float(trip.entry * trip.quantity) for trip in trips)
    net = sum(float(trip.net) for trip in trips)
    fees = sum(float(trip.fees + trip.margin_fees) for trip in trips)
    pairs = []
    for one in bars:
        own = [trip for trip in trips if trip.instrument == one.instrument]
        worth = sum(float(trip.entry * trip.quantity) for trip in own)
        line = daily([(row[0], row[2]) for row in result.pairs if row[1] == one.instrument], 0.0, start, end)
        pairs.append(
            Pair(
                instrument=one.instrument,
                trades=len(own),
                net_bps=1e4 * sum(float(trip.net) for trip in own) / worth if worth else None,
                sharpe=sharpe(np.diff(line) / np.maximum(equity[:-1], 1e-9), drawn),
            )
        )
    told = AtFees(
        schedule=schedule,
        tuned=tuned,
        sharpe=sharpe(returns, drawn),
        total=float(equity[-1] / cash - 1.0),
        trades=len(trips),
        turnover=sum(float(trip.turnover) for trip in trips) / cash * 365.0 * DAY / (end - start),
        depth=result.max_drawdown,
        net_bps=1e4 * net / notional if notional else None,
        fees_bps=1e4 * fees / notional if notional else None,
        random=chance(trips, bars, cash=cash, start=start, end=end, seed=seed),
        pairs=tuple(pairs),
    )
    return told, returns
