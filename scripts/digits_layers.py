"""Write ``data/digits_mlp_layers.csv``: layers of a trained network, with operands of 8 bits.

Needs scikit-learn (``pip install "imccircuit[digits]"``). Run from the repository root.
"""

import csv
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

OUTPUTS, IMAGES = 8, 32
PATH = Path("data/digits_mlp_layers.csv")

pixels, classes = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    pixels / 16, classes, test_size=360, random_state=0, stratify=classes
)
with warnings.catch_warnings():
    # Sixty passes are enough for 97.5 % of the test images.
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier((512, 64), alpha=1e-3, max_iter=60, random_state=0).fit(train_x, train_y)

values = [test_x]
for matrix, bias in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
    values.append(np.maximum(values[-1] @ matrix + bias, 0))

with PATH.open("w", newline="", encoding="utf-8") as file:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["layer", "kind", "index", "values"])
    names = ("hidden 1", "hidden 2", "output")
    for name, matrix, inputs in zip(names, model.coefs_, values, strict=True):
        # One scale for a layer's weights and one for its inputs, both to the largest.
        weights = np.rint(matrix / np.abs(matrix).max() * 127).astype(int)
        steps = np.rint(inputs / inputs.max() * 255).astype(int)
        for output in range(OUTPUTS):
            row = " ".join(map(str, weights[:, output]))
            table.writerow([name, "weights", output, row])
        for image in range(IMAGES):
            table.writerow([name, "inputs", image, " ".join(map(str, steps[image]))])
