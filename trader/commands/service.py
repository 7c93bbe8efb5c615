"""The command that prints the systemd unit.

Must not know systemd beyond its file format. Called by trader.cli.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from trader.commands.options import AsJson, emit, examples

app = typer.Typer(no_args_is_help=True, help="Run as a service.")

# Readiness comes from the daemon itself. Stopping keeps protective orders, so 45 s is enough.
# Codes that a restart cannot heal end the service: risk halt, usage, rights, configuration.
# No MemoryDenyWriteExecute: numba maps its kernels as executable memory.
# contrib/systemd/trader.service is the same unit with its reasons; a test keeps the two together.
UNIT = """\
[Unit]
Description=Seamark trading daemon for Kraken
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=10min
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={folder}/trader run --config {config}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=30s
TimeoutStartSec=120s
TimeoutStopSec=45s
KillSignal=SIGTERM
KillMode=mixed
Restart=on-failure
RestartSec=5s
RestartPreventExitStatus=3 64 77 78
DynamicUser=yes
StateDirectory=trader
CacheDirectory=trader
RuntimeDirectory=trader
ConfigurationDirectory=trader
StateDirectoryMode=0700
CacheDirectoryMode=0700
RuntimeDirectoryMode=0700
UMask=0077
WorkingDirectory=%S/trader
Environment=PYTHONDONTWRITEBYTECODE=1
Environment=NUMBA_CACHE_DIR=%C/trader/numba
ExecStartPre={folder}/python -P -m inference.warm
LoadCredential=kraken_key
LoadCredential=kraken_secret
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
MemoryMax=2G
TasksMax=256
LimitNOFILE=8192

[Install]
WantedBy=multi-user.target
"""


@app.callback()
def service() -> None:
    """Keep `print` a word of its own: a lone command would become the group."""


@app.command("print", epilog=examples("systemd print -c /etc/trader/trader.toml"))
def print_unit(
    config: Annotated[Path, typer.Option("--config", "-c", help="What the service will read.")] = Path(
        "/etc/trader/trader.toml"
    ),
    as_json: AsJson = False,
) -> None:
    """Print a unit file for this installation."""
    unit = UNIT.format(folder=Path(sys.executable).parent, config=config.absolute())
    emit({"unit": unit}, as_json=as_json, lines=unit.splitlines())
