"""The iris network: how often it is right on flowers that it has not seen.

One split into 120 flowers to learn and 30 to be tested with says little: a single flower is 3 %.
So we make twenty.
"""

import numpy as np

import fastnn
from fastnn.classic import IrisNetwork

flowers, species = fastnn.datasets.load_iris()
scaled = fastnn.datasets.scale_minmax(flowers)
targets = fastnn.datasets.one_hot(species, 3)

right = []
for seed in range(20):
    rng = np.random.default_rng(seed)
    noisy = scaled + rng.normal(0, 0.01, scaled.shape)  # so that it learns no number by heart
    order = rng.permutation(150)
    learn, test = order[:120], order[120:]

    network = IrisNetwork(input_neurons=4, hidden_neurons=5, output_neurons=3, num_epochs=8000,
                          learning_rate=0.2, seed=seed)  # fmt: skip
    network.train(noisy[learn], targets[learn])
    answers = network.predict(scaled[test]).argmax(axis=1)
    right.append(np.mean(answers == species[test]))

for share, times in zip(*np.unique(right, return_counts=True), strict=True):
    print(f"{share:6.1%}  {'*' * times}")
print(f"median {np.median(right):.1%}, from {min(right):.1%} to {max(right):.1%}")
