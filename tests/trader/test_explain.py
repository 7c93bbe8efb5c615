"""Why an opinion came out so: the page, the API and the journal give the same reasons."""

import msgspec
import pytest

from core.clock import MINUTE, ManualClock
from core.errors import JournalError
from core.events import Decisions, Prediction, SetupChanged
from core.market import Timeframe
from core.signal import BookState, Opinion
from tests import desk_story as story
from trader.journal import Journal
from trader.journal_explain import from_journal
from trader.records import NOBODY, decode_event, make_step
from trader.state import ReadModel
from trader.state_explain import told

AT = story.START + 45 * MINUTE


def folded(steps):
    model = ReadModel(story.setup())
    for seq, (event, commands) in enumerate(steps, 1):
        model.on_step(seq, event, commands)
    return model


def explained(steps, instrument="BTC/USDT", trader=""):
    return folded(steps).explain(instrument, trader)["rows"]


def changed(steps, instrument, **fields):
    """Give the steps with one instrument's opinion told differently."""
    ((event, commands),) = steps
    opinions = tuple(
        msgspec.structs.replace(o, **fields) if o.instrument == instrument else o for o in event.opinions
    )
    return [(msgspec.structs.replace(event, opinions=opinions), commands)]


# ---- what is said ----


def test_members_are_named_with_their_votes_beside_the_blend():
    (row,) = explained(story.judged(AT))
    assert [member["name"] for member in row["members"]] == list(story.MEMBERS)
    blend = row["blend"]
    votes = story.votes(blend["down"], blend["up"])
    assert [(m["down"], m["up"], m["weight"], m["age_s"]) for m in row["members"]] == [
        (v.p_down, v.p_up, v.weight, v.age_s) for v in votes
    ]
    assert (row["spread"], row["input_age_s"]) == (0.18, 0.4)
    assert row["stages_ms"] == {"queue": 0.4, "features": 1.1, "models": 1.7, "blend": 0.2}


def test_filters_are_named_with_their_chances_and_what_they_let_pass():
    (row,) = explained(story.judged(AT))
    assert [(f["name"], f["role"], f["chance"], f["passed"]) for f in row["filters"]] == [
        ("meta-15m", "meta", 0.41, True),
        ("regime-1h", "regime", 0.13, False),
        ("volume-1h", "regime", None, None),
        ("manager-1m", "manager", None, None),
    ]
    assert (row["filters"][1]["low"], row["filters"][1]["high"], row["filters"][1]["age_s"]) == (
        0.2,
        0.8,
        2700.0,
    )
    text = "\n".join(told(row))
    assert "  meta     meta-15m  take 0.410, allowed 0.350 to 1.000: passes  0 s old" in text
    assert "  regime   regime-1h  high 0.130, allowed 0.200 to 0.800: refuses  2700 s old" in text
    assert "  regime   volume-1h  rising not known" in text
    assert "  manager  manager-1m  speaks of open positions only" in text


def test_the_rule_that_refused_is_said_with_its_figures():
    (row,) = explained(story.judged(AT), "SOL/USDT")
    assert row["verdict"] == "The likelier direction is not likely enough. (0.412 of 0.450)"
    assert (row["gate"], row["decision"]["rule"]) == ("", "low_confidence")


def test_a_gate_that_silenced_the_models_is_the_verdict():
    steps = changed(
        story.judged(AT), "SOL/USDT", ready=False, reason="spread: members disagree by 0.31 > 0.25"
    )
    (row,) = explained(steps, "SOL/USDT")
    assert row["verdict"] == "no opinion: spread: members disagree by 0.31 > 0.25"
    assert row["gate"] == "spread: members disagree by 0.31 > 0.25"
    assert len(row["members"]) == len(story.MEMBERS)


def test_an_opinion_that_was_traded_says_so():
    ((event, (decisions,)),) = story.judged(AT)
    rows = tuple(msgspec.structs.replace(r, rule="", detail="") for r in decisions.rows)
    (row,) = explained([(event, [msgspec.structs.replace(decisions, rows=rows)])])
    assert row["verdict"].startswith("it became an intent: ")


def test_a_decision_about_another_bar_is_not_taken_for_this_ones():
    later = story.judged(AT + 15 * MINUTE)
    (row,) = explained([*story.judged(AT), (later[0][0], [])])
    assert row["decision"] is None
    assert row["verdict"] == "nothing was decided on it"


def test_each_timeframe_has_its_row_and_a_trader_can_be_chosen():
    steps = [*story.judged(AT, Timeframe.H1), *story.judged(AT)]
    assert [row["timeframe"] for row in explained(steps)] == ["15m", "1h"]
    assert explained(steps, trader="nobody") == []
    assert explained(steps, instrument="ABC/USDT") == []


