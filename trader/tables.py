"""The tables of the configuration: one frozen model for each, with its limits.

Must not know files, layers or the environment's spelling of keys; holds the names of secrets and
never a secret. Called by trader.config, which joins the tables and checks them together.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from core.clock import SECOND
from core.errors import ConfigError, NotPermitted
from core.text import iso, parse_iso
from execution.state import Timing
from risk.policy import RiskPolicy
from trader.layers import nearest
from venue.exchange_fees import SCHEDULES
from venue.exchange_orders import FeeSchedule
from venue.exchange_positions import MarginRules
from venue.exchange_settings import ExchangeRules

LOOPBACK = ("ws://127.0.0.1:8790/v2", "ws://127.0.0.1:8790/v2-auth", "http://127.0.0.1:8790")
KRAKEN = ("wss://ws.kraken.com/v2", "wss://ws-auth.kraken.com/v2", "https://api.kraken.com")


def _moment(value: object) -> object:
    """Read a TOML date-time or an ISO text as ns UTC; `0` means not set."""
    if isinstance(value, datetime):
        return parse_iso(value.isoformat())
    return parse_iso(value) if isinstance(value, str) else value


def _policy(value: object) -> object:
    if not isinstance(value, dict):
        return value
    for key in value:
        if key not in RiskPolicy.__struct_fields__:
            hint = nearest(key, RiskPolicy.__struct_fields__)
            raise _at(key, f"unknown key; {hint}")
    try:
        return msgspec.convert(value, RiskPolicy, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        key = path.rstrip("`")
        words = text.replace("`", "").replace("Expected", "expected").partition(", got")[0]
        raise _at(key, f"{words}; found {value.get(key)!r}") from error
    except ConfigError as error:  # beyond the ceilings that risk keeps in code
        path, _, text = str(error).partition(": ")
        raise _at(path.removeprefix("risk."), text.replace(", found", "; found")) from error


Moment = Annotated[int, BeforeValidator(_moment), PlainSerializer(iso, when_used="json")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]+/[A-Z0-9]+$")]
Chosen = Annotated[str, Field(pattern=r"^([A-Z0-9]+/[A-Z0-9]+|all)$")]
Fraction = Annotated[Decimal, Field(ge=0, lt=Decimal("0.1"))]
PolicyTable = Annotated[RiskPolicy, BeforeValidator(_policy), PlainSerializer(msgspec.to_builtins)]


class Table(BaseModel):
    """Unknown keys are errors and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Venue(Table):
    """Where market data and, with `execution.style = "venue"`, orders go."""

    name: Literal["loopback", "kraken"] = "loopback"
    ws_public: str = ""
    ws_private: str = ""
    rest: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill_addresses(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        usual = KRAKEN if values.get("name") == "kraken" else LOOPBACK
        return dict(zip(("ws_public", "ws_private", "rest"), usual, strict=True)) | values

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        for key in ("ws_public", "ws_private", "rest"):
            parts = urlsplit(getattr(self, key))
            if self.name == "loopback" and parts.hostname != "127.0.0.1":
                raise _at(
                    key,
                    f"expected an address on 127.0.0.1, for venue.name is 'loopback'; found {parts.netloc!r}",
                )
            secure = parts.scheme in {"wss", "https"} and str(parts.hostname).endswith(".kraken.com")
            if self.name == "kraken" and not secure:
                raise _at(key, f"expected an encrypted address of kraken.com; found {parts.geturl()!r}")
        return self


class Execution(Table):
    """`paper`: orders fill in this process at the feed's prices. `venue`: they go to the venue."""

    style: Literal["venue", "paper"] = "paper"
    entry_deadline_s: float = Field(default=5.0, ge=0.5, le=60)
    protect_deadline_s: float = Field(default=2.0, ge=0.5, le=60)
    settle_s: float = Field(default=3.0, gt=0, le=600)
    ask_again_s: float = Field(default=15.0, gt=0, le=3600)

    @property
    def timing(self) -> Timing:
        """Give execution its patience; market time, as the venue's deadlines are."""
        return Timing(
            entry_deadline_s=self.entry_deadline_s,
            protect_deadline_s=self.protect_deadline_s,
            settle_s=self.settle_s,
            ask_again_s=self.ask_again_s,
        )


class ClockTable(Table):
    """Market time against wall time; anything but real time needs the loopback venue."""

    speed: float = Field(default=1.0, gt=0, le=3600)
    market_epoch: Moment = 0
    wall_epoch: Moment = 0

    @property
    def scaled(self) -> bool:
        """Tell whether market time is not simply UTC."""
        return self.speed != 1.0 or self.market_epoch != 0


class Account(Table):
    """One account; the key and the secret are read from where these names point."""

    name: Name
    cash: Decimal = Field(default=Decimal(10000), gt=0)
    currency: str = Field(default="USD", pattern=r"^[A-Z0-9]+$")
    key_env: str = ""
    secret_env: str = ""
    key_file: str = ""
    secret_file: str = ""
    any_address: bool = False

    def credentials(self, env: Mapping[str, str]) -> "Credentials":
        """Read key and secret; raises NotPermitted where one is missing or unreadable."""
        return Credentials(
            key=_secret(self.name, "key", (self.key_file, self.key_env), env),
            secret=_secret(self.name, "secret", (self.secret_file, self.secret_env), env),
        )


class Credentials(NamedTuple):
    """What signs requests; neither value shows in a repr."""

    key: SecretStr
    secret: SecretStr


class Trader(Table):
    """One strategy: a model, its instruments and its limits, on one account."""

    name: Name
    code: str = Field(pattern=r"^[A-Z0-9]{2}$")
    account: str
    model: Path
    stage: Literal["shadow", "paper", "canary", "live"] = "paper"
    instruments: tuple[Symbol, ...] = ()
    policy: PolicyTable = RiskPolicy()


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Universe(Table):
    """Every instrument that the feed subscribes to: by name, or `"all"` that pass the filters.

    Turnover is of the last 24 hours, in the quote currency of the pair; 0 = any. `include` is taken
    and `exclude` left out whatever the filters say.
    """

    instruments: Annotated[tuple[Chosen, ...], BeforeValidator(_listed)] = Field(min_length=1)
    quotes: tuple[str, ...] = ()
    minimum_turnover: Decimal = Field(default=Decimal(0), ge=0)
    maximum_minimum_cost: Decimal = Field(default=Decimal(0), ge=0)
    minimum_leverage: int = Field(default=1, ge=1, le=50)
    minimum_age_days: int = Field(default=0, ge=0, le=3650)
    include: tuple[Symbol, ...] = ()
    exclude: tuple[Symbol, ...] = ()

    @property
    def every(self) -> bool:
        """Tell whether the venue's list and the filters decide."""
        return self.instruments == ("all",)

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if "all" in self.instruments and not self.every:
            raise _at("instruments", f"expected names, or 'all' alone; found {', '.join(self.instruments)}")
        filters = self.model_fields_set - {"instruments"}
        if filters and not self.every:
            key = min(filters)
            raise _at(key, "expected instruments = 'all' beside a filter; found a list of names")
        return self


class Feed(Table):
    """How the universe is dealt to connections, and how many of the most liquid always have a book.

    An instrument with a position or an order under way has a verified book too; the others are
    watched by their best bid and ask.
    """

    instruments_per_connection: int = Field(default=200, ge=1, le=1000)
    books: int = Field(default=100, ge=0, le=2000)


class Recorder(Table):
    """Live trades and best prices kept in a lake, as training reads it; no instruments = all."""

    enabled: bool = False
    directory: Path | None = None
    instruments: tuple[Symbol, ...] = ()

    @model_validator(mode="after")
    def _check_directory(self) -> Self:
        if self.enabled and self.directory is None:
            raise _at("directory", "expected the folder of a lake, for enabled is true; found none")
        return self


class Exchange(Table):
    """The simulated exchange behind paper orders, backtests and the loopback venue.

    `synthetic` above 0 makes the loopback list so many made-up pairs instead of recorded ones;
    `trades_per_s` is what happens on all of them together. `latency_ms` is a median, `latency_sigma`
    the spread of its logarithm (0 = always the median). `margin` lends as Kraken does: fees at opening and
    every four hours, margin calls, liquidation. A `schedule` replaces the two rates by named ones. The
    loopback lends in any case, and answers at the median.
    """

    lake: Path | None = None
    source: str = "binance"
    synthetic: int = Field(default=0, ge=0, le=5000)
    trades_per_s: float = Field(default=500.0, gt=0, le=50_000)
    seed: int = Field(default=1, ge=0)
    latency_ms: int = Field(default=5, ge=0, le=60_000)
    latency_sigma: float = Field(default=0.0, ge=0, le=3)
    margin: bool = True
    schedule: Literal["", "gross", "vip9", "vip4", "legacy16", "kraken"] = ""
    maker_fee: Fraction = Decimal("0.0025")
    taker_fee: Fraction = Decimal("0.0040")

    @property
    def fees(self) -> FeeSchedule:
        """Give the rates in force."""
        if self.schedule:
            return SCHEDULES[self.schedule].fees
        return FeeSchedule(maker=self.maker_fee, taker=self.taker_fee)

    @property
    def rules(self) -> ExchangeRules:
        """Give the rules of simulated accounts, in paper and in backtests."""
        free = bool(self.schedule) and SCHEDULES[self.schedule].lends_for_free
        return ExchangeRules(margin=MarginRules(fees=not free) if self.margin else None)

    @property
    def latency_ns(self) -> int:
        """Give the median latency in ns."""
        return self.latency_ms * SECOND // 1000


class Journal(Table):
    """Where the journal, its tape, the lock and the control token live."""

    directory: Path


class Dashboard(Table):
    """The page and the control API; port 0 takes any free one.

    `exposed` is the second yes to listening beyond this machine, which a container needs. Requests
    must still name a loopback host, so what publishes the port has to do so on the loopback too.
    """

    enabled: bool = True
    host: Literal["127.0.0.1", "::1", "0.0.0.0"] = "127.0.0.1"  # noqa: S104  # see _check_exposure
    exposed: bool = False
    port: int = Field(default=8080, ge=0, le=65535)

    @property
    def _everywhere(self) -> bool:
        return self.host == "0.0.0.0"  # noqa: S104  # read, not opened

    @property
    def local_host(self) -> str:
        """Where this machine itself reaches the page."""
        return "127.0.0.1" if self._everywhere else self.host

    @model_validator(mode="after")
    def _check_exposure(self) -> Self:
        if self._everywhere and not self.exposed:
            raise _at(
                "host",
                "expected 127.0.0.1 or ::1 without exposed = true, "
                f"for the network could then reach the page and its controls; found {self.host!r}",
            )
        return self


class Inference(Table):
    """An opinion later than `budget_ms` (wall time) is not traded on.

    Live features of `parity_sample` instruments (0 = none) are computed again offline every so many
    closing instants; where they differ, entries stop. Their state is kept for a restart,
    at a stop and now and then (138 MB for a thousand pairs under twelve specifications).
    """

    budget_ms: int = Field(default=500, ge=1, le=60_000)
    parity_sample: int = Field(default=4, ge=0, le=64)
    parity_every_closes: int = Field(default=5, ge=1, le=1440)
    save_every_s: float = Field(default=3600.0, ge=10, le=86_400)


class Shutdown(Table):
    """What a stop does besides cancelling entries; protection always stays."""

    flatten: bool = False
    timeout_s: float = Field(default=30.0, gt=0, le=300)


def _at(key: str, text: str) -> PydanticCustomError:
    return PydanticCustomError("said", "{text}", {"key": key, "text": text})


def _secret(account: str, what: str, places: tuple[str, str], env: Mapping[str, str]) -> SecretStr:
    file, variable = places
    credentials = env.get("CREDENTIALS_DIRECTORY")
    if not file and credentials and (Path(credentials) / f"{account}_{what}").exists():
        file = str(Path(credentials) / f"{account}_{what}")
    if file:
        try:
            return SecretStr(Path(file).read_text("utf-8").strip())
        except OSError as error:
            raise NotPermitted(
                f"account {account}: expected a readable {what} file {file}; {error.strerror}"
            ) from error
    variable = variable or f"SEAMARK_{account.upper()}_{what.upper()}"
    if not env.get(variable):
        raise NotPermitted(
            f"account {account}: expected its {what} in {variable} or {what}_file; found neither"
        )
    return SecretStr(env[variable])
