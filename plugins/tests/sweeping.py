"""A sweep as anybody runs one; nothing in it says where its runs go. One configuration fails."""

from __future__ import annotations

import tracelet

NAME, PROJECT = "grid", "together"
AXES = {"lr": [0.1, 0.2], "depth": [2, 3]}
POINTS = 3


def losses(lr: float, depth: int) -> list[float]:
    """Return what a configuration logs."""
    return [lr * depth / (iteration + 1) for iteration in range(POINTS)]


def fails(lr: float, depth: int) -> bool:
    """Tell the one configuration that fails."""
    return (lr, depth) == (0.2, 3)


def train(lr: float, depth: int) -> float:
    """Log the losses of a configuration, and return the last."""
    experiment = tracelet.get_active_experiment()
    assert experiment is not None
    for iteration, loss in enumerate(losses(lr, depth)):
        experiment.log_metric("loss", loss, iteration)
    if fails(lr, depth):
        raise ValueError("too deep")
    return losses(lr, depth)[-1]


if __name__ == "__main__":
    results = tracelet.Sweep(train).product(**AXES).run(name=NAME, project=PROJECT, max_workers=2)
    print([result.value for result in results])
