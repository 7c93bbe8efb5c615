"""The command that prints the systemd unit.

Must not know systemd beyond its file format. Called by trader.cli.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from trader.commands.options import AsJson, emit

app = typer.Typer(no_args_is_help=True, help="Run as a service.")

# Readiness comes from the daemon itself. Stopping keeps protective orders, so 45 s is enough.
# Codes that a restart cannot heal end the service: risk halt, usage, rights, configuration.
# No MemoryDenyWriteExecute: numba maps its kernels as executable memory.
UNIT = """\
[Unit]
Description=Seamark trading daemon
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command} run --config {config}
WatchdogSec=30
TimeoutStartSec=120
TimeoutStopSec=45
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=3 64 77 78
DynamicUser=yes
StateDirectory=trader
CacheDirectory=trader
ConfigurationDirectory=trader
Environment=NUMBA_CACHE_DIR=%C/trader
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
MemoryMax=2G
TasksMax=256

[Install]
WantedBy=multi-user.target
"""


@app.callback()
def service() -> None:
    """Keep `print` a word of its own: a lone command would become the group."""


@app.command("print")
def print_unit(
    config: Annotated[Path, typer.Option("--config", "-c", help="What the service will read.")] = Path(
        "/etc/trader/trader.toml"
    ),
    as_json: AsJson = False,
) -> None:
    """Print a unit file for this installation."""
    unit = UNIT.format(command=Path(sys.executable).with_name("trader"), config=config)
    emit({"unit": unit}, as_json=as_json, lines=unit.splitlines())
