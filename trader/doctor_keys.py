"""The doctor's look at API keys: what each may do, as the venue itself tells it.

Must not know orders. Called by trader.doctor for accounts that would trade at the venue. A key
that a running daemon holds is not asked: its nonces have one source.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.clock import Clock
from core.errors import NotPermitted, Recoverable, TemporaryError, VenueUnavailable
from trader.config import Config
from trader.statedir import StatePaths
from trader.tables import Account
from venue.client import Credentials, SignedRest
from venue.key_info import KeyInfo, key_faults
from venue.nonce import Nonces, held_key, nonce_file

Verdict = tuple[str, str, int, bool]
"""Check, detail, exit code, and whether it is only worth knowing."""


def keys(config: Config, env: Mapping[str, str], clock: Clock) -> Iterator[Verdict]:
    """Give one verdict for each account; none where nothing would be sent to the venue."""
    if config.execution.style == "paper":
        return
    directory = StatePaths(config.journal.directory).keys
    for account in config.accounts:
        check = f"key {account.name}"
        try:
            key, secret = account.credentials(env)
            credentials = Credentials(key.get_secret_value(), secret.get_secret_value())
            info = asyncio.run(_asked(credentials, clock, config.venue.rest, directory))
        except TemporaryError:
            yield check, "in use by a running process, not asked", 0, True
        except NotPermitted as refused:
            yield check, str(refused), refused.exit_code, False
        except Recoverable as failed:
            yield (
                check,
                f"expected an answer of the venue, found: {failed}",
                VenueUnavailable.exit_code,
                False,
            )
        else:
            yield check, *_judged(info, account)


def _judged(info: KeyInfo, account: Account) -> tuple[str, int, bool]:
    if faults := key_faults(info, any_address=account.any_address):
        return "; ".join(faults), NotPermitted.exit_code, False
    addresses = ", ".join(info.addresses) or "any address"
    return f"{len(info.permissions)} permissions, none to move funds; from {addresses}", 0, False


async def _asked(credentials: Credentials, clock: Clock, url: str, directory: Path) -> KeyInfo:
    with held_key(directory, credentials.key):
        nonces = Nonces(lambda: clock.now() // 1000, nonce_file(directory, credentials.key))
        signed = SignedRest(credentials, clock, url, nonces=nonces)
        try:
            return await signed.key_info()
        finally:
            await signed.close()
