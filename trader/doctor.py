"""The doctor: is everything here that the daemon needs, and if not, what exactly.

Must not know a running daemon and change nothing but a key's nonce. Called by `trader doctor`.
Each check is one function that gives one finding; a failed one carries the exit code of the error
that it foretells.
"""

import importlib.metadata
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from core.clock import DAY, Clock
from core.errors import ConfigError, InternalError, JournalError, ModelError, TemporaryError
from core.text import iso, parse_iso
from core.version import VERSION
from inference.features.kernel import CACHE
from trader.client import address, state_root
from trader.config import Config
from trader.doctor_keys import keys
from trader.kernels import cached
from trader.statedir import StatePaths

PACKAGES = (
    "aiohttp",
    "aiosqlite",
    "ccxt",
    "msgspec",
    "numba",
    "numpy",
    "onnxruntime",
    "plotly",
    "polars",
    "pydantic",
    "typer",
    "uvloop",
    "websockets",
)
OLDEST_SANE = parse_iso("2026-01-01T00:00:00Z")


class Finding(msgspec.Struct, frozen=True):
    """One checked fact. `exit_code` 0 = fine; `note` marks what is only worth knowing."""

    check: str
    detail: str
    exit_code: int = 0
    note: bool = False

    @property
    def word(self) -> str:
        """Give the verdict as people read it."""
        if self.exit_code:
            return "FAIL"
        return "note" if self.note else "ok"


def examine(config: Config | ConfigError, env: Mapping[str, str], clock: Clock) -> list[Finding]:
    """Check the machine and, where the configuration could be read, everything it names."""
    findings = [_python(), _packages(), _kernels(), _wall(clock), *_surroundings(env)]
    if isinstance(config, ConfigError):
        return [*findings, Finding("configuration", str(config), config.exit_code)]
    findings.append(Finding("configuration", f"valid, mode {config.mode}, hash {config.hash[:12]}"))
    findings.append(_state(config.journal.directory))
    findings.append(_port(config))
    findings += [Finding(*verdict) for verdict in keys(config, env, clock)]
    return [*findings, *_models(config)]


def lines(findings: list[Finding]) -> list[str]:
    """Give a plain table."""
    width = max(len(finding.check) for finding in findings)
    return [f"{finding.word:<4}  {finding.check:<{width}}  {finding.detail}" for finding in findings]


def verdict(findings: list[Finding]) -> int:
    """Give the first failure's exit code, 0 without one."""
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", f"{found}, seamark {VERSION}, {os.cpu_count()} cores")


def _packages() -> Finding:
    missing = [name for name in PACKAGES if not _version(name)]
    if missing:
        return Finding("packages", f"missing: {', '.join(missing)}; run ./run setup", InternalError.exit_code)
    return Finding("packages", f"{len(PACKAGES)} of {len(PACKAGES)} present, ccxt {_version('ccxt')}")


def _kernels() -> Finding:
    if count := cached():
        return Finding("kernels", f"{count} compiled for this version in {CACHE.parent}")
    return Finding(
        "kernels", "none compiled for this version; the next start takes a minute for it", note=True
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _wall(clock: Clock) -> Finding:
    now = clock.now()
    if now < OLDEST_SANE or now > OLDEST_SANE + 20 * 366 * DAY:
        return Finding(
            "clock",
            f"expected a date after {iso(OLDEST_SANE)[:10]}; found {iso(now)}",
            TemporaryError.exit_code,
        )
    if Path("/run/systemd/timesync/synchronized").exists():
        return Finding("clock", f"{iso(now)}, synchronised")
    return Finding("clock", f"{iso(now)}, synchronisation unknown: live trading wants NTP", note=True)


def _surroundings(env: Mapping[str, str]) -> Iterator[Finding]:
    booted = Path("/run/systemd/system").is_dir()
    service = "inside a service" if env.get("NOTIFY_SOCKET") else "not inside a service"
    yield Finding("systemd", f"{'present' if booted else 'absent; not needed'}, {service}", note=not booted)
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    yield Finding(
        "chromium",
        f"not needed to trade; browser tests {'run' if browser else 'are skipped'}",
        note=not browser,
    )


def _state(root: Path) -> Finding:
    """See whether the directory, or the nearest parent that exists, can be written."""
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding("state", f"expected to write {root}; {there} forbids it", JournalError.exit_code)
    free = shutil.disk_usage(there).free >> 20
    return Finding("state", f"{root}, {free:,} MiB free", note=free < 1024)


def _port(config: Config) -> Finding:
    host, port = config.dashboard.host, config.dashboard.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if (
                StatePaths(state_root(config.journal.directory)).address.exists()
                and address(config)[1] == port
            ):
                return Finding("port", f"{host}:{port} is taken by your running daemon", note=True)
            text = f"expected {host}:{port} to be free; {error.strerror}"
            return Finding("port", text, TemporaryError.exit_code)
    return Finding("port", f"{host}:{port} is free" if port else f"any free port on {host}")


def _models(config: Config) -> Iterator[Finding]:
    from inference.ensemble import verify  # noqa: PLC0415  # onnxruntime, only where there is a model to prove

    for trader in config.traders:
        proof = verify(trader.model)
        if proof["ok"]:
            yield Finding(
                f"model {trader.name}",
                f"{proof['name']} {str(proof['model_hash'])[:12]}, golden vectors reproduce",
            )
        else:
            yield Finding(f"model {trader.name}", str(proof["error"]), ModelError.exit_code)
