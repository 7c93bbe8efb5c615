"""What a running daemon takes over without a restart: changed limits and changed models.

Must not know the engine or sockets. Called by the live shell on SIGHUP, and by the control API for
one model. A change is taken as a whole or not at all, and it is in force once its SetupChanged has
passed the door: until then risk refuses what a new model says, and afterwards what an old one said.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from core.errors import ConfigError, SeamarkError, TemporaryError, UsageError
from core.events import Notice, SetupChanged, Severity
from core.instrument import Instrument
from risk.policy import ModelTerms
from trader.config import Config

POLICY, MODEL = "policy", "model"
"""What may change inside a `[[trader]]` table; everything else needs a restart."""
WAIT_S = 10.0

log = structlog.get_logger()


class Swap(Protocol):
    """Who changes models; trader.model_desk.ModelDesk."""

    async def swap(self, models: Mapping[str, Path]) -> dict[str, ModelTerms]: ...


class Changes:
    """Holds the configuration in force and takes over others, one after the other."""

    def __init__(
        self,
        config: Config,
        terms: Mapping[str, ModelTerms],
        instruments: tuple[Instrument, ...],
        *,
        models: Swap,
        put: Callable[[SetupChanged, Callable[[], None]], None],
        tell: Callable[[Notice], None],
    ) -> None:
        """Begin with what the daemon was started with; `put` is its door, `tell` shows notices."""
        self.config = config
        self.terms = dict(terms)
        self._instruments = instruments
        self._models = models
        self._put = put
        self._tell = tell
        self._before: dict[str, Path] = {}
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.read: Callable[[], Config] | None = None

    def ask(self) -> None:
        """Read the configuration anew as soon as possible; a signal handler may call it."""
        self._asked.set()

    async def run(self) -> None:
        """Take over what was asked for, until cancelled; a refusal is told and changes nothing."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            with suppress(SeamarkError):  # told already
                await self._reload()

    async def activate(self, trader: str, path: Path | None) -> dict[str, Any]:
        """Change one trader's model; no path = the one before. Gives what is in force now.

        Raises UsageError or ModelError and leaves everything as it was.
        """
        chosen = path or self._before.get(trader)
        if chosen is None:
            raise UsageError(f"expected an earlier model of trader {trader}; found none in this process")
        async with self._one_at_a_time:
            await self._take(self.config.with_model(trader, chosen), "model_refused", anew=trader)
        terms = self.terms[trader]
        return {
            "trader": trader,
            "model": terms.name,
            "model_hash": terms.model_hash,
            "path": str(chosen),
            "before": str(self._before.get(trader, "")),
        }

    # ---- inside ----

    async def _reload(self) -> None:
        assert self.read is not None
        async with self._one_at_a_time:
            try:
                fresh = self.read()
                if fresh.universe.every:  # chosen at the start, and not again while running
                    fresh = fresh.resolved(self.config.universe.instruments)
                if refused := changed_keys(self.config, fresh):
                    raise ConfigError(f"these keys need a restart: {', '.join(refused)}")
            except SeamarkError as error:
                self._refuse("reload_refused", error)
                raise
            await self._take(fresh, "reload_refused")
            log.info("reloaded", config=fresh.hash[:12])

    async def _take(self, fresh: Config, refusal: str, *, anew: str = "") -> None:
        """Let models and limits of `fresh` hold, together; returns once that is in the journal.

        The model of trader `anew` is read again under the same path, too: its folder may hold another now.
        """
        old = {trader.name: trader.model for trader in self.config.traders}
        changed = {t.name: t.model for t in fresh.traders if t.model != old[t.name] or t.name == anew}
        try:
            terms = await self._models.swap(changed) if changed else {}
        except SeamarkError as error:
            self._refuse(refusal, error)
            raise
        self.config = fresh
        self.terms |= terms
        self._before |= {name: old[name] for name, path in changed.items() if path != old[name]}
        setup = fresh.desk_setup(self.terms, self._instruments)
        journaled = asyncio.Event()
        self._put(SetupChanged(0, fresh.hash, msgspec.msgpack.encode(setup)), journaled.set)
        try:
            async with asyncio.timeout(WAIT_S):
                await journaled.wait()
        except TimeoutError:
            raise TemporaryError(f"expected the change in the journal within {WAIT_S:g} s") from None

    def _refuse(self, code: str, error: SeamarkError) -> None:
        log.error(code, reason=str(error))
        self._tell(Notice(Severity.WARNING, code, f"{error}; what was running goes on"))


def changed_keys(old: Config, new: Config) -> list[str]:
    """Give the changed keys that need a restart, as dotted paths; empty = the change may be taken."""
    before, after = _flat(old.tree()), _flat(new.tree())
    return sorted(
        key
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key) and not _reloadable(key)
    )


def _reloadable(key: str) -> bool:
    table, _, rest = key.partition(".")
    inside = rest.partition(".")[2]
    return table == "trader" and (inside == MODEL or inside.startswith(f"{POLICY}."))


def _flat(tree: Any, path: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list) and tree and isinstance(tree[0], dict):
        items = {row["name"]: row for row in tree}.items()
    else:
        return {path: tree}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= _flat(value, f"{path}.{key}" if path else str(key))
    return flat
