"""JAX: a job in one compiled function, which scans over its epochs and their batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.cases import Job, Layers
from bench.contenders import Contender


class Scanned(Contender):
    """A job writes over the weights that it is given."""

    name = "JAX scanned"

    def __init__(self, job: Job) -> None:
        self.is_resident, self.rows = job.is_resident, (job.X, job.y.astype(np.int32))
        self.start, self.orders = self.there(job.start(), np.array(job.orders(), np.int32))
        self.data = self.there(*self.rows)
        self.job = jax.jit(_job(job), donate_argnums=0)
        self.begin()

    def there(self, *values: Any) -> Any:
        return jax.device_put(values, jax.devices(self.device)[0])

    def begin(self) -> None:
        self.params = jax.block_until_ready(jax.tree.map(jnp.copy, self.start))  # type: ignore[no-untyped-call, unused-ignore]

    def train(self) -> None:
        data = self.data if self.is_resident else self.there(*self.rows)
        self.params = jax.block_until_ready(self.job(self.params, *data, self.orders))  # type: ignore[no-untyped-call, unused-ignore]

    def layers(self) -> Layers:
        return [(np.asarray(W), np.asarray(b)) for W, b in self.params]

    @classmethod
    def obstacle(cls) -> str | None:
        try:
            jax.devices(cls.device)
        except RuntimeError:
            return f"JAX has no {cls.device} here"
        return None


class ScannedOnCuda(Scanned):
    device = "cuda"


def _job(job: Job) -> Callable[..., Any]:
    activate = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[job.activation]
    whole = job.rows // job.batch_size * job.batch_size

    def loss(params: Any, X: Any, y: Any) -> Any:
        *hidden, (W, b) = params
        for V, c in hidden:
            X = activate(_product(X, V) + c)
        Z = _product(X, W) + b
        return (jax.nn.logsumexp(Z, axis=1) - Z[jnp.arange(len(y)), y]).mean()

    def step(params: Any, X: Any, y: Any) -> Any:
        gradients = jax.grad(loss)(params, X, y)
        return jax.tree.map(lambda p, dp: p - job.learning_rate * dp, params, gradients)

    def epoch(params: Any, X: Any, y: Any, order: Any) -> Any:
        if not job.shuffles:
            return step(params, X, y)
        batches, last = order[:whole].reshape(-1, job.batch_size), order[whole:]
        params, _ = lax.scan(lambda p, rows: (step(p, X[rows], y[rows]), None), params, batches)
        return step(params, X[last], y[last]) if len(last) else params

    def epochs(params: Any, X: Any, y: Any, orders: Any) -> Any:
        return lax.scan(lambda p, order: (epoch(p, X, y, order), None), params, orders)[0]

    return epochs


def _product(X: Any, W: Any) -> Any:
    return jnp.dot(X, W, precision="highest")  # on a GPU the default is TF32
