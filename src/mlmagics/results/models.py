"""Models and pictures out of the formats of their own libraries."""

from __future__ import annotations

import json
from typing import Any

from mlmagics_job.models import SETTINGS, XGBOOST

_TREE = "sklearn.tree._tree.Tree"
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
#: Beyond what skops itself takes for harmless: what reads these runs no Python of the sender's.
_HARMLESS = frozenset(
    {
        _TREE,
        _PREDICTOR,
        "collections.OrderedDict",
        "collections.defaultdict",
        "lightgbm.basic.Booster",
        *(f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Regressor", "Ranker")),
        "xgboost.core.Booster",
        *(f"xgboost.sklearn.{kind}" for kind in XGBOOST),
    }
)
_PNG = b"\x89PNG\r\n\x1a\n"


class NotTrusted(Exception):
    """A model holds types whose reading may run code of the sender's."""

    def __init__(self, kinds: list[str]) -> None:
        super().__init__(", ".join(kinds))
        self.kinds = kinds


def from_xgboost(data: Any) -> Any:
    """The booster, or the model of xgboost's own interface to scikit-learn, in its native format."""
    import xgboost

    raw = bytearray(data)
    try:
        booster = xgboost.Booster()
        booster.load_model(raw)
        told = booster.attr(SETTINGS)
        if told is None:
            return booster
        kind, settings = json.loads(told)
        if kind not in XGBOOST:
            raise ValueError(f"it is a {str(kind)[:40]!r}, which this mlmagics does not know")
        model = getattr(xgboost, kind)()
        known = model.get_params()
        plain = {key: value for key, value in settings.items() if key in known and _is_scalar(value)}
        model.set_params(**plain)
        model.load_model(raw)
        model.get_booster().set_attr(**{SETTINGS: None})
    except (xgboost.core.XGBoostError, AttributeError, TypeError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    return model


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def from_lightgbm(data: Any) -> Any:
    """The booster in LightGBM's own text."""
    import lightgbm

    try:
        return lightgbm.Booster(model_str=bytes(data).decode())
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from None


def from_skops(data: Any, *, trust: bool = False) -> Any:
    """The model of scikit-learn in a file of skops.

    Raises
    ------
    NotTrusted
        When it holds other types than those of scikit-learn, numpy and scipy that are known to be harmless, unless
        ``trust`` says that these are trusted.
    ValueError
        When there is no model in it.
    """
    import skops.io

    raw = bytes(data)
    try:
        beyond = skops.io.get_untrusted_types(data=raw)
        others = sorted(set(beyond) - _HARMLESS)
        if others and not trust:
            raise NotTrusted(others)
        model = skops.io.loads(raw, trusted=beyond)
        _check_trees(model)
    except (NotTrusted, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 - readers of damaged archives raise anything
        raise ValueError(f"{type(error).__name__}: {error}") from None
    return model


def _check_trees(model: Any) -> None:
    """Refuse trees whose nodes lie outside of them: compiled code goes from node to node without looking."""
    todo, seen = [model], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        kind = f"{type(one).__module__}.{type(one).__qualname__}"
        if kind == _TREE:
            children = (one.children_left, one.children_right)
            _check_nodes(children, one.feature, one.node_count, one.n_features)
        elif kind == _PREDICTOR:
            inner = one.nodes[one.nodes["is_leaf"] == 0]
            _check_nodes((inner["left"], inner["right"]), inner["feature_idx"], len(one.nodes), None)
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list | tuple | set) or kind == "numpy.ndarray":
            todo += list(one.flat) if kind == "numpy.ndarray" and one.dtype.hasobject else []
            todo += one if isinstance(one, list | tuple | set) else []
        else:
            todo += getattr(one, "__dict__", {}).values()


def _check_nodes(children: tuple[Any, ...], features: Any, nodes: int, most: int | None) -> None:
    for side in children:
        if len(side) and (side.min() < -1 or side.max() >= nodes):
            raise ValueError("a tree has nodes outside of it")
    if most is not None and len(features) and features.max() >= most:
        raise ValueError("a tree asks for features that there are not")


def from_png(data: Any) -> Any:
    """A picture that a notebook shows."""
    from IPython.display import Image

    raw = bytes(data)
    if not raw.startswith(_PNG):
        raise ValueError("it is no PNG")
    return Image(data=raw, format="png")
