"""Any maker, asked about the market instead of the position: will prices rise? The side makes it an answer.

Must not know looks, folds or money. Wrapped around every maker by training.manager.recipe. Whether a
position goes on is whether the market moves its way, so one model of the market serves both sides and
nobody has to learn twice what a side is. It still sees the side: that an entry model said "up" is news, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inference.artifact import OUTPUT
from inference.card import POSITION_COLUMNS, RobustScaler
from inference.card_check import POSITION
from training.manager.rows import CONTINUE
from training.members.member import Fitted, Lesson, Maker, Say, silent
from training.panel.panel import Flags, Floats, Kinds, Matrix, Panel

R, AGE, WORST, BEST, SIDE = range(len(POSITION_COLUMNS))
_LOWEST, _HIGHEST = [WORST, BEST], [BEST, WORST]
"""Columns that hold, for a long and for a short, how far the price fell and rose since the entry."""


@dataclass(frozen=True)
class SidedMaker:
    """The maker `of` whatever kind, on mirrored looks; classes are reverse and continue, as asked."""

    of: Maker

    @property
    def name(self) -> str:
        return self.of.name

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Fit on whether prices rose."""
        model = self.of.fit(upright(lesson), upright(validation), classes=classes, seed=seed, say=say)
        return Sided(model, lesson.panel.shapes[POSITION])

    def again(self, fitted: Sequence[Fitted]) -> "SidedMaker":
        return SidedMaker(self.of.again([one.of for one in fitted if isinstance(one, Sided)]))


@dataclass(frozen=True, eq=False)
class Sided:
    """A fitted model of the market, turned into one of positions. `position` is that tensor's shape."""

    of: Fitted
    position: tuple[int, ...]

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        """Give the scalers of the features: the position is mirrored first, so it is scaled in the graph."""
        return {name: one for name, one in self.of.scalers.items() if name != POSITION}

    @property
    def parameters(self) -> Mapping[str, float]:
        return self.of.parameters

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return {**self.of.inputs, POSITION: self.position}

    def chances(self, panel: Panel) -> Floats:
        """Ask whether prices will rise, and turn the answer round for a short."""
        p = self.of.chances(mirrored(panel))
        found: Floats = np.where(_long(panel)[:, None], p, p[:, ::-1])
        return found

    def to_onnx(self) -> bytes:
        """Give the model's own graph between the mirroring of the position and that of the answer."""
        return _between(self.of.to_onnx(), self.of.scalers.get(POSITION), reads=POSITION in self.of.inputs)


def upright(lesson: Lesson) -> Lesson:
    """Give the lesson as the market has it: positions mirrored, class 1 where prices rose."""
    rose: Kinds = ((lesson.kind == CONTINUE) == _long(lesson.panel)).astype(np.int8)
    return replace(lesson, panel=mirrored(lesson.panel), kind=rose)


def mirrored(panel: Panel) -> Panel:
    """Give positions as the market sees them: gains of the price, not of the side; lowest, then highest."""
    position, long = panel.beside[POSITION], _long(panel)
    side = position[:, [SIDE]]
    low_high: Matrix = np.where(long[:, None], position[:, _LOWEST], -position[:, _HIGHEST])
    seen = np.concatenate([side * position[:, [R]], position[:, [AGE]], low_high, side], axis=1)
    signs = np.where(long, 1.0, -1.0)
    return replace(panel, beside={**panel.beside, POSITION: seen}, momentum=signs * panel.momentum)


def _long(panel: Panel) -> Flags:
    found: Flags = panel.beside[POSITION][:, SIDE] > 0
    return found


def _between(body: bytes, scaler: RobustScaler | None, *, reads: bool) -> bytes:
    """Put the mirrors around `body`, whose input of the position, if it `reads` one, is scaled."""
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    model = onnx.load_from_string(body)
    graph = model.graph
    seen, market = "sided_position", "sided_market"
    for node in graph.node:
        node.input[:] = [seen if name == POSITION else name for name in node.input]
        node.output[:] = [market if name == OUTPUT else name for name in node.output]
    constants = {
        "sided_zero": np.zeros(1, np.float32),
        "sided_turned": np.array([1, 0], np.int64),
        "sided_side": np.array([SIDE], np.int64),
    }
    before = [
        helper.make_node("Gather", [POSITION, "sided_side"], ["sided_is"], axis=1),
        helper.make_node("Greater", ["sided_is", "sided_zero"], ["sided_long"]),
    ]
    if reads:
        nodes, values = _mirror(scaler, seen)
        before += nodes
        constants |= values
    else:
        graph.input.append(
            helper.make_tensor_value_info(POSITION, TensorProto.FLOAT, ["batch", len(POSITION_COLUMNS)])
        )
    after = [
        helper.make_node("Gather", [market, "sided_turned"], ["sided_fallen"], axis=1),
        helper.make_node("Where", ["sided_long", market, "sided_fallen"], [OUTPUT]),
    ]
    inner = list(graph.node)
    del graph.node[:], graph.value_info[:]  # the shapes told of are those of other names
    graph.node.extend([*before, *inner, *after])
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _mirror(scaler: RobustScaler | None, out: str) -> tuple[list[Any], dict[str, Any]]:
    """Give nodes and constants that do to the raw position what `mirrored` and the scaler do."""
    from onnx import helper  # noqa: PLC0415

    node = helper.make_node
    constants: dict[str, Any] = {
        "sided_r": np.array([R], np.int64),
        "sided_age": np.array([AGE], np.int64),
        "sided_for_long": np.array(_LOWEST, np.int64),
        "sided_for_short": np.array(_HIGHEST, np.int64),
    }
    whole = "sided_raw" if scaler else out
    nodes = [
        node("Gather", [POSITION, "sided_r"], ["sided_own"], axis=1),
        node("Mul", ["sided_own", "sided_is"], ["sided_gain"]),
        node("Gather", [POSITION, "sided_age"], ["sided_since"], axis=1),
        node("Gather", [POSITION, "sided_for_long"], ["sided_a"], axis=1),
        node("Gather", [POSITION, "sided_for_short"], ["sided_b"], axis=1),
        node("Neg", ["sided_b"], ["sided_c"]),
        node("Where", ["sided_long", "sided_a", "sided_c"], ["sided_reach"]),
        node("Concat", ["sided_gain", "sided_since", "sided_reach", "sided_is"], [whole], axis=1),
    ]
    if scaler:
        constants |= {
            "sided_center": np.array(scaler.center, np.float32),
            "sided_scale": np.array(scaler.scale, np.float32),
            "sided_floor": np.array(-scaler.clip, np.float32),
            "sided_roof": np.array(scaler.clip, np.float32),
        }
        nodes += [
            node("Sub", [whole, "sided_center"], ["sided_off"]),
            node("Div", ["sided_off", "sided_scale"], ["sided_by"]),
            node("Clip", ["sided_by", "sided_floor", "sided_roof"], [out]),
        ]
    return nodes, constants
