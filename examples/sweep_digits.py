"""Search the best learning rate and penalty for handwritten digits, a run for each.

``python examples/sweep_digits.py --backend local,mlflow --workers 2`` needs scikit-learn, from the
group ``demo``, and the plugins of the backends. Run it again after an interruption, and it goes on.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import tracelet


def train(lr: float, alpha: float, epochs: int = 10, seed: int = 0) -> float:
    """Train a classifier, and return its accuracy on the validation set."""
    exp = tracelet.get_active_experiment()
    assert exp is not None
    images, digits = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(
        images / 16, digits, test_size=0.25, stratify=digits, random_state=seed
    )
    model = SGDClassifier(
        "log_loss", learning_rate="constant", eta0=lr, alpha=alpha, random_state=seed
    )
    shuffle = np.random.default_rng(seed)
    for epoch in range(epochs):
        order = shuffle.permutation(len(x_train))
        for batch in np.split(order, range(32, len(order), 32)):
            model.partial_fit(x_train[batch], y_train[batch], classes=range(10))
        exp.log_metric("val_loss", log_loss(y_val, model.predict_proba(x_val)), iteration=epoch)
    accuracy = model.score(x_val, y_val)
    exp.log_metric("val_accuracy", accuracy)
    return float(accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", help="names, separated by commas; default: the settings")
    parser.add_argument("--workers", type=int, help="how many processes; default: as processors")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    sweep = (
        tracelet.Sweep(train)
        .product(lr=[0.001, 0.01, 0.1], alpha=[1e-5, 1e-3])
        .set(epochs=args.epochs)
    )
    results = sweep.run(
        name="digits-search", project="examples", backend=args.backend, max_workers=args.workers
    )

    best = results.best("val_loss", mode="min")
    assert best.run is not None
    print(f"best of {len(results)}: lr={best.config['lr']}, alpha={best.config['alpha']}")
    print(f"accuracy on the validation set: {best.value:.3f}")
    print(f"look at it:  tracelet show {best.run.run_id}")


if __name__ == "__main__":
    main()
