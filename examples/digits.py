"""Train a classifier of handwritten digits, and log everything about it with tracelet."""

from __future__ import annotations

import argparse
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import ConfusionMatrixDisplay, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tracelet

plt.switch_backend("Agg")  # draws into files, and needs no screen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["sgd", "mlp"], default="sgd")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument("--alpha", type=float, default=1e-4, help="weight of the L2 penalty")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", help="names, separated by commas; default: the settings")
    parser.add_argument("--dir", help="where runs are kept; default: the settings")
    parser.add_argument("--project", default="examples")
    return parser.parse_args()


def make_model(args: argparse.Namespace) -> Any:
    if args.model == "mlp":
        return MLPClassifier(
            (64,), learning_rate_init=args.lr, alpha=args.alpha, random_state=args.seed
        )
    return SGDClassifier(
        "log_loss", learning_rate="constant", eta0=args.lr, alpha=args.alpha, random_state=args.seed
    )


def main() -> None:
    args = arguments()
    images, digits = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(
        images / 16, digits, test_size=0.25, stratify=digits, random_state=args.seed
    )
    model = make_model(args)
    shuffle = np.random.default_rng(args.seed)

    with tracelet.start_logging(
        exp_name="digits",
        project=args.project,
        backend=args.backend,
        dir=args.dir,
        tags={"data": "digits", "model": args.model},
        params=args,
    ) as exp:
        exp.log_params(
            classifier=model.get_params(), samples={"train": len(x_train), "val": len(x_val)}
        )

        for epoch in range(args.epochs):
            exp.set_iteration(epoch)
            order = shuffle.permutation(len(x_train))
            for batch in np.split(order, range(args.batch_size, len(order), args.batch_size)):
                model.partial_fit(x_train[batch], y_train[batch], classes=range(10))

            for part, x, y in [("train", x_train, y_train), ("val", x_val, y_val)]:
                exp.log_metric(f"{part}/loss", log_loss(y, model.predict_proba(x)))
                exp.log_metric(f"{part}/accuracy", model.score(x, y))

        with tempfile.TemporaryDirectory() as directory:
            picture, pickled = Path(directory, "confusion.png"), Path(directory, "model.pkl")
            ConfusionMatrixDisplay.from_estimator(model, x_val, y_val)
            plt.savefig(picture)
            pickled.write_bytes(pickle.dumps(model))
            exp.log_artifact(picture, "plots/confusion.png")
            exp.log_artifact(pickled, "models/model.pkl")

        exp.log(f"trained for {args.epochs} epochs")

    print(f"accuracy on the validation set: {model.score(x_val, y_val):.3f}")
    print(f"look at it:  tracelet show {exp.dir}")


if __name__ == "__main__":
    main()
