"""The optimizers' rules for element i of flat arrays, written once and compiled for each device.

p parameters, g their gradient, v the state, all (size,); numbers are of the arrays' type.
"""


def sgd(i, p, g, lr, weight_decay):
    p[i] -= lr * (g[i] + weight_decay * p[i])


def sgd_momentum(i, p, g, v, lr, momentum, weight_decay):
    v[i] = momentum * v[i] + (g[i] + weight_decay * p[i])
    p[i] -= lr * v[i]


def sgd_nesterov(i, p, g, v, lr, momentum, weight_decay):
    d = g[i] + weight_decay * p[i]
    v[i] = momentum * v[i] + d
    p[i] -= lr * (d + momentum * v[i])
