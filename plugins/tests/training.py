"""A training script as anybody writes one; nothing in it says where its run goes.

The tests import what it logs. Its argument is how it ends: ``finished``, ``failed`` or ``killed``.
"""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path
from typing import Any

import tracelet

NAME, PROJECT, GROUP = "training", "together", "ensemble 1"
TAGS = {"team": "vision", "größe": "✓ 100 %", "stage": "two", "long": "tag " * 100}
FIRST_PARAMS: dict[str, Any] = {
    "optimizer": {"name": "sgd", "lr": 0.1, "betas": [0.9, 0.999], "nesterov": True},
    "model": {"depth": 18, "pretrained": None, "head": {}, "text": "naïve ✓\nzwei"},
    "whole": 3.0,
    "large": 2**53 + 1,
    "digits": "42",
    "long": "0123456789" * 700,
    "limits": [math.inf, "NaN"],
    "never": math.nan,
    "val/mean@1": "a name that not every tracker takes",
}
PARAMS: dict[str, Any] = {
    "optimizer.name": "sgd",
    "optimizer.lr": 0.01,
    "optimizer.betas": [0.9, 0.999],
    "optimizer.nesterov": True,
    "model.depth": 18,
    "model.pretrained": None,
    "model.head": {},
    "model.text": "naïve ✓\nzwei",
    **{key: value for key, value in FIRST_PARAMS.items() if not isinstance(value, dict)},
}
"""The parameters in the end, under their flat keys."""
POINTS: list[tuple[str, float | int, int, str]] = [
    *(("train/loss", 1 / (number + 3), number, "iteration") for number in range(40)),
    ("diverging", 1e300, 0, "iteration"),
    ("diverging", math.inf, 1, "iteration"),
    ("diverging", -math.inf, 2, "iteration"),
    ("diverging", math.nan, 3, "iteration"),
    ("diverging", -0.5, 4, "iteration"),
    ("before/zero", 0.25, -3, "iteration"),
    ("before/zero", 0.125, -1, "iteration"),
    ("before/zero", 0.0625, 0, "iteration"),
    ("backwards", 1.5, 5, "iteration"),
    ("backwards", 2.5, 3, "iteration"),
    ("backwards", 3.5, 4, "iteration"),
    ("repeated", 1.0, 2, "iteration"),
    ("repeated", 2.0, 2, "iteration"),
    ("repeated", 2.0, 2, "iteration"),
    ("val/mean@1", 0.5, 10, "iteration"),
    ("val/mean@1", 0.5, 1, "epoch"),
    ("val/mean@1", 0.75, 20, "iteration"),
    ("val/mean@1", 0.625, 2, "epoch"),
    ("count", 2**53 + 1, 0, "iteration"),
]
TOGETHER: dict[str, float] = {"last/loss": 0.03125, "last/accuracy": 0.96875}
"""The values of one call, at iteration 99."""
ARTIFACTS = {
    "models/last.pt": bytes(range(256)),
    "models/best.pt": b"the best",
    "empty.dat": b"",
    "with space #1.txt": "größe ✓".encode(),
    "samples/a.txt": b"a",
    "samples/deep/b.txt": b"b",
    "log.txt": b"a log of the script's own",
    "configs/net.json": b"a file that is called like a configuration object",
    "tags.json": b"{}",
}
CONFIG = {"layers": [{"conv": 3}, {"pool": [2, 2]}], "dropout": 0.5, "norm": None}
TEXTS = ["the first line", "two\nlines ✓"]
PROPERTIES = {"score": 0.5, "owner": "größe ✓", "approved": True}


def main(ending: str) -> None:
    """Train."""
    with tracelet.start_logging(NAME, PROJECT, group=GROUP, params=FIRST_PARAMS) as exp:
        exp.set_tags({**TAGS, "stage": "one"})
        for name, value, iteration, axis in POINTS:
            exp.log_metric(name, value, iteration, axis=axis)
        exp.log_metrics(TOGETHER, iteration=99)
        exp.log_params({"optimizer.lr": PARAMS["optimizer.lr"]})
        file = Path("file")
        for content in (b"not yet the best", *ARTIFACTS.values()):
            paths = [path for path, wanted in ARTIFACTS.items() if wanted == content]
            file.write_bytes(content)
            exp.log_artifact(file, *(paths or ["models/best.pt"]))
        exp.connect_configuration(CONFIG, name="net")
        for text in TEXTS:
            exp.log(text)
        exp.set_tags({"stage": TAGS["stage"]})
        exp.set_user_properties(PROPERTIES)
        if ending == "killed":
            print("ready", flush=True)
            threading.Event().wait()
        if ending == "failed":
            raise RuntimeError("out of luck")


if __name__ == "__main__":
    main(*sys.argv[1:])
