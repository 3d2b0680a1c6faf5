"""Classic: the networks that beginners build first, in float64, on the engine of all others.

Each is an MLP, its .net, under the names of the textbook: whatever that can do, they can.
"""

from fastnn.classic.iris_network import IrisNetwork
from fastnn.classic.neural_network import NeuralNetwork
from fastnn.classic.neuron import Neuron
from fastnn.classic.perceptron import Perceptron

__all__ = ["IrisNetwork", "NeuralNetwork", "Neuron", "Perceptron"]
