"""A changed model at the desk: what is under way for the old one is never traded on."""

import msgspec

from core.events import Decisions, Notice, Operator, RequestOpinion, SetupChanged, Verb
from tests.day import Day, only, setup, submits


def swapped(day, model_hash):
    """Tell the desk that its trader has another model."""
    before = setup()
    traders = tuple(
        msgspec.structs.replace(t, terms=msgspec.structs.replace(t.terms, model_hash=model_hash))
        for t in before.traders
    )
    changed = msgspec.msgpack.encode(msgspec.structs.replace(before, traders=traders))
    return day.tell(SetupChanged(day.after(0.1), "f00d", changed))


def asked():
    """Give a day on which an opinion has been asked for."""
    day = Day()
    day.begin()
    day.link_up()
    day.reconcile()
    request = only(day.bar_closes(), RequestOpinion)
    day.quote("60000.0", "60000.1")
    return day, request


def test_an_answer_of_the_old_model_is_refused_after_the_swap():
    day, request = asked()
    swapped(day, "beef")
    said = day.opine(request, up=0.9, down=0.05)  # of "cafe", which was asked
    (row,) = only(said, Decisions).rows
    assert (row.rule, row.detail) == ("wrong_model", "expected beef, found cafe")
    assert submits(said) == []


def test_an_answer_of_the_new_model_is_refused_before_the_swap_is_journaled():
    day, request = asked()
    swapped(day, "beef")
    swapped(day, "cafe")
    assert submits(day.opine(request, up=0.9, down=0.05)), "the model in force is traded on"


def test_people_learn_of_a_changed_model_and_of_nothing_else():
    day, _ = asked()
    notice = only(swapped(day, "beef"), Notice)
    assert (notice.code, notice.trader) == ("model_changed", "day")
    assert notice.text == "entry-15m beef instead of entry-15m cafe"
    assert swapped(day, "beef") == []


def test_a_pause_by_the_watch_over_features_stops_entries_until_a_resume():
    day, request = asked()
    day.tell(Operator(day.after(0.1), Verb.PAUSE, "parity", "BTC/USDT 5m.rsi is 1 live and 2 offline"))
    said = day.opine(request, up=0.9, down=0.05)
    (row,) = only(said, Decisions).rows
    assert (row.rule, submits(said)) == ("paused", [])
    restored = type(day.desk).restore(day.desk.snapshot())
    assert restored.engines[0].state.risk.paused, "a restart forgets it"
    day.tell(Operator(day.after(0.1), Verb.RESUME, "anna"))
    request = only(day.bar_closes(), RequestOpinion)
    day.quote("60000.0", "60000.1")
    assert submits(day.opine(request, up=0.9, down=0.05))
