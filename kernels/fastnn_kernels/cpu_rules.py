"""Rules: losses and optimizers in the one form that the trainer calls by address.

An update (p, g, v, u, numbers) moves p along g; v and u are what its optimizer keeps.  A loss of
the output becomes a LossFromRows of logits, which it spoils.  All are of the kernels in cpu.
"""

from functools import cache
from typing import Any

from fastnn_kernels import cpu
from fastnn_kernels.jit import jit


@cache
def by_output(activate: Any, loss: Any, slope: Any) -> Any:
    """Of an activation whose slope can be told from the output."""

    @jit
    def loss_of_logits(Z, zeros, Y, w, scale, dZ, losses):
        activate(Z, zeros, Z)
        loss(Z, Y, w, scale, dZ, losses)
        slope(Z, dZ, dZ)

    return loss_of_logits


@cache
def by_input(activate: Any, loss: Any, slope: Any) -> Any:
    """Of an activation whose slope needs the logits."""

    @jit
    def loss_of_logits(Z, zeros, Y, w, scale, dZ, losses):
        activate(Z, zeros, dZ)
        loss(dZ, Y, w, scale, dZ, losses)
        slope(Z, dZ, dZ)

    return loss_of_logits


@cache
def straight(activate: Any, loss: Any) -> Any:
    """Of an activation whose slope is left out."""

    @jit
    def loss_of_logits(Z, zeros, Y, w, scale, dZ, losses):
        activate(Z, zeros, Z)
        loss(Z, Y, w, scale, dZ, losses)

    return loss_of_logits


@jit
def sgd(p, g, v, u, numbers):
    cpu.sgd(p, g, numbers[0], numbers[1])


@jit
def sgd_momentum(p, g, v, u, numbers):
    cpu.sgd_momentum(p, g, v, numbers[0], numbers[1], numbers[2])


@jit
def sgd_nesterov(p, g, v, u, numbers):
    cpu.sgd_nesterov(p, g, v, numbers[0], numbers[1], numbers[2])


@jit
def adam(p, g, v, u, numbers):
    cpu.adam(p, g, v, u, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
             numbers[6])  # fmt: skip


@jit
def rmsprop(p, g, v, u, numbers):
    cpu.rmsprop(p, g, v, numbers[0], numbers[1], numbers[2], numbers[3])


@jit
def adagrad(p, g, v, u, numbers):
    cpu.adagrad(p, g, v, numbers[0], numbers[1], numbers[2])
