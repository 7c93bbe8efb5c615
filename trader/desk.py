"""The desk: every engine behind one door.

Must not know clocks, files or sockets. Called by the live shell, the backtest, recovery and
replay, which all feed it the same events and get the same commands.
"""

import hashlib

import msgspec

from core.errors import DataError
from core.events import Command, Event, Notice, SessionStarted, SetupChanged, Severity
from trader.engine import Engine, EngineState
from trader.records import NOBODY, Labels
from trader.setup import DeskSetup

_DIGEST = hashlib.sha256().digest_size


class DeskState(msgspec.Struct, frozen=True):
    """Everything a desk knows, as plain values."""

    setup: DeskSetup
    config_hash: str
    engines: tuple[EngineState, ...]


class Desk:
    """One engine per account; an event reaches those that it concerns, in a fixed order."""

    def __init__(self) -> None:
        """Start empty: the first event must be a SessionStarted."""
        self._setup: DeskSetup | None = None
        self._config_hash = ""
        self._engines: tuple[Engine, ...] = ()
        self.labels: Labels = NOBODY

    @classmethod
    def restore(cls, state: bytes) -> "Desk":
        """Rebuild a desk from `snapshot` bytes; DataError if they are not ours or were altered."""
        digest, body = state[:_DIGEST], state[_DIGEST:]
        if hashlib.sha256(body).digest() != digest:
            msg = "expected a desk snapshot, found bytes that were altered (sha256 differs)"
            raise DataError(msg)
        try:
            known = msgspec.msgpack.decode(body, type=DeskState)
        except msgspec.DecodeError as error:
            msg = f"expected a desk snapshot, found: {error}"
            raise DataError(msg) from error
        desk = cls()
        desk._compose(known.setup, known.config_hash, {e.account: e for e in known.engines})
        return desk

    def snapshot(self) -> bytes:
        """Give the whole state as bytes; equal states give equal bytes."""
        if self._setup is None:
            msg = "expected a desk that has begun a session, found an empty one"
            raise DataError(msg)
        states = tuple(engine.state for engine in self._engines)
        body = msgspec.msgpack.encode(DeskState(self._setup, self._config_hash, states))
        return hashlib.sha256(body).digest() + body

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines, for read-only looks by tests and reports."""
        return self._engines

    def on_event(self, event: Event) -> list[Command]:
        """Take one event in, give every command it causes."""
        commands: list[Command] = []
        if isinstance(event, SessionStarted | SetupChanged):
            setup = msgspec.msgpack.decode(event.setup, type=DeskSetup)
            commands += _other_models(self._setup, setup)
            self._compose(setup, event.config_hash, {e.state.account: e.state for e in self._engines})
        for engine in self._engines:
            if engine.concerns(event):
                commands.extend(engine.on_event(event))
        return commands

    def _compose(self, setup: DeskSetup, config_hash: str, states: dict[str, EngineState]) -> None:
        self._setup = setup
        self._config_hash = config_hash
        self.labels = Labels.of(setup, config_hash)
        instruments = {i.symbol: i for i in setup.instruments}
        self._engines = tuple(
            Engine(
                account,
                next(t for t in setup.traders if t.account == account.name),
                instruments=instruments,
                state=states.get(account.name),
            )
            for account in setup.accounts
        )


def _other_models(before: DeskSetup | None, after: DeskSetup) -> list[Command]:
    """Tell people of each trader that has another model than it had."""
    had = {trader.name: trader.terms for trader in before.traders} if before else {}
    return [
        Notice(
            Severity.INFO,
            "model_changed",
            f"{now.terms.name} {now.terms.model_hash:.12} instead of {was.name} {was.model_hash:.12}",
            now.name,
        )
        for now in after.traders
        if (was := had.get(now.name)) is not None and was.model_hash != now.terms.model_hash
    ]
