"""A host without a network and a clock that moves only when somebody sleeps."""

import json
from random import Random

from core.clock import SECOND, ManualClock
from feeds.history_http import Answer
from feeds.history_pace import Polite

HTML = Answer(520, b"<html><head><title>520: unknown error</title></head></html>")


class Wall:
    """Virtual time: `sleep` is what moves the clock, and every pause is kept."""

    def __init__(self, seed=1, manners=None):
        self.clock = ManualClock(10**18)
        self.slept = []
        self.refusals = []
        self.polite = Polite(
            self.clock,
            random=Random(seed),
            sleep=self.sleep,
            manners=manners,
            on_refusal=self.refusals.append,
        )

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.advance_to(self.clock.now() + round(seconds * SECOND))


class Host:
    """Answers each request by `serve(url, params, headers)`; `faults` come first, in their turn."""

    def __init__(self, serve, faults=None):
        self.serve = serve
        self.faults = dict(faults or {})
        self.requests = []

    async def __call__(self, url, params=None, headers=None):
        self.requests.append((url, dict(params or {}), dict(headers or {})))
        fault = self.faults.pop(len(self.requests), None)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        return ok(self.serve(url, dict(params or {}), dict(headers or {})))


def ok(body):
    return body if isinstance(body, Answer) else Answer(200, json.dumps(body).encode())
