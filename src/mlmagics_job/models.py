"""Models in the formats of their own libraries, and figures as pictures: nothing in them runs when they are read."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

    #: format, bytes (about; 0: nobody knows before it is written), and what writes them to an open file
    Form = Tuple[str, int, Callable[[Any], None]]

_PICTURE_DPI = 144
#: Under this name the settings of a model lie in its file; xgboost itself leaves them out.
SETTINGS = "mlmagics_settings"
XGBOOST = frozenset(("XGBRegressor", "XGBClassifier", "XGBRanker", "XGBRFRegressor", "XGBRFClassifier"))


class Missing(Exception):
    """A model could be kept if something were installed; the text says what."""


def form_of(value: Any) -> Optional[Form]:
    """How a model or figure is kept; None when ``value`` is none.

    Raises
    ------
    Missing
        When the job's environment lacks what writes it.
    """
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if home == "xgboost" and kind.__name__ == "Booster":
        return "xgboost", 0, lambda file: file.write(value.save_raw(raw_format="ubj"))
    if home == "xgboost" and kind.__name__ in XGBOOST:
        return "xgboost", 0, lambda file: _save_xgboost(file, value)
    if home == "lightgbm" and kind.__name__ == "Booster":
        return "lightgbm", 0, lambda file: file.write(value.model_to_string(num_iteration=-1).encode())
    if _is_estimator(value):
        return "skops", 0, _skops(value)
    if home == "matplotlib" and _is_figure(value):
        return "png", 0, lambda file: _draw(file, value)
    return None


def _save_xgboost(file: Any, model: Any) -> None:
    import json
    import tempfile

    booster = model.get_booster()
    settings = {
        key: value for key, value in model.get_params().items() if type(value) in (bool, int, float, str)
    }
    folder = tempfile.mkdtemp(prefix="mlmagics-")
    path = os.path.join(folder, "model.ubj")
    booster.set_attr(**{SETTINGS: json.dumps([type(model).__name__, settings])})
    try:
        model.save_model(path)
        with open(path, "rb") as written:
            file.write(written.read())
    finally:
        booster.set_attr(**{SETTINGS: None})
        if os.path.exists(path):
            os.unlink(path)
        os.rmdir(folder)


def _is_estimator(value: Any) -> bool:
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(value, base.BaseEstimator)


def _skops(value: Any) -> Callable[[Any], None]:
    try:
        import skops.io
    except ImportError:
        raise Missing(
            "skops, which keeps models of scikit-learn so that nothing in them runs when they are read, is not "
            "installed in the job's environment"
        ) from None

    def write(file: Any) -> None:
        file.write(skops.io.dumps(value))

    return write


def _is_figure(value: Any) -> bool:
    figure = sys.modules.get("matplotlib.figure")
    return figure is not None and isinstance(value, figure.Figure)


def _draw(file: Any, value: Any) -> None:
    value.savefig(file, format="png", dpi=_PICTURE_DPI, bbox_inches="tight")
