import asyncio

import pytest

from core.clock import LiveClock
from core.errors import LinkLost, NotPermitted
from tests.venue.fake_kraken import fake_kraken, running, told
from venue.limits import ConnectionBudget
from venue.link import Link
from venue.session import Dead, Ready, SystemStatus

pytestmark = pytest.mark.e2e
QUICK = (0.01,)


class EchoSession:
    """Sends one request on connect and tells each frame."""

    def __init__(self):
        self.out = []
        self.ticks = 0

    def connected(self, now):
        self.out = [b'{"method":"subscribe","params":{"channel":"trade"}}']

    def receive(self, frame, now):
        if b"die" in frame:
            return [Dead("told to die")]
        return [Ready()] if b"ready" in frame else [frame]

    def outgoing(self):
        out, self.out = self.out, []
        return out

    def on_time(self, now):
        self.ticks += 1
        return []


class Ears:
    def __init__(self):
        self.events = asyncio.Queue()
        self.losses = asyncio.Queue()

    def link(self, url, session=None, **options):
        return Link(
            url,
            session or EchoSession(),
            LiveClock(),
            on_event=self.events.put_nowait,
            on_down=self.losses.put_nowait,
            delays_s=QUICK,
            jitter=lambda: 0.0,
            **options,
        )


async def test_drives_the_session_both_ways():
    ears = Ears()
    async with fake_kraken(lambda request: [b'{"ready":1}']) as venue, running(ears.link(venue.url).run()):
        await venue.request("subscribe", "trade")
        await told(ears.events, lambda event: event == Ready())


async def test_comes_back_after_a_drop_and_starts_from_nothing():
    ears = Ears()
    async with fake_kraken() as venue, running(ears.link(venue.url).run()):
        await venue.request("subscribe")
        await venue.drop()
        assert "1001" in await told(ears.losses, bool)
        await venue.request("subscribe")
        assert venue.connections == 2


async def test_a_dead_session_cuts_the_connection():
    ears = Ears()
    async with fake_kraken() as venue, running(ears.link(venue.url).run()):
        await venue.request("subscribe")
        await venue.push(b'{"die":1}')
        assert await told(ears.losses, bool) == "told to die"
        await venue.request("subscribe")


async def test_flush_sends_what_was_queued_between_frames():
    ears, session = Ears(), EchoSession()
    async with fake_kraken() as venue:
        link = ears.link(venue.url, session)
        async with running(link.run()):
            await venue.request("subscribe")
            session.out.append(b'{"method":"add_order","params":{}}')
            link.flush()
            await venue.request("add_order")


async def test_a_refused_port_is_a_loss_and_not_a_crash():
    ears = Ears()
    async with fake_kraken() as venue:
        url = venue.url
    async with running(ears.link(url).run()):
        await told(ears.losses, bool)
        await told(ears.losses, bool)


async def test_preparation_that_fails_is_repeated():
    answers = [LinkLost("no token yet")]

    async def prepare():
        if answers:
            raise answers.pop()

    ears = Ears()
    async with fake_kraken() as venue, running(ears.link(venue.url, prepare=prepare).run()):
        assert await told(ears.losses, bool) == "no token yet"
        await venue.request("subscribe")


async def test_fatal_preparation_ends_the_link():
    async def prepare():
        raise NotPermitted("EAPI:Invalid key")

    ears = Ears()
    with pytest.raises(NotPermitted):
        await ears.link("ws://127.0.0.1:9", prepare=prepare).run()
    assert ears.losses.empty()


def test_pauses_grow_and_are_never_short_after_maintenance():
    link = Ears().link("ws://127.0.0.1:9/")
    link.delays_s = (0.2, 1.0, 30.0)
    assert [link._pause_s() for _ in range(4)] == [0.1, 0.5, 15.0, 15.0]
    link._failures = 0
    link._deliver([SystemStatus("maintenance")])
    assert [link._pause_s() for _ in range(3)] == [5.0, 5.0, 15.0]
    link._failures = 0
    link._deliver([SystemStatus("online")])
    assert link._pause_s() == 0.1


async def test_links_of_a_process_share_one_budget():
    budget = ConnectionBudget(maximum=1, window_s=3600)
    ears, other = Ears(), Ears()
    async with fake_kraken() as venue:
        first = ears.link(venue.url, budget=budget)
        second = other.link(venue.url, EchoSession(), budget=budget)
        async with running(first.run()):
            await venue.request("subscribe")
            async with running(second.run()):
                for _ in range(20):
                    await asyncio.sleep(0)
                assert venue.connections == 1
