"""The group `trader data`: market history in and out of a lake.

Must not know what the commands do. Called by trader.cli. A new command is one line of the table.
"""

from collections.abc import Callable

import typer

from trader.commands import data_columns, data_export, data_fetch, data_import, data_state
from trader.commands.options import examples

app = typer.Typer(no_args_is_help=True, help="Fetch, import, verify, judge and export market history.")
COMMANDS: dict[str, tuple[Callable[..., int | None], tuple[str, ...]]] = {
    "fetch": (
        data_fetch.fetch,
        (
            "data fetch kraken-trades --instruments BTC/USD --since 2024-01-01 --bars",
            "data fetch kraken-ohlc --instruments all --timeframes all --lake lake",
            "data fetch ccxt:binance --instruments BTC/USDT --timeframes 1m,1h --since 2024-01-01",
            "data fetch --preset five-minute-six-months --check --log logs/data_download_5m.log",
            "data fetch amberdata:kraken --instruments BTC/USD --timeframes 1h",
            "data fetch funding --instruments PF_XBTUSD --json",
        ),
    ),
    "import-zip": (
        data_import.import_zip,
        (
            "data import-zip Kraken_OHLCVT.zip --lake lake --log logs/import.log",
            "data import-zip Kraken_Trading_History.zip --lake lake --bars --instruments BTC/USD,ETH/USD",
        ),
    ),
    "list": (data_state.list_series, ("data list --lake configs/market", "data list --lake lake --json")),
    "verify": (data_state.verify, ("data verify --lake configs/market", "data verify --lake lake --json")),
    "report": (
        data_state.report,
        ("data report --lake lake", "data report --lake lake --max-missing 80 --max-gap-h 24 --json"),
    ),
    "columns": (
        data_columns.data_columns,
        (
            "data columns --lake configs/market --timeframes 5m --all",
            "data columns --lake lake --venue kraken --instruments BTC/USD --spec entry_15m --json",
        ),
    ),
    "export": (
        data_export.export,
        (
            "data export --lake configs/market --venue binance --format parquet --out export",
            "data export --lake configs/market --venue binance --format pickle --out crypto_5m.pkl",
        ),
    ),
}
for name, (command, lines) in COMMANDS.items():
    app.command(name, epilog=examples(*lines))(command)
