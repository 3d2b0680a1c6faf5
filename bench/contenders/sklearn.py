"""scikit-learn's MLPClassifier, by plain SGD, without early stopping and penalty."""

import warnings
from itertools import cycle

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from bench.cases import Array, Job, Layers
from bench.contenders import Contender

_NEVER = np.iinfo(np.int32).max


class ScikitLearn(Contender):
    """A fit of one epoch makes what `warm_start` goes on from; then the weights are the job's."""

    name = "scikit-learn"

    def __init__(self, job: Job) -> None:
        self.X, self.y = job.X, job.y
        self.model = MLPClassifier(
            job.sizes[1:-1], {"sigmoid": "logistic"}.get(job.activation, job.activation),
            solver="sgd", alpha=0, momentum=0, nesterovs_momentum=False, warm_start=True,
            batch_size=job.batch_size, learning_rate_init=job.learning_rate, max_iter=1,
            shuffle=job.shuffles, tol=0, n_iter_no_change=_NEVER,
        )  # fmt: skip
        self.train()
        self.model.set_params(max_iter=job.epochs, random_state=_Orders(job.orders()))
        self.start = job.start()
        self.begin()

    def begin(self) -> None:
        self.model.coefs_ = [W.copy() for W, _ in self.start]
        self.model.intercepts_ = [b.copy() for _, b in self.start]

    def train(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it says that max_iter came first
            self.model.fit(self.X, self.y)

    def layers(self) -> Layers:
        return list(zip(self.model.coefs_, self.model.intercepts_, strict=True))


class _Orders(np.random.RandomState):
    """Shuffles so that the epochs of each fit have the given orders.

    A fit begins with the rows as they are and shuffles them as the epoch before left them:
    order[e] = order[e - 1][shuffled], so shuffled = inverse(order[e - 1])[order[e]].
    """

    def __init__(self, orders: list[Array]) -> None:
        super().__init__(0)
        before = [np.arange(len(orders[0])), *orders[:-1]]
        self._shuffled = cycle(
            np.argsort(last)[order] for last, order in zip(before, orders, strict=True)
        )

    def shuffle(self, x: Array) -> None:  # type: ignore[override]
        x[:] = next(self._shuffled)
