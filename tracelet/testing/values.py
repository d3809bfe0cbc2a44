"""What the checks log, and so what a tracker has to give back; each check has values of its own.

Every check looks at names that no other uses, so that a loss fails one check and not all of them.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, NamedTuple

from tracelet.records import DEFAULT_AXIS, MetricPoint

NAME, PROJECT, GROUP = "contract run", "contract project", "contract group"
EPOCH = 1_750_000_000.0
"""The time of the first point whose time is given, seconds since 1970."""

# -- parameters, under the keys they are flat under ---------------------------------------------

PARAM_TYPES: dict[str, Any] = {
    "types.text": "sgd",
    "types.integer": 3,
    "types.large_integer": 2**53 + 1,
    "types.real": 0.1,
    "types.whole_real": 3.0,
    "types.small_real": 5e-324,
    "types.yes": True,
    "types.no": False,
    "types.list": [1, 2.5, "x", None, [True]],
    "types.table": [{"name": "conv", "size": 3}],
    "types.digits": "42",
    "types.truth": "True",
    "types.nothing": "None",
}
PARAM_NONFINITE: dict[str, Any] = {"nan": math.nan, "inf": math.inf, "list": [-math.inf, "NaN"]}
PARAM_NONE: dict[str, Any] = {"none": None}
PARAM_EMPTY: dict[str, Any] = {"empty.mapping": {}, "empty.list": [], "empty.text": ""}
PARAM_NESTED: dict[str, Any] = {"model.block.depth": 18, "model.head.name": "linear"}
PARAM_UNICODE: dict[str, Any] = {
    "unicode.words": "naïve ✓ 模型 🚀",
    "unicode.lines": "one\ntwo\r\n\tthree ",
    "unicode.quotes": "\"'\\{}$%",
}
PARAM_LONG: dict[str, Any] = {"long": "".join(f"{number:05d}" for number in range(2000))}
PARAM_MANY: dict[str, Any] = {f"many.p{number}": number for number in range(1000)}
PARAM_NAMES: dict[str, Any] = {
    "names/with a space": 1,
    "names/user@host": 2,
    "names/layers[0]": 3,
    "names/a,b=c;d": 4,
    "names/100%": 5,
    "names/hash#(x)": 6,
    "names/größe ✓": 7,
    "names/colon:x": 8,
    f"names/{'long' * 75}": 9,
}
PARAM_CLASHES: dict[str, Any] = {
    "clashes/lr@1": "at",
    "clashes/lr#1": "hash",
    "clashes/lr_1": "underscore",
    "clashes/LR_1": "capitals",
}
PARAM_OVERWRITTEN: tuple[dict[str, Any], ...] = (
    {"over.lr": 0.1, "over.kept": 1, "over.type": 1},
    {"over.lr": 0.01, "over.type": "one"},
    {"over.lr": 0.001},
)
PARAM_REPEATED: dict[str, Any] = {"repeated": 5}
ENDING_PARAMS: dict[str, Any] = {"ending.lr": 0.5, "ending.first": 0}
POLICY_PARAMS: dict[str, Any] = {"policy.lr": 0.1, "policy.kept": 1, "policy.new": 2}
PARAM_BRANCH: tuple[dict[str, Any], ...] = ({"shape": "resnet"}, {"shape.name": "vit"})

# -- metrics ------------------------------------------------------------------------------------


class Point(NamedTuple):
    """One call of ``log_metric``; ``time`` None: the time of the call."""

    name: str
    value: Any
    iteration: int
    axis: str = DEFAULT_AXIS
    time: float | None = None

    def expected(self) -> MetricPoint:
        """Return the point that is to be read back; its time is 0 if it was not given."""
        value = self.value
        value = value if type(value) in (int, float) else float(value)
        return MetricPoint(self.name, value, self.iteration, self.axis, self.time or 0.0)


def _series(name: str, values: Any, iterations: Any = None) -> list[Point]:
    """Make points 10 ms apart: trackers may keep milliseconds, and sort by them."""
    values = list(values)
    at = range(len(values)) if iterations is None else iterations
    return [
        Point(name, value, iteration, DEFAULT_AXIS, EPOCH + index / 100)
        for index, (value, iteration) in enumerate(zip(values, at, strict=True))
    ]


def numbered(*names: str) -> list[Point]:
    """Return the points that the scripts of faults log under these names."""
    return [Point(name, float(number), number) for name in names for number in range(50)]


def ending_points(numbers: range) -> list[Point]:
    """Return the points that the scripts that end somehow log."""
    return [Point("ending", number / 7, number) for number in numbers]


METRIC_FLOAT64 = _series(
    "float64", [1 / 3, 0.1 + 0.2, 1e-300, 1e300, 5e-324, 1.7976931348623157e308, 16777217.0, -2.5]
)
METRIC_NAN = _series("nan", [1.0, math.nan, 2.0])
METRIC_INFINITY = _series("infinity", [1.0, math.inf, -math.inf, 2.0])
METRIC_INTEGERS = _series("integers", [2**53 + 1, -(2**53) - 1, 2**62 + 1, 3])
METRIC_BOOLS = _series("bools", [True, False])
METRIC_NUMBERS = _series("numbers", [Decimal("0.25"), 7, 0.5])
METRIC_ZERO = _series("zero", [0.5, 0.25], [0, 1])
METRIC_NEGATIVE = _series("negative", [1.0, 2.0, 3.0], [-5, -1, 0])
METRIC_LARGE = _series("large", [1.0, 2.0], [2**40, 2**40 + 1])
METRIC_DECREASING = _series("decreasing", [1.0, 2.0, 3.0], [5, 3, 1])
METRIC_REPEATED = _series("repeated", [1.0, 2.0, 3.0], [2, 2, 2])
METRIC_IDENTICAL = [Point("identical", 0.5, 7) for _ in range(3)]
METRIC_AXES = [
    Point("axes", 0.1, 1),
    Point("axes", 0.2, 1, "epoch"),
    Point("axes", 0.3, 2),
    Point("axes", 0.4, 1, "tokens seen"),
]
METRIC_NAMES = [
    Point(name, index + 0.5, index)
    for index, name in enumerate(
        [
            "val/mean@1",
            "loss[0]",
            "a b",
            "50%,x=y",
            "größe ✓",
            "Case",
            "case",
            "hash#1",
            "hash_1",
            "w" * 300,
        ]
    )
]
METRIC_BESIDE = [
    Point("beside", 1.0, 0),
    Point("beside/train", 2.0, 0),
    Point("beside/train/deep", 3.0, 0),
]
METRIC_TIMES = [
    Point("times", number / 2, number, DEFAULT_AXIS, EPOCH + 3600 * number + 0.125)
    for number in range(4)
]
METRIC_ORDER = _series("order", [number * 7 % 13 for number in range(13)])
METRICS = [
    *METRIC_FLOAT64,
    *METRIC_NAN,
    *METRIC_INFINITY,
    *METRIC_INTEGERS,
    *METRIC_BOOLS,
    *METRIC_NUMBERS,
    *METRIC_ZERO,
    *METRIC_NEGATIVE,
    *METRIC_LARGE,
    *METRIC_DECREASING,
    *METRIC_REPEATED,
    *METRIC_IDENTICAL,
    *METRIC_AXES,
    *METRIC_NAMES,
    *METRIC_BESIDE,
    *METRIC_TIMES,
    *METRIC_ORDER,
]

# -- artifacts, by destination ------------------------------------------------------------------

ARTIFACT_FILE = {"plain.bin": bytes(range(256)) * 12}
ARTIFACT_FOLDER = {"folder/a.txt": b"a", "folder/below/b.txt": b"b", "folder/below/c.bin": b"\0\n"}
ARTIFACT_NESTED = {"models/deep/er/last.pt": b"weights"}
ARTIFACT_TWICE = {"twice.txt": b"second"}
ARTIFACT_COPIES = {"copies/one.bin": b"the same", "copies/two.bin": b"the same"}
ARTIFACT_EMPTY = {"nothing.dat": b""}
ARTIFACT_CHANGED = {"changed.txt": b"before"}
ARTIFACT_DELETED = {"deleted.txt": b"was here"}
ARTIFACT_NAMES = {
    f"names/{name}": name.encode()
    for name in (
        "with space.txt",
        "hash#tag.txt",
        "100%25.txt",
        "question?.txt",
        "größe ✓.txt",
        "plus+and&.txt",
        "no suffix",
        ".hidden",
    )
}

# -- everything else ----------------------------------------------------------------------------

CONFIG_VALUES: dict[str, Any] = {
    "dictionary": {
        "value": 13.37,
        "dict": {"sub_value": "string ✓", "sub_integer": 11, "none": None},
        "list_of_ints": [1, 2, 3, 4],
        "flag": True,
        "empty": {},
    },
    "list of layers": [{"conv": 3}, {"pool": [2, 2]}, "end"],
}
CONFIG_FILE = {"yaml file": b"# learning rate\r\nlr: 1e-3\nwords: na\xc3\xafve\n"}
TEXTS = ["first line", "two\nlines", "ünï ✓", "  spaces kept  ", "last line"]
TAGS: tuple[dict[str, str], ...] = (
    {"team": "ml", "stage": "one", "größe": "✓ 100%", "long": "tag " * 500},
    {"stage": "two"},
)
PROPERTIES: tuple[dict[str, Any], ...] = (
    {"score": 1, "rate": 0.5, "approved": True, "owner": "größe ✓", "nothing": None},
    {"score": 2},
)
DESCRIBED = {"name": "backbone", "value": "great", "description": "network type"}

SECRETS = {
    place: f"canary-{place}-5f2c81d09e"
    for place in ("param", "url", "tag", "property", "config", "text", "argument", "environment")
}
"""What must not be found anywhere, by the way it came in."""
