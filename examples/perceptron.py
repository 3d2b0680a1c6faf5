"""A threshold neuron: told what to do, then learning it, and what it cannot learn."""

import warnings

import fastnn
from fastnn.classic import Perceptron

# Dark clouds and a drop in temperature: each is there (1) or not (0).  Will there be a storm?
inputs = [[1, 1], [1, 0], [0, 1], [0, 0]]

storm = Perceptron(n_inputs=2)
storm.threshold = 1
for opinion, weights in {
    "the clouds decide": [2, 0.5],
    "either is enough": [3, 3],
    "it takes both": [0.6, 0.8],
}.items():
    storm.weights = weights
    print(f"{opinion:18} {storm.predict(inputs)}")

# It finds weights by itself: for each wrong answer it moves them a little.
print()
for gate, answers in {"AND": [1, 0, 0, 0], "OR": [1, 1, 1, 0], "NAND": [0, 1, 1, 1]}.items():
    neuron = Perceptron(seed=1)
    epochs = neuron.fit(inputs, answers)
    print(f"{gate:5} learned in {epochs} epochs: {neuron.predict(inputs)}")

# One or the other, but not both: no straight line parts these.
xor = [0, 1, 1, 0]
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    Perceptron(seed=1).fit(inputs, xor)
print(f"\nXOR: {said[0].message}\n")

# Two neurons before it can.  Some beginnings lead into a dead end, so we try a hundred.
learned = []
for seed in range(100):
    network = fastnn.MLP([2, 2, 1], "sigmoid", "sigmoid", init="uniform", seed=seed)
    network.fit(inputs, xor, optimizer=fastnn.SGD(0.5, momentum=0.9), epochs=1000,
                batch_size=None, execution="fused")  # fmt: skip
    if network.classify(inputs).tolist() == xor:
        learned.append(network)
print(f"XOR by a 2-2-1 network: learned from {len(learned)} of 100 beginnings")

picture = fastnn.plots.decision_regions(learned[0], inputs, xor)
fastnn.plots.save(picture, "xor.png")
print("xor.png shows where it says 1")