def test_a_vote_without_a_name_is_shown_and_figures_that_are_none_are_left_out():
    ((event, commands),) = changed(story.judged(AT), "BTC/USDT", spread=float("nan"))
    (row,) = explained([(msgspec.structs.replace(event, members=("a",)), commands)])
    assert [m["name"] for m in row["members"]] == ["a", "member 2", "member 3"]
    assert row["spread"] is None
    assert msgspec.json.decode(msgspec.json.encode(row)) == row


def test_a_terminal_gets_every_member_on_a_line():
    ((event, commands),) = story.judged(AT)
    (row,) = explained([(msgspec.structs.replace(event, late=True), commands)])
    lines = told(row)
    assert lines[0].startswith("BTC/USDT harbour-15m 15m bar of 2024-05-27T09:45:00")
    assert "LATE" in lines[1]
    assert [line.split()[1] for line in lines if line.startswith("  member")] == list(story.MEMBERS)
    assert lines[-1].endswith("rule already_positioned 0.03600")


def test_the_book_at_the_close_is_told_where_there_is_one():
    (row,) = explained(story.judged(AT))
    assert row["book"] is None
    assert not any(line.startswith("  book") for line in told(row))
    book = BookState(0.00021, 0.4, -0.25, 1.5, spread_z=None, depth_imbalance=0.1)
    (row,) = explained(changed(story.judged(AT), "BTC/USDT", book=book))
    assert row["book"] == {
        "spread": 0.00021,
        "imbalance": 0.4,
        "imbalance_mean": -0.25,
        "age_s": 1.5,
        "spread_z": None,
        "depth_imbalance": 0.1,
    }
    (line,) = [line for line in told(row) if line.startswith("  book")]
    words = "book spread 0.00021 imbalance 0.400 mean -0.250 of the levels 0.100 1.5 s old"
    assert " ".join(line.split()) == words


def test_what_is_shown_does_not_keep_a_thousand_opinions_alive():
    model = folded(story.judged(AT))
    (line, _), *_ = model.opinions.of("BTC/USDT")
    assert not any(isinstance(getattr(line.asked, f), Prediction) for f in line.asked.__struct_fields__)
    assert "opinions" not in line.asked.__struct_fields__


def test_opinions_on_bars_that_nobody_decides_on_any_more_are_forgotten():
    steps = [*story.judged(AT, Timeframe.H1), *story.judged(AT)]
    reloaded = SetupChanged(AT + MINUTE, "f00d", msgspec.msgpack.encode(story.setup()))
    assert [row["timeframe"] for row in explained([*steps, (reloaded, [])])] == ["15m"]


# ---- the journal ----


def test_votes_survive_the_journal():
    ((event, _),) = story.judged(AT)
    step = make_step(1, event, (), labels=NOBODY, before=b"")
    assert decode_event(step.records[0].body) == event


def test_a_book_survives_the_journal():
    book = BookState(0.00021, 0.4, -0.25, 1.5)
    ((event, _),) = changed(story.judged(AT), "BTC/USDT", book=book)
    step = make_step(1, event, (), labels=NOBODY, before=b"")
    assert decode_event(step.records[0].body) == event


def test_a_prediction_from_before_there_were_votes_and_books_is_still_read():
    old = msgspec.msgpack.encode(["BTC/USDT", True, 0.2, 0.5, 0.3, 1.0, 0.01, 100.0])
    read = msgspec.msgpack.decode(old, type=Opinion)
    assert (read.votes, read.book) == ((), None)


async def test_the_journal_explains_as_the_running_daemon_does(tmp_path):
    steps = [*story.judged(AT), *story.judged(AT + 15 * MINUTE, seed=9)]
    path = await written(tmp_path, steps)
    assert from_journal(path, "BTC/USDT") == explained(steps)
    assert from_journal(path, "BTC/USDT", until=AT + MINUTE) == explained(steps[:1])
    assert from_journal(path, "BTC/USDT", trader="nobody") == []
    assert from_journal(path, "BTC/USDT", until=AT - 1) == []


async def test_an_instrument_that_was_silent_last_is_found_further_back(tmp_path):
    ((event, (decisions,)),) = story.judged(AT + 15 * MINUTE)
    later = msgspec.structs.replace(event, opinions=event.opinions[:1])
    rows = Decisions(story.TRADER, decisions.prediction_id, decisions.ts_close, decisions.timeframe, ())
    path = await written(tmp_path, [*story.judged(AT), (later, [rows])])
    (btc,), (eth,) = from_journal(path, "BTC/USDT"), from_journal(path, "ETH/USDT")
    assert (btc["at"][11:16], btc["decision"]) == ("10:00", None)
    assert (eth["at"][11:16], eth["decision"]["rule"]) == ("09:45", "expected_value")


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    with pytest.raises(JournalError, match="expected a journal, found no file"):
        from_journal(tmp_path / "journal.db", "BTC/USDT")


async def written(tmp_path, steps):
    path = tmp_path / "journal.db"
    journal = await Journal.open(path, after=None, clock=ManualClock(1))
    for event, commands in steps:
        journal.append(event, commands, NOBODY)
    await journal.close()
    return path
