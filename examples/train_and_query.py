"""Train a network and query it: three inputs, three hidden neurons, three outputs."""

import numpy as np

from fastnn.classic import NeuralNetwork

network = NeuralNetwork(input_nodes=3, hidden_nodes=3, output_nodes=3, learning_rate=0.3, seed=0)
print("before:", network.query([0, 1, 0]).ravel().round(3))

for _ in range(100):
    network.train([0, 1, 0], [0, 0, 1])
# The third output comes near 0.87: from 0.80 to 0.93, as chance has drawn the weights.
print("after: ", network.query([0, 1, 0]).ravel().round(3))

# The weights are there to be looked at: from the inputs to the hidden neurons, (hidden, inputs).
print(np.round(network.wih, 2))
