"""Configuration: TOML layers to one frozen value, with every refusal in one line.

Must not know how any value is used, and never holds a secret. Called by the command line, which
hands the result to the shells.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import platformdirs
from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from core.clock import Clock, LiveClock, ScaledClock
from core.errors import ConfigError, NotPermitted, UsageError
from core.instrument import Instrument
from risk.policy import ModelTerms
from trader import tables
from trader.layers import Layer, Tree, from_env, from_files, from_overrides, listed, merge, nearest, origin
from trader.setup import AccountSetup, DeskSetup, TraderSetup

BUILT_IN = "built-in default"
TABLES = ("account", "trader")
PATH_KEYS = (
    "account.*.key_file",
    "account.*.secret_file",
    "trader.*.model",
    "exchange.lake",
    "journal.directory",
    "recorder.directory",
)


class Explained(NamedTuple):
    """A value and the layer that set it."""

    key: str
    value: Any
    layer: str


class Config(tables.Table):
    """The resolved configuration."""

    mode: Literal["paper", "live"] = "paper"
    venue: tables.Venue = tables.Venue()
    execution: tables.Execution = tables.Execution()
    clock: tables.ClockTable = tables.ClockTable()
    accounts: tuple[tables.Account, ...] = Field(alias="account", min_length=1)
    traders: tuple[tables.Trader, ...] = Field(alias="trader", min_length=1)
    universe: tables.Universe
    feed: tables.Feed = tables.Feed()
    recorder: tables.Recorder = tables.Recorder()
    exchange: tables.Exchange = tables.Exchange()
    journal: tables.Journal
    dashboard: tables.Dashboard = tables.Dashboard()
    inference: tables.Inference = tables.Inference()
    shutdown: tables.Shutdown = tables.Shutdown()
    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _inherit_universe(cls, values: Any) -> Any:
        """Give a trader without instruments the whole universe, as far as it is named."""
        universe = values.get("universe")
        rows = values.get("trader")
        if not isinstance(universe, dict) or not isinstance(rows, list):
            return values
        named = universe.get("instruments", ())
        usual = {"instruments": named if isinstance(named, list | tuple) and "all" not in named else ()}
        return values | {"trader": [usual | row if isinstance(row, dict) else row for row in rows]}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        _check_names(self)
        _check_modes(self)
        return self

    @property
    def hash(self) -> str:
        """Give sha256 over the canonical values; there are no secrets among them."""
        canonical = json.dumps(self.tree(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def showcase(self) -> bool:
        """Tell whether any trader accepts trades that are expected to lose (a demonstration)."""
        return any(trader.policy.min_expected_value < 0 for trader in self.traders)

    def resolved(self, symbols: Sequence[str]) -> Self:
        """Spell a universe of "all" out; traders without instruments get what their account can pay."""
        currencies = {account.name: account.currency for account in self.accounts}
        traders = tuple(
            trader.model_copy(
                update={
                    "instruments": trader.instruments
                    or tuple(s for s in symbols if s.endswith(f"/{currencies[trader.account]}"))
                }
            )
            for trader in self.traders
        )
        universe = self.universe.model_copy(update={"instruments": tuple(symbols)})
        return self.model_copy(update={"universe": universe, "traders": traders})

    def with_model(self, trader: str, path: Path) -> Self:
        """Give this configuration with another model for a trader; raises UsageError for an unknown one."""
        names = [known.name for known in self.traders]
        if trader not in names:
            raise UsageError(f"expected a trader of {', '.join(names)}; found {trader!r}")
        traders = tuple(t.model_copy(update={"model": path}) if t.name == trader else t for t in self.traders)
        return self.model_copy(update={"traders": traders})

    def secrets(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """Give every secret that this configuration points to, so that logs can blank them."""
        if self.execution.style == "paper":
            return ()
        pairs = (account.credentials(env) for account in self.accounts)
        return tuple(value.get_secret_value() for pair in pairs for value in pair)

    def tree(self) -> Tree:
        """Give every value as JSON would hold it, keyed as in the TOML file."""
        return self.model_dump(mode="json", by_alias=True)

    def leaves(self) -> Iterator[str]:
        """Give every dotted key that has a value of its own."""
        yield from _leaves(self._named(), "")

    def explain(self, key: str) -> Explained:
        """Give the value at a dotted key and who set it; raises ConfigError for an unknown key."""
        value: Any = self._named()
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise ConfigError(
                    f"{key}: unknown key; {nearest(part, value if isinstance(value, dict) else ())}"
                )
            value = value[part]
        below = (layer for leaf, layer in self._origins.items() if f"{leaf}.".startswith(f"{key}."))
        return Explained(key, value, ", ".join(dict.fromkeys(below)) or BUILT_IN)

    def _named(self) -> Tree:
        return {k: {t["name"]: t for t in v} if k in TABLES else v for k, v in self.tree().items()}

    def make_clock(self) -> Clock:
        """Give the clock that all processes of this configuration share.

        Raises ConfigError for a scaled clock without `wall_epoch`, the moment it was started.
        """
        if not self.clock.scaled:
            return LiveClock()
        if not self.clock.wall_epoch:
            raise ConfigError(
                "clock.wall_epoch: expected the UTC moment at which market_epoch began; found none"
            )
        return ScaledClock(
            market_epoch=self.clock.market_epoch, wall_epoch=self.clock.wall_epoch, speed=self.clock.speed
        )

    def desk_setup(self, terms: Mapping[str, ModelTerms], instruments: Sequence[Instrument]) -> DeskSetup:
        """Join the configuration with what the models and the venue say of themselves."""
        return DeskSetup(
            mode=self.mode,
            venue=self.venue.name,
            accounts=tuple(AccountSetup(a.name, a.currency, a.cash) for a in self.accounts),
            traders=tuple(
                TraderSetup(
                    name=t.name,
                    code=t.code,
                    account=t.account,
                    stage=t.stage,
                    decision=terms[t.name].decision,
                    instruments=t.instruments,
                    policy=t.policy,
                    terms=terms[t.name],
                    timing=self.execution.timing,
                )
                for t in self.traders
            ),
            instruments=tuple(instruments),
        )


def load(
    paths: Sequence[Path], env: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Config:
    """Resolve defaults, files (each with its `.d` folder), environment and command line.

    Raises ConfigError, always one line: which layer, which key, what was expected and found.
    """
    merged = merge(
        (
            _defaults(env),
            *from_files(paths, tables=TABLES, path_keys=PATH_KEYS),
            from_env(env),
            from_overrides(overrides or {}),
        )
    )
    values = listed(merged.values, TABLES)
    named = ", ".join(map(str, paths)) or "no configuration file"
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, values, merged.origins, named)) from error
    config._origins = merged.origins  # noqa: SLF001  # pydantic's private attribute of our own class
    return config


def require_permission(config: Config, *, live_flag: bool) -> None:
    """Refuse real money unless both yeses are there; raises NotPermitted or ConfigError."""
    if live_flag and config.mode != "live":
        raise NotPermitted("expected mode = 'live' in the configuration beside --live; found 'paper'")
    if config.mode == "live" and not live_flag:
        raise NotPermitted("expected the --live flag beside mode = 'live'; found none")
    if config.mode == "live" and config.venue.name != "loopback":
        raise ConfigError(
            "mode = 'live' at a real exchange is not built yet; use the loopback venue or mode = 'paper'"
        )


def _check_names(config: Config) -> None:
    accounts = {account.name: account for account in config.accounts}
    codes = [trader.code for trader in config.traders]
    if len(set(codes)) != len(codes):
        raise ValueError(f"trader: expected different codes; found {', '.join(codes)}")
    taken = [trader.account for trader in config.traders]
    if len(set(taken)) != len(taken):
        raise ValueError(f"trader: expected one trader for each account; found accounts {', '.join(taken)}")
    for trader in config.traders:
        here = f"trader.{trader.name}"
        account = accounts.get(trader.account)
        if account is None:
            raise ValueError(f"{here}.account: {nearest(trader.account, accounts)}; found '{trader.account}'")
        for symbol in trader.instruments:
            if symbol not in config.universe.instruments and not config.universe.every:
                hint = nearest(symbol, config.universe.instruments)
                raise ValueError(f"{here}.instruments: {symbol} is not in universe.instruments; {hint}")
            if not symbol.endswith(f"/{account.currency}"):
                raise ValueError(
                    f"{here}.instruments: expected pairs quoted in {account.currency}, "
                    f"the currency of account '{account.name}'; found {symbol}"
                )


def _check_modes(config: Config) -> None:
    at_kraken = config.venue.name == "kraken"
    if at_kraken and config.clock.scaled:
        raise ValueError("clock: expected real time at venue 'kraken'; a scaled clock needs the loopback")
    if at_kraken and config.execution.style == "venue" and config.mode == "paper":
        raise ValueError(
            "execution.style: expected 'paper' with mode 'paper' at venue 'kraken'; found 'venue'"
        )
    if config.mode == "live" and config.execution.style == "paper":
        raise ValueError("execution.style: expected 'venue' with mode 'live'; found 'paper'")


def _leaves(tree: Tree, above: str) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _defaults(env: Mapping[str, str]) -> Layer:
    state = env.get("STATE_DIRECTORY") or platformdirs.user_state_dir("seamark")
    return Layer(BUILT_IN, {"journal": {"directory": state}})


def _sentence(error: ValidationError, values: Tree, origins: Mapping[str, str], files: str) -> str:
    """Say the first problem in one line."""
    # A misspelt key is the cause, what is missing because of it only the effect.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    key = ".".join(_key(first, values))
    text = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    if not key:  # checks across tables name their keys themselves
        key, _, text = text.partition(": ")
    elif first["type"] == "extra_forbidden":
        text = f"unknown key; {nearest(key.rpartition('.')[2], _known(key))}"
    elif first["type"] == "missing":
        text = f"missing{_meant(first, values)}"
    elif first["type"] not in {"said", "value_error"}:
        words = text.replace("Input should be ", "expected ").replace("Input should", "expected to")
        text = f"{words}; found {_short(first['input'])}"
    return f"{origin(origins, key, files)}: {key}: {text}"


def _meant(missing: ErrorDetails, values: Tree) -> str:
    """Guess the table that a misspelt name was to change: layers make a new one of it."""
    table, row, *_ = (*missing["loc"], "")
    if table not in TABLES:
        return ""
    names = [entry["name"] for entry in values[str(table)]]
    close = difflib.get_close_matches(names.pop(int(row)), names, n=1)
    return f"; did you mean {table} '{close[0]}'?" if close else ""


def _key(problem: ErrorDetails, values: Tree) -> list[str]:
    keys = [str(part) for part in problem["loc"]]
    if len(keys) > 1 and keys[0] in TABLES:
        keys[1] = values[keys[0]][int(keys[1])]["name"]
    if extra := problem.get("ctx", {}).get("key"):
        keys.append(extra)
    return keys


def _known(key: str) -> list[str]:
    """Give the names that are allowed where `key` stands."""
    model: Any = Config
    parts = key.split(".")[:-1]
    if parts and parts[0] in TABLES:
        del parts[1:2]
    for part in parts:
        field = next(f for n, f in model.model_fields.items() if part == (f.alias or n))
        model = next(iter(getattr(field.annotation, "__args__", ())), field.annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
