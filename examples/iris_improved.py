"""The iris network beside what its author proposes for it: each over twenty splits."""

import numpy as np

import fastnn

flowers, species = fastnn.datasets.load_iris()
scaled = fastnn.datasets.scale_minmax(flowers)
targets = fastnn.datasets.one_hot(species, 3)

# The hidden layers, their activation, the optimizer and its epochs, of which Adam needs a tenth.
# L2, a penalty on large weights, makes each step shrink them a little: weight_decay.
networks = {
    "as it was": ([5], "sigmoid", fastnn.SGD(0.2), 8000),
    "ReLU and Adam": ([5], "relu", fastnn.Adam(0.01), 800),
    "L2": ([5], "sigmoid", fastnn.SGD(0.2, weight_decay=1e-4), 8000),
    "more hidden layers": ([10, 10], "sigmoid", fastnn.SGD(0.2), 8000),
}

print("                    median  worst   best   epochs")
for name, (hidden, activation, optimizer, epochs) in networks.items():
    right = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noisy = scaled + rng.normal(0, 0.01, scaled.shape)
        order = rng.permutation(150)
        learn, test = order[:120], order[120:]
        begin = "uniform" if activation == "sigmoid" and len(hidden) == 1 else "xavier"
        network = fastnn.MLP([4, *hidden, 3], activation, "sigmoid", init=begin, dtype="float64",
                             seed=seed)  # fmt: skip
        network.fit(noisy[learn], targets[learn], loss="squared_error", reduction="sum",
                    optimizer=optimizer, epochs=epochs, batch_size=None,
                    execution="fused")  # fmt: skip
        answers = network.classify(scaled[test])
        right.append(np.mean(answers == species[test]))
    print(f"{name:18} {np.median(right):7.1%} {min(right):6.1%} {max(right):6.1%}   {epochs:6,}")
