"""IrisNetwork: three layers of units trained on all rows at once."""

from typing import Any

from fastnn.backend import Array
from fastnn.checks import count
from fastnn.classic.machine import Machine
from fastnn.classic.rows import check_reachable, pairs, rows
from fastnn.errors import NotFittedError
from fastnn.history import History
from fastnn.network import MLP
from fastnn.optimizers import SGD


class IrisNetwork(Machine):
    """Sigmoid twice, weights and biases from [0, 1), drawn by seed.

    Trained by full batches on half the squared error, its gradient summed over the rows.
    learning_rate and num_epochs may be set; net is the MLP behind it.
    """

    loss = "squared_error"

    def __init__(
        self, input_neurons: int, hidden_neurons: int, output_neurons: int, num_epochs: int,
        learning_rate: float, seed: int | None = None,
    ) -> None:  # fmt: skip
        names = ("input_neurons", "hidden_neurons", "output_neurons")
        sizes = [*map(count, names, (input_neurons, hidden_neurons, output_neurons))]
        self.num_epochs = count("num_epochs", num_epochs)
        net = MLP(sizes, "sigmoid", "sigmoid", init="uniform", dtype="float64", device="cpu",
                  seed=seed)  # fmt: skip
        super().__init__(net, learning_rate)

    def train(self, X: Any, Y: Any) -> History:
        """num_epochs steps on X (n, input_neurons), Y (n, output_neurons) in 0..1; what was seen.

        Raises ShapeError, DTypeError, DataError.
        """
        X, Y = pairs(X, "X", self.net.sizes[0], Y, "Y", self.net.sizes[-1])
        check_reachable(Y, "Y")
        return self.net.fit(
            X, Y, loss=self.loss, reduction="sum", optimizer=SGD(self.learning_rate),
            epochs=self.num_epochs, batch_size=None,
        )  # fmt: skip

    def predict(self, X: Any) -> Array:
        """Outputs (n, output_neurons); the largest names the class.  Raises NotFittedError."""
        if not self.net.epochs:
            raise NotFittedError("this network has not learned yet: call train(X, Y) first")
        return self.net.predict(rows(X, "X", self.net.sizes[0]))
