"""Values of many kinds, and whether two of them are the same. Made in the test and, by its source, in a job."""

from __future__ import annotations


def make():
    """A value of each kind, by name."""
    import collections
    import datetime
    import decimal
    import fractions
    import uuid
    import zoneinfo

    import numpy as np
    import pandas as pd
    import scipy.sparse

    rng = np.random.default_rng(0)
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    days = pd.date_range("2024-03-30", periods=4, freq="D", tz="Europe/Berlin")
    moments = pd.Series(
        pd.to_datetime(["2024-01-01 00:00:00.000000001", None, "1900-05-05", "2100-01-01"], format="ISO8601")
    )
    wide = pd.DataFrame(
        {
            "bool": [True, False, True, True],
            "int8": np.array([-128, 0, 1, 127], "int8"),
            "uint64": np.array([0, 1, 2, 2**64 - 1], "uint64"),
            "float16": np.array([0.5, np.nan, np.inf, -0.0], "float16"),
            "float32": np.array([0.1, np.nan, -np.inf, 1], "float32"),
            "float64": [0.1, np.nan, np.inf, -0.0],
            "complex": np.array([1 + 2j, np.nan, 0, -1j]),
            "text": ["a", None, "grüße ☃", ""],
            "object text": np.array(["a", None, "b", "c"], dtype=object),
            "object nan": np.array(["a", np.nan, "b", "c"], dtype=object),
            "object int": np.array([1, 2, 3, None], dtype=object),
            "dates": [datetime.date(2024, 1, 1), None, datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)],
            "decimals": [decimal.Decimal("1.50"), None, decimal.Decimal("-2.25"), decimal.Decimal("0.00")],
            "lists": [[1, 2], [], [3], None],
            "none": [None, None, None, None],
            "datetime": moments,
            "datetime s": moments.astype("datetime64[s]"),
            "zone": days,
            "utc": days.tz_convert("UTC").as_unit("us"),
            "offset": days.tz_convert(datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
            "timedelta": pd.to_timedelta(["1D", None, "-1ns", "3h"]),
            "category": pd.Categorical(["x", None, "y", "x"], categories=["y", "x", "never"]),
            "ordered": pd.Categorical([3, 1, None, 1], categories=[3, 1], ordered=True),
            "cut": pd.cut([1, 5, 9, 20], [0, 5, 10]),
            "Int64": pd.array([1, None, 2**60, -1], dtype="Int64"),
            "UInt8": pd.array([1, None, 255, 0], dtype="UInt8"),
            "Float32": pd.array([0.1, None, 1, 2], dtype="Float32"),
            "boolean": pd.array([True, None, False, True], dtype="boolean"),
            "string": pd.array(["a", None, "b", "c"], dtype="string"),
            "string python": pd.array(["a", None, "b", "c"], dtype="string[python]"),
            "period": pd.PeriodIndex(["2024-01", "2024-02", None, "2024-04"], freq="M"),
            "interval": pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), None, (2, 4)], closed="left"),
            "sparse": pd.arrays.SparseArray([0, 0, 1, 2], fill_value=0),
            "arrow": pd.array([1, None, 2, 3], dtype="int32[pyarrow]"),
        },
        index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1), ("b", 2)], names=["k", None]),
    )
    wide.attrs = {"source": "test"}
    many = pd.DataFrame(
        rng.normal(size=(3, 4)), columns=pd.MultiIndex.from_product([["x", "y"], [1, 2]], names=["u", "v"])
    )
    record = np.array([(1, 2.5, "ab")], dtype=[("n", "i4"), ("x", "f8"), ("s", "U4")])
    return {
        "none": None,
        "flag": True,
        "whole": 2**70,
        "number": 0.1 + 0.2,
        "not_a_number": float("nan"),
        "text": "grüße ☃\n\0",
        "plain": {"a": [1, 2.5, None, True], "b": {"c": "d"}},
        "with_nan": {"loss": [1.0, float("nan"), float("inf"), float("-inf")]},
        "pair": (1, (2, "x"), [3]),
        "sets": {1, 2, frozenset({"a"})},
        "keys": {1: "a", (2, 3): "b", None: "c", "$": "d"},
        "raw": [b"\0\xff", bytearray(b"x")],
        "standard": [
            decimal.Decimal("1.10"),
            fractions.Fraction(1, 3),
            uuid.UUID(int=5),
            1 + 2j,
            range(1, 9, 2),
        ],
        "times": [
            datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
            datetime.datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=1),
            datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
            datetime.date(2024, 1, 2),
            datetime.time(3, 4),
            datetime.timedelta(days=-1, microseconds=5),
        ],
        "counts": collections.Counter("abca"),
        "stamps": [
            pd.Timestamp("2024-01-02 03:04:05.000000006"),
            pd.Timestamp("2024", tz="Europe/Berlin"),
            pd.NaT,
            pd.NA,
        ],
        "spans": [pd.Timedelta("1ns"), pd.Timedelta("-3D")],
        "mixed": {"auc": 0.5, "curve": np.arange(3.0), "table": pd.DataFrame({"a": [1]})},
        "scalar": np.float64(0.25),
        "array": rng.normal(size=(3, 4, 5)),
        "fortran": np.asfortranarray(rng.normal(size=(3, 4)).astype("float32")),
        "strided": np.arange(20).reshape(4, 5)[::2, ::-1],
        "zero_dim": np.array(5.0),
        "empty_array": np.empty((0, 3), "int16"),
        "big_endian": np.arange(5, dtype=">i4"),
        "complex_array": np.array([1 + 2j, 3]),
        "moments_array": np.array(["2024-01-01", "NaT"], "datetime64[us]"),
        "text_array": np.array(["a", "bcd"]),
        "bytes_array": np.array([b"a", b"bcd"]),
        "record": record,
        "masked": np.ma.MaskedArray([1.0, 2.0, 3.0], [False, True, False], fill_value=-1),
        "sparse": scipy.sparse.random(10, 8, 0.2, format="csr", random_state=0),
        "split": (np.arange(3), np.arange(4.0)),
        "arrays": {"X": np.eye(2), "y y": np.arange(2)},
        "frame": wide,
        "many": many,
        "int_labels": pd.DataFrame(np.eye(3), columns=[0, 1, 2]),
        "same_labels": pd.DataFrame(np.eye(2), columns=["a", "a"]),
        "mixed_labels": pd.DataFrame(np.eye(3), columns=["a", 1, None]),
        "date_index": pd.DataFrame({"y": range(4)}, index=days),
        "category_index": pd.DataFrame({"y": [1, 2]}, index=pd.CategoricalIndex(["u", "v"], name="c")),
        "no_rows": wide.iloc[:0],
        "no_columns": pd.DataFrame(index=[1, 5, 9]),
        "empty": pd.DataFrame(),
        "slice": pd.DataFrame({"a": range(10), "b": list("abcdefghij")}).iloc[2:9:3],
        "series": pd.Series([1.5, None], index=["a", "b"], name=("n", 1)),
        "range_series": pd.Series(range(5), index=pd.RangeIndex(10, 20, 2, name="r")),
        "index": pd.Index(["a", "b"], name="i"),
        "multi": pd.MultiIndex.from_product([[1, 2], ["x", "y"]], names=["n", "s"]),
        "periods": pd.period_range("2024-01", periods=3, freq="Q"),
    }


