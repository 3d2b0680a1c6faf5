"""Machine: what the textbook networks have in common, which learn by plain SGD."""

from typing import Any, ClassVar

from fastnn.backend import Array
from fastnn.checks import number
from fastnn.classic.steps import Steps
from fastnn.network import MLP


class Machine:
    """An MLP, .net, with a learning rate that may be set."""

    loss: ClassVar[str]

    def __init__(self, net: MLP, learning_rate: float) -> None:
        self._net = net
        self._steps: Steps | None = None
        self.learning_rate = learning_rate

    @property
    def net(self) -> MLP:
        """The network, which has learned all until now."""
        self._settle()
        return self._net

    @property
    def learning_rate(self) -> float:
        """The length of a step, above 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = number("learning_rate", value, "> 0", lambda x: x > 0)
        self._settle()
        self._learning_rate: float = rate

    def _write(self, place: Array, values: Array) -> None:
        """values, in host memory, to a view of the parameters, wherever they are."""
        with self._net.backend.active():
            place[...] = self._net.backend.asarray(values)

    def _settle(self) -> None:
        """Learn what waits to be learned."""

    def _learn(self, X: Array, Y: Array) -> None:
        """A step for each row, one after another."""
        net, steps = self._net, self._steps
        with net.backend.active():
            if (
                steps is None
                or steps.learning_rate != self.learning_rate
                or steps.params is not net.params  # which it is not on another device
            ):
                steps = self._steps = Steps(net, self.loss, self.learning_rate)
            steps.learn(X, Y)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made when it is needed."""
        self._settle()
        return self.__dict__ | {"_steps": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._net}, learning_rate={self.learning_rate:g})"
