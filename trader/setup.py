"""What a desk is made of, as plain values that a journal row can hold.

Must not know files, environment or sockets. Made by trader.config; read by the desk, the journal
and replay: a journal that carries its setup needs no configuration file to be verified.
"""

from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.market import Timeframe
from execution.state import Timing
from risk.policy import ModelTerms, RiskPolicy


class AccountSetup(msgspec.Struct, frozen=True):
    """One account at a venue; `cash` is what a simulated one starts with, in `quote`."""

    name: str
    quote: str
    cash: Decimal


class TraderSetup(msgspec.Struct, frozen=True):
    """One strategy: what it trades, on which bars it decides, with which model and limits."""

    name: str
    code: str
    account: str
    stage: str
    decision: Timeframe
    instruments: tuple[str, ...]
    policy: RiskPolicy
    terms: ModelTerms
    timing: Timing = Timing()


class DeskSetup(msgspec.Struct, frozen=True):
    """Everything that decisions depend on besides events."""

    mode: str
    venue: str
    accounts: tuple[AccountSetup, ...]
    traders: tuple[TraderSetup, ...]
    instruments: tuple[Instrument, ...]
