"""A training plan: which models to make of which bars under which terms, read from TOML.

Must not know how a model is made. Read by training.plan.told, worked off by training.plan.run. Every table
is a kind of order; what one model takes from another is named by it, so the file's order means nothing.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.errors import ConfigError, UsageError
from core.market import Timeframe
from core.text import iso, parse_iso
from inference.ensemble_card import Policy
from inference.features.spec import SPECS
from training.fit.terms import FitTerms
from training.members.catalogue import BASELINES, NETWORKS
from training.networks.hyper import read_hyper

Kind = Literal["entry", "regime", "volume"]
HEAD_TARGETS = {"magnitude": "magnitude", "volatility": "volatility", "volume": "volume_up"}
"""What each head beside direction is asked."""
NETWORK = "network"
"""Among a manager's makers: the network that the order describes."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Bars(_Strict, frozen=True, kw_only=True):
    """Whose bars an order reads and how time is cut; what is left empty is the plan's own.

    Days are ISO dates. Bars from `vault_start` on are not read, "none" = all are. `stride`: features are
    made for every n-th decision only.
    """

    venue: str = ""
    source: Timeframe = Timeframe.M15
    instruments: tuple[str, ...] = ()
    test_start: str = ""
    vault_start: str = ""


class Trees(Bars, frozen=True, kw_only=True):
    """Gradient-boosted trees on single bars: an entry, regime or volume model (training.recipe, .regime)."""

    name: str
    spec: str
    kind: Kind = "entry"
    barrier_atr: float = 3.0
    horizon_bars: int = 24
    max_rows: int = 200_000
    trials: int = 1
    folds: int = 0
    """Expanding folds before the test span whose answers are kept for a meta-model; 0 = none."""


class Pretraining(_Strict, frozen=True, kw_only=True):
    """Synthetic markets that a network sees first (training.synthetic.market)."""

    pairs: int = 4
    days: int = 160
    seed: int = 1
    beside: bool = True
    """Whether the same network without them is fitted beside it, as NETWORK_no_pretrain."""


class Network(Bars, frozen=True, kw_only=True):
    """A network on windows or on one bar, with baselines on the same rows (training.members.recipe).

    `variant` names a set of hyper-parameters, `hyper` changes some of them, `fit` those of the training loop.
    `ship` = false: only its answers are kept, no model is written.
    """

    name: str
    network: str
    spec: str
    kind: Kind = "entry"
    target: str = "barrier"
    barrier_atr: float = 3.0
    horizon_bars: int = 24
    variant: str = "balanced"
    hyper: dict[str, Any] = msgspec.field(default_factory=dict)
    fit: dict[str, Any] = msgspec.field(default_factory=dict)
    heads: tuple[str, ...] = ()
    pretrain: Pretraining | None = None
    baselines: tuple[str, ...] = ("persistence", "logistic", "lightgbm")
    folds: int = 3
    max_rows: int = 60_000
    max_answers: int = 400_000
    """Decisions before the test span that are answered out of fold, at most."""
    trials: int = 1
    ship: bool = True


class Meta(_Strict, frozen=True, kw_only=True):
    """A model over the answers of others: whether to take what they say together (training.stack.meta).

    `of` names the ensemble that it will sit in: its voters, in their order, are the meta-model's, and votes
    are weighed by its policy.
    """

    name: str
    of: str
    fees: str = "kraken"
    folds: int = 4
    max_rows: int = 120_000
    trials: int = 1


class Manager(Bars, frozen=True, kw_only=True):
    """A model of open positions on simulated entries (training.manager.recipe).

    `terms` has the fields of its ManagerOrder that are not the usual ones. The simplest of `makers` that is
    not worse than the best ships; `network`, `variant`, `hyper` and `fit` are of the maker "network".
    `days` newest days before the vault are read, 0 = all.
    """

    name: str
    makers: tuple[str, ...] = ("logistic", "lightgbm", NETWORK)
    rivals: tuple[str, ...] = ("persistence",)
    network: str = "hybrid"
    variant: str = "balanced"
    hyper: dict[str, Any] = msgspec.field(default_factory=dict)
    fit: dict[str, Any] = msgspec.field(default_factory=dict)
    days: int = 0
    terms: dict[str, Any] = msgspec.field(default_factory=dict)
    trials: int = 1


