"""ccxt's Kraken clients with their addresses turned to the loopback; nothing else is changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt.async_support
import ccxt.pro

from tests.e2e.venue_thread import SECRET, VenueThread


@asynccontextmanager
async def rest_client(world: VenueThread, *, key: str = "key", secret: str = SECRET) -> AsyncIterator[Any]:
    async with _turned(ccxt.async_support.kraken, world, key, secret) as client:
        yield client


@asynccontextmanager
async def pro_client(world: VenueThread, *, key: str = "key", **options: Any) -> AsyncIterator[Any]:
    async with _turned(ccxt.pro.kraken, world, key, SECRET) as client:
        client.options["watchOrderBook"] |= options
        ports = world.ports
        client.urls["api"]["ws"] |= {
            "public": ports.public,
            "publicV2": ports.public,
            "private": ports.private,
            "privateV2": ports.private,
        }
        await client.load_markets()
        yield client


@asynccontextmanager
async def _turned(kind: Any, world: VenueThread, key: str, secret: str) -> AsyncIterator[Any]:
    client = kind({"apiKey": key, "secret": secret, "enableRateLimit": False})
    client.urls["api"]["public"] = client.urls["api"]["private"] = world.ports.rest
    try:
        yield client
    finally:
        await client.close()