def same(one, two):
    """None where both are the same, else where they differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        if list(one) != list(two):
            return f"{list(one)} became {list(two)}"
        return next(filter(None, (same(one[key], two[key]) for key in one)), None)
    if type(one) is type(two) and isinstance(one, list | tuple) and len(one) == len(two):
        return next(filter(None, map(same, one, two)), None)
    return same_alone(one, two)


def same_alone(one, two):
    """As ``same``, of what is no list or dict."""
    import numpy as np
    import pandas as pd
    import scipy.sparse

    if type(one) is not type(two) and not isinstance(one, np.generic):
        return f"{type(one)} became {type(two)}"
    try:
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, two, check_exact=True, check_freq=True, check_flags=True)
            assert one.attrs == two.attrs
        elif isinstance(one, pd.Series):
            pd.testing.assert_series_equal(one, two, check_exact=True, check_freq=True)
        elif isinstance(one, pd.Index):
            pd.testing.assert_index_equal(one, two, exact=True)
            assert getattr(one, "freq", None) == getattr(two, "freq", None)
        elif isinstance(one, np.ma.MaskedArray):
            np.testing.assert_array_equal(one.mask, two.mask)
            np.testing.assert_array_equal(one.filled(), two.filled())
        elif isinstance(one, np.ndarray):
            assert one.dtype == two.dtype, (one.dtype, two.dtype)
            np.testing.assert_array_equal(one, two, strict=True)
        elif scipy.sparse.issparse(one):
            assert one.dtype == two.dtype
            assert (one != two).nnz == 0
        elif one is pd.NA or one is pd.NaT:
            assert one is two
        elif isinstance(one, float) and one != one:
            assert two != two
        else:
            assert one == two, (one, two)
            assert repr(one) == repr(two) or isinstance(one, np.generic | set | frozenset | complex), (
                one,
                two,
            )
    except AssertionError as error:
        return str(error)
    return None