class Ensemble(_Strict, frozen=True, kw_only=True):
    """Models bound into one opinion (training.blend); `prior` and `bounds` by member name.

    `policy` has the fields of inference.ensemble_card.Policy that are not the usual ones.
    """

    name: str
    vote: tuple[str, ...]
    regime: tuple[str, ...] = ()
    meta: str = ""
    manager: str = ""
    prior: dict[str, float] = msgspec.field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)
    variant: str = ""
    policy: dict[str, Any] = msgspec.field(default_factory=dict)


Order = Trees | Network | Meta | Manager | Ensemble


class Plan(_Strict, frozen=True, kw_only=True):
    """Everything that decides what is made, but for bars, code and libraries."""

    venue: str = "binance"
    test_start: str
    vault_start: str = ""
    seed: int = 1
    version: str = "1"
    trees: tuple[Trees, ...] = ()
    network: tuple[Network, ...] = ()
    meta: tuple[Meta, ...] = ()
    manager: tuple[Manager, ...] = ()
    ensemble: tuple[Ensemble, ...] = ()

    @property
    def orders(self) -> tuple[Order, ...]:
        """All orders; those that take longest stand first, so that nothing waits for one of them alone."""
        return (*self.network, *self.manager, *self.trees, *self.meta, *self.ensemble)


def read_plan(path: Path) -> Plan:
    """Read and check a plan; ConfigError in one line names file, key, what was expected and found."""
    try:
        plan = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Plan)
    except OSError as missing:
        raise ConfigError(f"{path}: expected a training plan; found: {missing.strerror}") from missing
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as wrong:
        raise ConfigError(f"{path}: expected a training plan; found: {wrong}") from wrong
    for key, expected, found in _wrong(plan):
        raise ConfigError(f"{path}: {key}: expected {expected}; found {found}")
    return plan


def needs(order: Order, plan: Plan) -> tuple[str, ...]:
    """Name the models that must be there before this one can be made."""
    match order:
        case Meta():
            return next((one.vote for one in plan.ensemble if one.name == order.of), ())
        case Ensemble():
            others = (one for one in (order.meta, order.manager) if one)
            return (*order.vote, *order.regime, *others)
        case _:
            return ()


def chosen(plan: Plan, only: tuple[str, ...], *, whole: bool) -> tuple[Order, ...]:
    """Give the orders that `only` names (none = all), with all that they need if `whole`.

    UsageError for a name that the plan does not have.
    """
    known = {order.name: order for order in plan.orders}
    if strange := [name for name in only if name not in known]:
        raise UsageError(f"--only: expected names of {', '.join(known)}; found {strange[0]!r}")
    wanted = set(only or known)
    while whole and (more := {need for name in wanted for need in needs(known[name], plan)} - wanted):
        wanted |= more
    return tuple(order for order in plan.orders if order.name in wanted)


def stages(plan: Plan, orders: tuple[Order, ...]) -> tuple[tuple[Order, ...], ...]:
    """Sort orders so that each stands behind what it needs of them; those of one stage are independent."""
    left, found = {order.name: order for order in orders}, []
    while left:
        ready = tuple(order for order in left.values() if not set(needs(order, plan)) & set(left))
        if not ready:
            raise ConfigError(f"plan: expected models that do not need each other; found {', '.join(left)}")
        found.append(ready)
        for order in ready:
            del left[order.name]
    return tuple(found)


def day(text: str) -> int | None:
    """Read a date as ns UTC; None of nothing and of "none"."""
    return parse_iso(text) if text and text != NONE else None


NONE = "none"


