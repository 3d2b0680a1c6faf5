"""The optimizers' rules for element i of flat arrays, written once and compiled for each device.

p parameters, g their gradient, a their average, v, mean and square the state, all (size,);
numbers are of the arrays' type.  `sqrt` is a name for a device to implement.
"""

import numpy as np


def sqrt(x):
    return np.sqrt(x)


def sgd(i, p, g, lr, weight_decay):
    p[i] -= lr * (g[i] + weight_decay * p[i])


def sgd_momentum(i, p, g, v, lr, momentum, weight_decay):
    v[i] = momentum * v[i] + (g[i] + weight_decay * p[i])
    p[i] -= lr * v[i]


def sgd_nesterov(i, p, g, v, lr, momentum, weight_decay):
    d = g[i] + weight_decay * p[i]
    v[i] = momentum * v[i] + d
    p[i] -= lr * (d + momentum * v[i])


def adam(i, p, g, mean, square, lr, beta1, beta2, epsilon, root, weight_decay, keep):
    one = type(lr)(1)
    d = g[i] + weight_decay * p[i]
    mean[i] = beta1 * mean[i] + (one - beta1) * d
    square[i] = beta2 * square[i] + (one - beta2) * d * d
    p[i] = keep * p[i] - lr * mean[i] / (sqrt(square[i]) / root + epsilon)


def rmsprop(i, p, g, square, lr, alpha, epsilon, weight_decay):
    one = type(lr)(1)
    d = g[i] + weight_decay * p[i]
    square[i] = alpha * square[i] + (one - alpha) * d * d
    p[i] -= lr * d / (sqrt(square[i]) + epsilon)


def adagrad(i, p, g, square, lr, epsilon, weight_decay):
    d = g[i] + weight_decay * p[i]
    square[i] += d * d
    p[i] -= lr * d / (sqrt(square[i]) + epsilon)


def penalty(i, g, p, l1, l2):
    one, zero = type(l1)(1), type(l1)(0)
    sign = one if p[i] > zero else (-one if p[i] < zero else p[i])  # 0 or NaN: as it is
    g[i] += l2 * p[i] + l1 * sign


def average(i, a, p, decay):
    a[i] = decay * a[i] + (type(decay)(1) - decay) * p[i]
