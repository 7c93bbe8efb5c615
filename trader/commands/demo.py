"""The command that shows everything in one go.

Must not know how the demonstration is put together. Called by trader.cli.
"""

from typing import Annotated

import typer

from trader.commands.options import DEMO, AsJson, ConfigFiles, Settings, parsed


def demo(
    minutes: Annotated[
        float, typer.Option("--minutes", min=0, help="Stop after this many real minutes; 0 = never.")
    ] = 0,
    speed: Annotated[float, typer.Option("--speed", min=1, max=3600, help="Market time per real time.")] = 60,
    headless: Annotated[bool, typer.Option("--headless", help="Print no address and no progress.")] = False,
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> int:
    """Paper-trade the embedded simulated Kraken. Needs no account, no key and no network."""
    from trader.demo import DemoOptions, run_demo

    return run_demo(
        DemoOptions(
            configs=tuple(config or (DEMO,)),
            overrides={"clock.speed": speed, **parsed(settings)},
            minutes=minutes,
            headless=headless,
            as_json=as_json,
        )
    )
