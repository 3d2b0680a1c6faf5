"""Handwritten digits by the book's network, MNIST's and your own.

python examples/handwriting.py [PICTURE ...]      pictures of one digit each, of any size
"""

import sys

import numpy as np

import fastnn
from fastnn.classic import NeuralNetwork

# 60,000 images to learn and 10,000 to be tested with; downloaded once, 11 MB.
(x, labels), (x_test, labels_test) = fastnn.datasets.load_mnist()

# From the files with a label and 784 pixels in each line they would come by
# x, labels = fastnn.datasets.load_csv("mnist_train.csv", target=0), from 0 to 255.

# No input is 0, for by a 0 nothing is learned; no target is 0 or 1, which no sigmoid reaches.
inputs, inputs_test = 0.01 + 0.99 * x, 0.01 + 0.99 * x_test
targets = 0.01 + 0.98 * fastnn.datasets.one_hot(labels, 10)

own = {path: fastnn.datasets.load_image(path) for path in sys.argv[1:]}

network = NeuralNetwork(input_nodes=784, hidden_nodes=200, output_nodes=10, learning_rate=0.1,
                        seed=0)  # fmt: skip
for epoch in range(5):
    network.train(inputs, targets)
    answers = network.query(inputs_test).argmax(axis=0)
    print(f"after epoch {epoch + 1}: {np.mean(answers == labels_test):.2%} of the test images")

for path, image in own.items():
    outputs = network.query(0.01 + 0.99 * image)
    print(f"{path}: {outputs.argmax()}, by an output of {outputs.max():.2f}")