def _wrong(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Give what no type says: key, expected, found."""
    yield from _bad_days("", plan)
    if not plan.orders:
        yield "trees", "at least one model", "none"
    names = [order.name for order in plan.orders]
    for name in names:
        if names.count(name) > 1:
            yield f"{name}.name", "every name once", f"{names.count(name)} of it"
        if not name or Path(name).name != name or name.startswith("."):
            yield "name", "a plain word", repr(name)
    for order in plan.orders:
        yield from _wrong_members(order, plan, names)
        yield from _wrong_order(order)
        if isinstance(order, Trees | Network | Manager):
            yield from _shut_away(order, plan)


def _wrong_members(order: Order, plan: Plan, names: list[str]) -> Iterator[tuple[str, str, str]]:
    for need in needs(order, plan):
        if need not in names or need == order.name:
            yield f"{order.name}", f"members of {', '.join(names)}", repr(need)
    ensembles = [one.name for one in plan.ensemble]
    if isinstance(order, Meta) and order.of not in ensembles:
        yield f"{order.name}.of", f"an ensemble of {', '.join(ensembles) or 'the plan'}", repr(order.of)
    if isinstance(order, Ensemble):
        members = needs(order, plan)
        for field in ("prior", "bounds"):
            for name in getattr(order, field):
                if name not in members:
                    yield f"{order.name}.{field}", f"names of {', '.join(members)}", repr(name)
        if not order.vote:
            yield f"{order.name}.vote", "at least one voter", "none"
        try:
            msgspec.convert(order.policy, Policy)
        except msgspec.ValidationError as wrong:
            yield f"{order.name}.policy", "fields of a policy", str(wrong)


def _wrong_order(order: Order) -> Iterator[tuple[str, str, str]]:
    if isinstance(order, Bars):
        yield from _bad_days(f"{order.name}.", order)
    if isinstance(order, Network | Manager):
        yield from _wrong_network(order)
    if isinstance(order, Trees | Network) and order.spec not in SPECS:
        yield f"{order.name}.spec", f"one of {', '.join(SPECS)}", repr(order.spec)
    for field in ("barrier_atr", "horizon_bars", "max_rows", "max_answers", "trials"):
        if not getattr(order, field, 1) > 0:
            yield f"{order.name}.{field}", "a number above 0", str(getattr(order, field))


def _shut_away(order: Trees | Network | Manager, plan: Plan) -> Iterator[tuple[str, str, str]]:
    start, vault = (
        day(getattr(order, field) or getattr(plan, field)) for field in ("test_start", "vault_start")
    )
    if start is not None and vault is not None and start >= vault:
        expected = f"a day behind the test span's first, {iso(start)[:10]}"
        yield f"{order.name}.vault_start", expected, iso(vault)[:10]


def _wrong_network(order: Network | Manager) -> Iterator[tuple[str, str, str]]:
    """Hold what only a fit would find out against what a fit knows, before the first model is made."""
    if order.network not in NETWORKS:
        yield f"{order.name}.network", f"one of {', '.join(NETWORKS)}", repr(order.network)
    asked = order.baselines if isinstance(order, Network) else (*order.makers, *order.rivals)
    usual = BASELINES if isinstance(order, Network) else (*BASELINES, NETWORK)
    for name in asked:
        if name not in usual:
            field = "baselines" if isinstance(order, Network) else "makers"
            yield f"{order.name}.{field}", f"names of {', '.join(usual)}", repr(name)
    for head in order.heads if isinstance(order, Network) else ():
        if head not in HEAD_TARGETS:
            yield f"{order.name}.heads", f"names of {', '.join(HEAD_TARGETS)}", repr(head)
    try:
        read_hyper({"variant": order.variant, **order.hyper})
        msgspec.convert(order.fit, FitTerms)
    except (UsageError, msgspec.ValidationError) as wrong:
        expected, _, found = str(wrong).partition("; found ")
        yield f"{order.name}", expected.removeprefix("expected "), found or "another"


def _bad_days(prefix: str, holder: Plan | Bars) -> Iterator[tuple[str, str, str]]:
    for field in ("test_start", "vault_start"):
        text = getattr(holder, field)
        try:
            day(text)
        except ValueError:
            yield f"{prefix}{field}", "a date like 2024-05-01", repr(text)
    if holder.test_start == NONE or (isinstance(holder, Plan) and not holder.test_start):
        yield f"{prefix}test_start", "a date like 2024-05-01", repr(holder.test_start)
