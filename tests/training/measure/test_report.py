"""The page: what its first line says by which rule, and that the same answers write the same bytes."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import DataError, UsageError
from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import Lake
from inference.card import Interval
from tests.training.measure.by_hand import kept_of, noise
from training.measure import compare, gather, report, tables, verdicts
from training.measure.carded import Carded
from training.measure.gather import Options
from training.measure.traded import AtFees, Traded
from training.members.kept import TEST, save
from training.thresholds import Tuned

MARKET, DESK = Path("configs/market"), Path("configs/walkforward/desk.toml")
NONE = Interval(None, None, None)


def made(name: str, *, rows: int = 600, skill: float = 0.6, **subject: object):
    kind, p = noise(rows, 1, skill=skill)
    _, trees = noise(rows, 3, skill=0.0)
    first = parse_iso("2024-05-01")
    bars = Lake(MARKET).read(
        "binance", "BTC/USDT", Timeframe.M5, start=first, end=first + rows * 3600 * 10**9
    )
    close = bars.close[11::12]
    kept = kept_of(
        kind,
        {"hybrid": p, "lightgbm": trees},
        ts=bars.ts_close[11::12],
        fold=np.where(np.arange(rows) < rows // 2, 1, TEST),
        name=name,
        **{"instruments": ("BTC/USDT",)} | subject,
    )
    return replace(kept, close=close, atr=0.004 * close, ts_end=kept.ts + 2 * 3600 * 10**9)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    save(folder / "fusion-15m.npz", made("fusion-15m", spec="mtf", model_hash="ab"))
    save(folder / "regime.npz", made("regime", kind="regime"))
    (folder / report.LEFT).write_text("minutes: there are none\n")
    return folder


@pytest.fixture(scope="module")
def page(work, tmp_path_factory) -> tuple[Path, report.Written]:
    out = tmp_path_factory.mktemp("out") / "models.md"
    options = Options(MARKET, DESK, runs=work / "runs", shipped=Path("configs/models"))
    return out, report.write([work], out, options, command="training report")


def test_the_first_line_answers(page):
    out, written = page
    first = out.read_text().splitlines()[2]
    assert first == f"**{written.headline}**"
    assert written.headline.startswith("The fusion network fusion-15m beats the trees (lightgbm)")
    assert "Kraken's base fees" in written.headline


def test_all_parts_are_there(page):
    out, _ = page
    text, detail = out.read_text(), (out.parent / "models_by_pair.md").read_text()
    for part in (
        "## By timeframe",
        "### fusion-15m",
        "### regime-1h",
        "ratio above 0.8",
        "- minutes: there are none",
        "| flat |",
    ):
        assert part in text
    assert detail.count("<details>") == detail.count("</details>") == 2
    assert "BTC/USDT" in detail
    assert (out.parent / "models-sharpe.svg").read_text().startswith("<?xml")
    assert (out.parent / "models-reliability.svg").read_text().count("</svg>") == 1


def test_the_same_answers_write_the_same_bytes_and_runs_are_found_again(page, work, tmp_path):
    out, written = page
    assert len(list((work / "runs").iterdir())) == 2
    before = {file: file.stat().st_mtime_ns for file in (work / "runs").iterdir()}
    again = report.write(
        [work],
        tmp_path / "models.md",
        Options(MARKET, DESK, runs=work / "runs", shipped=Path("configs/models")),
        command="training report",
    )
    assert again == written
    assert {file: file.stat().st_mtime_ns for file in (work / "runs").iterdir()} == before
    for name in (
        "models.md",
        "models.json",
        "models_by_pair.md",
        "models-sharpe.svg",
        "models-reliability.svg",
    ):
        assert (tmp_path / name).read_bytes() == (out.parent / name).read_bytes(), name


def test_the_json_is_the_figures_a_line_each(page):
    _, written = page
    found = msgspec.json.decode(written.json, type=gather.Figures)
    assert {model.name for model in found.models} == {"fusion-15m", "regime"}
    assert len(written.json.splitlines()) > len(found.rows)


def test_quick_trades_baselines_at_both_ends_alone(work):
    kepts = gather.read([work], ["fusion-15m"])
    found = gather.figures(kepts, Options(MARKET, DESK, runs=work / "runs", quick=True))
    counts = {one.voice: [at.schedule for at in one.fees] for one in found.traded}
    assert len(counts["hybrid"]) == 5
    assert counts["lightgbm"] == ["gross", "kraken"]


def test_folders_without_answers_are_refused(work, tmp_path):
    with pytest.raises(DataError, match=r"expected kept answers"):
        gather.read([tmp_path])
    with pytest.raises(DataError, match=r"expected kept answers of nobody; found fusion-15m"):
        gather.read([work], ["nobody"])
    with pytest.raises(DataError, match=r"found fusion-15m again"):
        gather.read([work, work])


def test_a_network_that_reads_columns_is_a_network_and_no_tree():
    kind, p = noise(50, 1)
    for voice, family in (
        ("ft_small", "network"),
        ("tcn", "network"),
        ("trees", "trees"),
        ("lightgbm", "trees"),
    ):
        assert gather.family(kept_of(kind, {voice: p}, spec="entry_1h"), voice) == family


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high)


def run_of(model: str, schedule: str, sharpe: Interval) -> Traded:
    at = AtFees(
        schedule=schedule,
        tuned=Tuned(0.5, 0.5),
        sharpe=sharpe,
        total=0.0,
        trades=10,
        turnover=1.0,
        depth=0.0,
        net_bps=0.0,
        fees_bps=0.0,
        random=NONE,
        pairs=(),
    )
    return Traded(
        model=model, voice=model, own=True, decision="1h", venue="binance", bars="1h", days=365, fees=(at,)
    )


def figures_of(*runs: Traded, gain: Interval = NONE) -> gather.Figures:
    fusion = gather.model(made("fusion-15m", rows=60, spec="mtf"))
    beside = tables.Compared(
        model="fusion-15m", first="hybrid", second="lightgbm", rows=60, auc=interval(-0.1, 0.1), gain=gain
    )
    return gather.Figures(
        models=(fusion,),
        rows=(),
        traded=runs,
        compared=(beside,),
        against_hour=(),
        curves=(),
        multiplicity=tables.multiplicity(()),
        bootstrap="",
        not_measured=(),
    )


@pytest.mark.parametrize(
    "gain, said",
    [
        (interval(0.001, 0.003), "The fusion network fusion-15m beats the trees"),
        (interval(-0.003, -0.001), "The trees (lightgbm) beat the fusion network"),
        (interval(-0.003, 0.001), "cannot be told apart"),
    ],
)
def test_who_beats_whom_follows_from_the_interval(gain, said):
    assert said in verdicts.headline(figures_of(gain=gain))


def test_networks_stand_beside_the_shipped_trees_of_their_closes(tmp_path):
    trees = made("entry-1h", skill=0.0, spec="entry_1h", model_hash="cd")
    trees = replace(
        trees, voices={"trees": trees.p}, subject=msgspec.structs.replace(trees.subject, model="trees")
    )
    network = made("fusion-1h", spec="mtf", model_hash="ab", kind="entry")
    still = [replace(kept, fold=np.zeros(len(kept), np.int8)) for kept in (network, trees)]
    found = gather.figures(still, Options(MARKET, DESK))
    assert [(one.model, one.second) for one in found.compared] == [
        ("fusion-1h", "lightgbm"),
        ("fusion-1h", "entry-1h"),
    ]
    assert verdicts.trees_against_fusion(found).count("beats the trees") == 2
    assert {one.why_not for one in found.traded} == {"no out-of-fold rows to set a threshold by"}


def test_a_loss_is_said_as_plainly_as_a_profit():
    bad = verdicts.fees(figures_of(run_of("net-1h", "kraken", interval(-3.0, 1.0))))
    assert bad.startswith("Nothing earns Kraken's base fees: of 1 runs none")
    good = verdicts.fees(figures_of(run_of("net-1h", "kraken", interval(0.5, 2.0))))
    assert good.startswith(
        "1 of 1 runs earn Kraken's base fees (0.0 would by chance): net-1h; look for a leak"
    )


def test_a_voice_that_never_trades_is_no_loss_and_no_profit():
    still = msgspec.structs.replace(run_of("net-1h", "gross", NONE).fees[0], trades=0)
    one = msgspec.structs.replace(run_of("net-1h", "gross", NONE), fees=(still,))
    assert "1 of 1 voices never traded" in verdicts.fees(figures_of(one))


def card_of(gain: Interval, rival: float) -> Carded:
    return Carded(
        name="regime-1h",
        kind="regime",
        decision="1h",
        venue="binance",
        pairs=9,
        says="high",
        rule="",
        start="",
        end="",
        rows=100,
        trials=1,
        share=0.2,
        gain=gain,
        auc=interval(0.6, 0.8),
        rival="an average",
        auc_rival=interval(0.6, 0.8),
        log_loss=0.40,
        log_loss_base=0.50,
        log_loss_rival=rival,
    )


@pytest.mark.parametrize(
    "gain, rival, good",
    [
        (interval(0.05, 0.15), 0.45, "telling when it will be high"),
        (interval(0.05, 0.15), 0.35, "no more than an average, which is simpler"),
        (interval(-0.05, 0.15), 0.45, "nothing that was measured here"),
    ],
)
def test_a_card_is_judged_beside_its_rival(gain, rival, good):
    assert f"**Good for: {good}.**" in verdicts.of_card(card_of(gain, rival))


def test_the_floor_of_a_sharpe_ratio_asks_for_the_interval_too():
    said = list(verdicts.targets(figures_of(run_of("net-1h", "gross", interval(-1.0, 3.0)))))
    assert said[0].startswith(
        "**Does any trial have a Sharpe ratio above 0.8 before fees? Yes:** 1 of 1 runs, and 0"
    )
    assert "No hourly model" in said[-1]


def test_kept_answers_are_compared_on_the_rows_that_both_have(work):
    one = f"{work / 'fusion-15m.npz'}"
    found = compare.side_by_side(one, f"{one}:lightgbm")
    assert found.rows == 300
    assert found.gain.low > 0
    assert found.sentence.startswith("The first is better")
    assert msgspec.json.decode(found.json())["rows"] == 300
    assert "log loss" in found.text()
    kept = made("shifted")
    other = kept.only(np.arange(len(kept)) % 3 == 0)
    half = compare.of_kept(kept, "hybrid", other, "hybrid", seed=1)
    assert half.rows == 100
    assert half.sentence.startswith("They cannot be told apart")


def test_what_cannot_be_compared_is_refused(work):
    one = f"{work / 'fusion-15m.npz'}"
    with pytest.raises(UsageError, match=r"expected a voice of hybrid, lightgbm; found 'oracle'"):
        compare.side_by_side(one, f"{one}:oracle")
    with pytest.raises(UsageError, match=r"two artifact folders or two \.npz files"):
        compare.side_by_side(one, "configs/models/entry-5m")
    cards = compare.side_by_side("configs/models/entry-5m", "configs/models/entry-1h")
    assert (cards.rows, cards.gain.value) == (0, None)
    assert "bps a trade, kraken" in cards.text()
