from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND, LiveClock, ScaledClock
from core.errors import ConfigError, NotPermitted
from core.instrument import Instrument
from core.market import Timeframe
from core.text import parse_iso
from risk.policy import ModelTerms
from trader.config import Config, load, require_permission
from trader.layers import from_env, from_overrides, literal, merge

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = """
[universe]
instruments = ["BTC/USDT", "ETH/USDT"]

[exchange]
lake = "market"

[journal]
directory = "state"

[[account]]
name = "main"
currency = "USDT"

[[trader]]
name = "scalp"
code = "SC"
account = "main"
model = "models/entry-5m"
"""
KRAKEN = '[venue]\nname = "kraken"\n'


def write(folder: Path, text: str = BASE, name: str = "trader.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def refused(path: Path, env=None, overrides=None) -> str:
    with pytest.raises(ConfigError) as caught:
        load([path], env or {}, overrides)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_defaults_are_the_safe_choice(tmp_path):
    config = load([write(tmp_path)], {})
    assert (config.mode, config.execution.style, config.venue.name) == ("paper", "paper", "loopback")
    assert config.dashboard.host == "127.0.0.1"
    assert not config.shutdown.flatten
    assert not config.showcase


def test_a_page_beyond_this_machine_needs_a_second_yes(tmp_path):
    table = load([write(tmp_path, BASE + '[dashboard]\nhost = "0.0.0.0"\nexposed = true\n')], {}).dashboard
    assert (table.host, table.local_host) == ("0.0.0.0", "127.0.0.1")
    assert load([write(tmp_path, BASE + '[dashboard]\nhost = "::1"\n')], {}).dashboard.local_host == "::1"


def test_later_layers_win_and_are_named(tmp_path):
    path = write(tmp_path, BASE + "[inference]\nbudget_ms = 100\n[shutdown]\ntimeout_s = 5\n")
    write(tmp_path, "[inference]\nbudget_ms = 200\n", "trader.d/10-a.toml")
    last = write(tmp_path, "[inference]\nbudget_ms = 300\n", "trader.d/20-b.toml")
    assert load([path], {}).inference.budget_ms == 300
    assert load([path], {}).explain("inference.budget_ms") == ("inference.budget_ms", 300, str(last))
    env = {"TRADER_INFERENCE__BUDGET_MS": "400"}
    assert load([path], env).explain("inference.budget_ms")[1:] == (
        400,
        "environment TRADER_INFERENCE__BUDGET_MS",
    )
    config = load([path], env, {"inference.budget_ms": 450})
    assert config.explain("inference.budget_ms")[1:] == (450, "command line")
    assert config.explain("shutdown.timeout_s")[1:] == (5.0, str(path))
    assert config.explain("dashboard.port")[1:] == (8080, "built-in default")
    assert config.explain("inference").layer == "command line"


def test_tables_of_an_array_meet_by_name(tmp_path):
    path = write(tmp_path)
    write(tmp_path, '[[trader]]\nname = "scalp"\n[trader.policy]\nmin_confidence = 0.6\n', "trader.d/a.toml")
    config = load([path], {"TRADER_TRADER__SCALP__STAGE": "shadow"})
    (trader,) = config.traders
    assert (trader.code, trader.stage, trader.policy.min_confidence) == ("SC", "shadow", 0.6)
    assert config.explain("trader.scalp.policy.min_confidence").layer.endswith("a.toml")


def test_a_second_file_lies_over_the_first(tmp_path):
    paths = [write(tmp_path), write(tmp_path, "[clock]\nspeed = 60\n", "other.toml")]
    assert load(paths, {}).clock.speed == 60


def test_paths_belong_to_the_file_that_names_them(tmp_path):
    config = load([write(tmp_path / "deep")], {})
    assert config.traders[0].model == tmp_path / "deep/models/entry-5m"
    assert config.journal.directory == tmp_path / "deep/state"
    assert config.exchange.lake == tmp_path / "deep/market"
    changed = load([write(tmp_path / "deep")], {}, {"journal.directory": "/elsewhere"})
    assert changed.journal.directory == Path("/elsewhere")


def test_a_service_keeps_its_state_where_systemd_says(tmp_path):
    text = BASE.replace('[journal]\ndirectory = "state"\n', "")
    assert load([write(tmp_path, text)], {"STATE_DIRECTORY": "/var/lib/trader"}).journal.directory == Path(
        "/var/lib/trader"
    )


def test_a_trader_without_instruments_trades_the_universe(tmp_path):
    assert load([write(tmp_path)], {}).traders[0].instruments == ("BTC/USDT", "ETH/USDT")


@pytest.mark.parametrize(
    "extra, key, hint",
    [
        ("[dashboard]\nprot = 1\n", "dashboard.prot", "did you mean 'port'?"),
        ("[dashbord]\nport = 1\n", "dashbord", "did you mean 'dashboard'?"),
        ("[inference]\nzzz = 1\n", "inference.zzz", "expected one of: budget_ms"),
        ("[trader.policy]\nmin_confidnce = 0.5\n", "trader.scalp.policy.min_confidnce", "'min_confidence'?"),
    ],
)
def test_an_unknown_key_is_one_line_with_file_key_and_nearest_name(tmp_path, extra, key, hint):
    path = write(tmp_path, BASE + extra)
    text = refused(path)
    assert text.startswith(f"{path}: {key}: unknown key; ")
    assert hint in text


def test_an_unknown_key_of_a_trader_is_named_by_the_trader(tmp_path):
    path = write(tmp_path, BASE + 'stag = "paper"\n')
    assert refused(path) == f"{path}: trader.scalp.stag: unknown key; did you mean 'stage'?"


def test_an_unknown_variable_is_named(tmp_path):
    text = refused(write(tmp_path), {"TRADER_DASHBOARD__PROT": "1"})
    assert text == "environment TRADER_DASHBOARD__PROT: dashboard.prot: unknown key; did you mean 'port'?"


@pytest.mark.parametrize(
    "extra, expected",
    [
        ("[inference]\nbudget_ms = 0\n", "inference.budget_ms: expected greater than or equal to 1; found 0"),
        ("[clock]\nspeed = -1.0\n", "clock.speed: expected greater than 0; found -1.0"),
        ("[trader.policy]\nrisk_per_trade = 2.0\n", "risk_per_trade: expected 0.0 to 0.05; found 2.0"),
        (
            '[trader.policy]\nstop_atr = "wide"\n',
            "trader.scalp.policy.stop_atr: expected float; found 'wide'",
        ),
        ('[venue]\nname = "binance"\n', "venue.name: expected 'loopback' or 'kraken'; found 'binance'"),
        (
            '[dashboard]\nhost = "0.0.0.0"\n',
            "for the network could then reach the page and its controls; found '0.0.0.0'",
        ),
        (
            '[dashboard]\nexposed = true\nhost = "10.0.0.1"\n',
            "dashboard.host: expected '127.0.0.1', '::1' or '0.0.0.0'; found '10.0.0.1'",
        ),
    ],
)
def test_a_value_out_of_range_says_expected_and_found(tmp_path, extra, expected):
    path = write(tmp_path, BASE + extra)
    text = refused(path)
    assert text.startswith(f"{path}: ")
    assert text.endswith(expected)


@pytest.mark.parametrize(
    "text, expected",
    [
        (BASE.replace('code = "SC"', 'code = "sc"'), "trader.scalp.code: "),
        (BASE.replace('account = "main"', 'account = "mian"'), "trader.scalp.account: did you mean 'main'?"),
        (BASE.replace('currency = "USDT"', 'currency = "USD"'), "expected pairs quoted in USD"),
        (BASE + 'instruments = ["BTC/USDT", "ETH/USTD"]\n', "ETH/USTD is not in universe.instruments"),
        (BASE.replace('name = "main"\n', ""), "expected a name in every [[account]]"),
        (BASE + '[[account]]\nname = "main"\n', "expected different names; found 'main' twice"),
        (BASE.replace('model = "models/entry-5m"\n', ""), "trader.scalp.model: missing"),
        (BASE + '[[trader]]\nname = "b"\ncode = "SC"\naccount = "main"\nmodel = "m"\n', "different codes"),
        (
            BASE + '[[trader]]\nname = "b"\ncode = "BB"\naccount = "main"\nmodel = "m"\n',
            "one trader for each",
        ),
        ("universe = 3\n[journal]" + BASE.partition("[journal]")[2], "universe: "),
        ("a = = 1\n", "expected TOML; found: "),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(tmp_path, text, expected):
    assert expected in refused(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    assert (
        refused(tmp_path / "none.toml")
        == f"{tmp_path / 'none.toml'}: expected a readable file; found: No such file or directory"
    )


@pytest.mark.parametrize("address", ["ws://10.0.0.1/v2", "ws://localhost:1/v2", "ws://127.0.0.1.evil.com/v2"])
def test_the_loopback_is_on_127_0_0_1(tmp_path, address):
    text = refused(write(tmp_path), overrides={"venue.ws_public": address})
    assert "venue.ws_public: expected an address on 127.0.0.1" in text


@pytest.mark.parametrize(
    "address", ["http://api.kraken.com", "https://kraken.com.evil.org", "https://127.0.0.1"]
)
def test_kraken_is_encrypted_and_kraken(tmp_path, address):
    text = refused(write(tmp_path, BASE + KRAKEN), overrides={"venue.rest": address})
    assert "venue.rest: expected an encrypted address of kraken.com" in text


def test_kraken_takes_its_own_addresses(tmp_path):
    venue = load([write(tmp_path, BASE + KRAKEN)], {}).venue
    assert (venue.ws_public, venue.rest) == ("wss://ws.kraken.com/v2", "https://api.kraken.com")


@pytest.mark.parametrize(
    "overrides, expected",
    [
        (
            {"venue.name": "kraken", "execution.style": "venue"},
            "execution.style: expected 'paper' with mode 'paper'",
        ),
        ({"venue.name": "kraken", "clock.speed": 60}, "clock: expected real time at venue 'kraken'"),
        ({"mode": "live"}, "execution.style: expected 'venue' with mode 'live'"),
    ],
)
def test_modes_that_contradict_each_other_are_refused(tmp_path, overrides, expected):
    assert expected in refused(write(tmp_path), overrides=overrides)


def test_live_needs_two_switches_and_is_not_built_for_a_real_exchange(tmp_path):
    path = write(tmp_path)
    paper = load([path], {})
    live = load([path], {}, {"mode": "live", "execution.style": "venue"})
    real = load([path], {}, {"mode": "live", "execution.style": "venue", "venue.name": "kraken"})
    require_permission(paper, live_flag=False)
    require_permission(live, live_flag=True)
    with pytest.raises(NotPermitted, match="--live"):
        require_permission(live, live_flag=False)
    with pytest.raises(NotPermitted, match="mode = 'live'"):
        require_permission(paper, live_flag=True)
    with pytest.raises(ConfigError, match="not built yet"):
        require_permission(real, live_flag=True)


def test_the_hash_follows_the_values_and_not_the_layer(tmp_path):
    path = write(tmp_path)
    plain = load([path], {})
    assert plain.hash == load([path], {"UNRELATED": "1"}).hash
    assert len(plain.hash) == 64
    changed = load([path], {}, {"inference.budget_ms": 400})
    assert changed.hash != plain.hash
    assert changed.hash == load([path], {"TRADER_INFERENCE__BUDGET_MS": "400"}).hash


def test_showcase_is_a_trader_that_accepts_expected_losses():
    assert load([CONFIGS / "demo.toml"], {}).showcase
    assert not load([CONFIGS / "paper.toml"], {}).showcase


def test_two_traders_are_those_of_the_demonstration_but_for_one_model():
    shown, quick = (load([CONFIGS / name], {}) for name in ("demo.toml", "two-traders.toml"))
    models = {trader.name: trader.model for trader in quick.traders}
    assert models == {"scalp": CONFIGS / "models" / "entry-5m", "swing": CONFIGS / "models" / "entry-15m"}
    swing = next(trader for trader in shown.traders if trader.name == "swing")
    assert swing.model == CONFIGS / "models" / "council-15m"
    told = shown.model_dump()
    for trader in told["traders"]:
        trader["model"] = models[trader["name"]]
    assert told == quick.model_dump()


@pytest.mark.parametrize("name", ["demo", "two-traders", "paper", "paper-kraken"])
def test_every_shipped_configuration_is_valid(name):
    config = load([CONFIGS / f"{name}.toml"], {})
    assert config.mode == "paper"
    assert all(len(trader.instruments) == 6 for trader in config.traders)


def test_clock_is_real_time_unless_scaled(tmp_path):
    path = write(tmp_path)
    assert isinstance(load([path], {}).make_clock(), LiveClock)
    epochs = {"clock.market_epoch": "2024-06-03T00:00:00Z", "clock.wall_epoch": 5 * SECOND}
    clock = load([path], {}, {"clock.speed": 60, **epochs}).make_clock()
    assert isinstance(clock, ScaledClock)
    assert (clock.market_epoch, clock.wall_epoch, clock.speed) == (
        parse_iso("2024-06-03T00:00:00Z"),
        5 * SECOND,
        60,
    )
    with pytest.raises(ConfigError, match="wall_epoch"):
        load([path], {}, {"clock.speed": 60}).make_clock()


def test_a_toml_moment_and_its_text_are_the_same(tmp_path):
    path = write(tmp_path, BASE + "[clock]\nmarket_epoch = 2024-06-03T01:30:00+01:30\n")
    assert load([path], {}).clock.market_epoch == parse_iso("2024-06-03T00:00:00Z")
    assert "clock.market_epoch: " in refused(write(tmp_path, BASE + '[clock]\nmarket_epoch = "soon"\n'))


def test_explain_names_the_nearest_key(tmp_path):
    config = load([write(tmp_path)], {})
    with pytest.raises(ConfigError, match="did you mean 'port'"):
        config.explain("dashboard.prot")
    with pytest.raises(ConfigError, match="unknown key"):
        config.explain("dashboard.port.deeper")


def test_every_leaf_can_be_explained(tmp_path):
    config = load([write(tmp_path)], {})
    keys = list(config.leaves())
    assert "trader.scalp.policy.max_leverage" in keys
    assert all(config.explain(key).layer for key in keys)


def test_secrets_come_from_where_the_names_point(tmp_path):
    (tmp_path / "main_key").write_text("from-credentials\n", "utf-8")
    (tmp_path / "secret.txt").write_text("from-file\n", "utf-8")
    path = write(tmp_path, BASE.replace('currency = "USDT"', 'currency = "USDT"\nsecret_file = "secret.txt"'))
    (account,) = load([path], {}).accounts
    found = account.credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.key.get_secret_value() == "from-credentials"
    assert found.secret.get_secret_value() == "from-file"
    assert "from-" not in repr(found)
    named = account.credentials({"SEAMARK_MAIN_KEY": "k", "SEAMARK_MAIN_SECRET": "s"})
    assert named.key.get_secret_value() == "k"
    assert named.secret.get_secret_value() == "from-file"


def test_missing_secrets_are_not_permitted(tmp_path):
    (account,) = load([write(tmp_path)], {}).accounts
    with pytest.raises(NotPermitted, match="SEAMARK_MAIN_KEY"):
        account.credentials({})
    (gone,) = load([write(tmp_path)], {}, {"account.main.key_file": str(tmp_path / "no")}).accounts
    with pytest.raises(NotPermitted, match="readable key file"):
        gone.credentials({})


def test_desk_setup_joins_configuration_models_and_venue(tmp_path):
    config = load([write(tmp_path)], {})
    terms = ModelTerms("h", "entry-5m", Timeframe.M5, 2.0, 12)
    tick = Decimal("0.1")
    bitcoin = Instrument("BTC/USDT", "BTC", "USDT", tick, tick, 1, 1, tick, tick, 5)
    setup = config.desk_setup({"scalp": terms}, [bitcoin])
    assert setup.traders[0].decision is Timeframe.M5
    assert (setup.mode, setup.venue, setup.accounts[0].quote) == ("paper", "loopback", "USDT")
    assert setup.instruments == (bitcoin,)


def test_nothing_changes_after_loading(tmp_path):
    config = load([write(tmp_path)], {})
    with pytest.raises(ValueError, match="frozen"):
        config.mode = "live"
    assert isinstance(config, Config)


def test_a_value_where_a_table_belongs_is_refused():
    with pytest.raises(ConfigError, match="to be a table"):
        from_overrides({"clock": 1, "clock.speed": 2})
    assert merge([from_env({"TRADER_MODE": "live", "TRADER_HOME": "x"})]).values == {"mode": "live"}


@pytest.mark.parametrize(
    "text, value",
    [("60", 60), ("true", True), ("live", "live"), ("1\nb = 2", "1\nb = 2"), ('["a"]', ["a"])],
)
def test_a_literal_is_toml_or_text(text, value):
    assert literal(text) == value


LEAVES = st.dictionaries(st.sampled_from(["a.x", "a.y", "b.x", "c"]), st.integers(), max_size=4)


@given(st.lists(LEAVES, max_size=4))
def test_the_last_layer_that_names_a_key_wins(layers):
    merged = merge(from_overrides(layer) for layer in layers)
    flat: dict[str, int] = {}
    for layer in layers:
        flat |= layer
    for key, value in flat.items():
        found = merged.values
        for part in key.split("."):
            found = found[part]
        assert found == value
    assert set(merged.origins) == set(flat)
