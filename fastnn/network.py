"""MLP: a dense network as one flat parameter vector, and the door to everything it does."""

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from fastnn import training
from fastnn.architecture import Architecture
from fastnn.backend import Array, checked_name, device_of, get_backend
from fastnn.callbacks import Callback
from fastnn.checkpoint import write
from fastnn.checks import choice, count
from fastnn.data import checked
from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn.evaluation import evaluate
from fastnn.execution import predicting
from fastnn.files import PathLike
from fastnn.history import History
from fastnn.initializers import Initializer, draw, initializer
from fastnn.inputs import Rows, Scaling, placed
from fastnn.layers import Dense, Draw, Stack
from fastnn.layout import Layout
from fastnn.losses import Loss
from fastnn.metrics import checked as checked_metrics
from fastnn.optimizers import Optimizer
from fastnn.prediction import is_worth_compiling, prediction
from fastnn.schedules import Schedule
from fastnn.settings import Settings
from fastnn.streams import Purpose, checked_seed, generator

BATCH = 32  # rows that fit takes at a time unless told

P = ParamSpec("P")
R = TypeVar("R")


def on_its_device(
    method: Callable[Concatenate["MLP", P], R],
) -> Callable[Concatenate["MLP", P], R]:
    """A method of MLP that works on the network's device."""

    @functools.wraps(method)
    def with_device(net: "MLP", /, *arguments: P.args, **named: P.kwargs) -> R:
        with net.backend.active():
            return method(net, *arguments, **named)

    return with_device


class MLP:
    """A multi-layer perceptron: A = f(X W + b), layer by layer.

    sizes: [inputs, hidden..., outputs].  activation: a name for all hidden layers, or one
    each, of identity, step, sigmoid, tanh, relu, leaky_relu, elu, softplus, gelu, silu.
    output: "softmax" or any of these.  dropout: the part of each hidden layer, or one number
    each, that is left out in training (Srivastava et al., 2014).  init: see
    fastnn.initializers.  dtype: float32 or float64, of the parameters and all arithmetic.
    seed: of weights, orders and dropout; None draws one, and net.seed tells it.
    input_scaling: (offset, factor), numbers or (inputs,) arrays: X enters as
    (X - offset) * factor.  class_names: a name per class.

    device: "cpu", "cuda", "cuda:N", "auto", or None for the default.  X and Y may be NumPy
    arrays or what becomes one, or live on the network's GPU; results are where X is.

    Raises ArgumentError, DTypeError, DeviceUnavailableError, and ShapeError or DataError for
    what a callable init returns.
    """

    stop_training = False  # for callbacks to set: the run then ends after the epoch

    def __init__(
        self, sizes: Sequence[int], activation: str | Sequence[str] = "sigmoid",
        output: str = "softmax", bias: bool = True, *,
        dropout: float | Sequence[float] = 0.0, init: str | Initializer = "xavier",
        dtype: Any = "float32", device: str | None = None, seed: int | None = None,
        input_scaling: tuple[Any, Any] | None = None, class_names: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self.architecture = Architecture.checked(
            sizes, activation, output, bias, class_names, dropout
        )
        self.seed = checked_seed(seed)
        self.scaling = _checked_scaling(input_scaling, self.sizes[0])
        init_function = initializer(init)
        weights = sum(d * m for d, m in pairwise(self.sizes))
        self.backend = get_backend(device, dtype, 6.0 * weights * BATCH)
        self.epochs = self.steps = 0  # trained in the network's life: they index its streams
        with self.backend.active():
            self._allocate()
            self._initialize(init_function, biases=self.architecture.bias and init == "uniform")

    def _initialize(self, init: Initializer, *, biases: bool) -> None:
        for k, (d, m) in enumerate(pairwise(self.sizes), start=1):
            rng = generator(self.seed, Purpose.WEIGHTS, k)
            W = draw(init, d, m, rng, self.dtype)
            self._tensors[f"W{k}"][...] = self.backend.asarray(W)
            if biases:
                self._tensors[f"b{k}"][...] = self.backend.asarray(rng.random(m))

    def _allocate(self) -> None:
        self.layout = Layout(self.architecture.shapes, self.dtype.itemsize)
        self._params = self.backend.zeros(self.layout.size)
        self._tensors = self.layout.views(self._params)
        self._predictions: dict[tuple[str, str], Any] = {}  # by output activation and execution

    @classmethod
    def from_params(
        cls, params: dict[str, Any], activation: str | Sequence[str] = "sigmoid",
        output: str = "softmax", *, device: str | None = None, seed: int | None = None,
        input_scaling: tuple[Any, Any] | None = None, class_names: Sequence[str] | None = None,
    ) -> "MLP":  # fmt: skip
        """A network from its arrays {"W1": (d, m), "b1": (m,), "W2": ...}; a missing b is zero.

        Its type is that of the arrays: float32, or float64 where any of them is float64 or of
        integers of 32 bits and more.  Raises as MLP and set_params_dict do.
        """
        _check_dict(params)
        backend = get_backend(device)
        depth = sum(name.startswith("W") for name in params)
        missing = [f"W{k}" for k in range(1, depth + 1) if f"W{k}" not in params]
        if depth == 0 or missing:
            raise ArgumentError(f"params has {sorted(params)}, need W1, W2, ... in sequence")
        weights = [placed(params[f"W{k}"], f"W{k}", backend) for k in range(1, depth + 1)]
        if any(W.ndim != 2 for W in weights):
            raise ShapeError(f"the weights are {[W.shape for W in weights]}, need (d, m) each")
        dtype = np.result_type(
            *(placed(p, name, backend).dtype for name, p in params.items()), np.float32
        )
        net = cls(
            [weights[0].shape[0], *(W.shape[1] for W in weights)], activation, output,
            any(name.startswith("b") for name in params), init="zeros", dtype=dtype,
            device=backend.device, seed=seed, input_scaling=input_scaling,
            class_names=class_names,
        )  # fmt: skip
        absent = {name: np.zeros(shape) for name, shape in net.layout.shapes.items()
                  if name not in params and name.startswith("b")}  # fmt: skip
        net.set_params_dict({**absent, **params})
        return net

    @property
    def sizes(self) -> tuple[int, ...]:
        """(inputs, hidden..., outputs)."""
        return self.architecture.sizes

    @property
    def activations(self) -> tuple[str, ...]:
        """Of the hidden layers."""
        return self.architecture.activations

    @property
    def output(self) -> str:
        """The output's activation."""
        return self.architecture.output

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """A name per class, or None."""
        return self.architecture.class_names

    @property
    def device(self) -> str:
        """Where the network is: "cpu" or "cuda:0"."""
        return self.backend.device

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of parameters, activations and results."""
        return self.backend.dtype

    @property
    def params(self) -> Array:
        """All parameters (n,), which .weights and .biases are views of; what is assigned to it is
        copied into it, finite or not.  Raises ShapeError, DTypeError, DataError, DeviceError."""
        return self._params

    @params.setter
    def params(self, values: Any) -> None:
        with self.backend.active():
            array = placed(values, "params", self.backend)
            if array.shape != self._params.shape:
                raise ShapeError(f"params is {array.shape}, need {self._params.shape}")
            with np.errstate(over="ignore"):
                self._params[...] = self.backend.asarray(array)

    @property
    def weights(self) -> list[Array]:
        """Views of W (d, m), first layer first."""
        return [tensor for name, tensor in self._tensors.items() if name.startswith("W")]

    @property
    def biases(self) -> list[Array]:
        """Views of b (m,), first layer first; empty without biases."""
        return [
            self._tensors[f"b{k}"] for k in range(1, len(self.sizes)) if f"b{k}" in self._tensors
        ]

    @on_its_device
    def get_params_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """{"W1": (d, m), "b1": (m,), ...}, copies in host memory."""
        return {name: self.backend.asnumpy(t).copy() for name, t in self._tensors.items()}

    @on_its_device
    def set_params_dict(self, params: dict[str, Any]) -> None:
        """Take over all arrays or none.

        Raises ArgumentError, ShapeError, DTypeError, DataError, DeviceError.
        """
        _check_dict(params)
        if params.keys() != self.layout.shapes.keys():
            raise ArgumentError(f"params has {sorted(params)}, need {list(self.layout.shapes)}")
        ready = {}
        for name, shape in self.layout.shapes.items():
            array = placed(params[name], name, self.backend)
            if array.shape != shape:
                raise ShapeError(f"{name} is {array.shape}, need {shape}")
            with np.errstate(over="ignore"):
                ready[name] = self.backend.asarray(array).copy()  # it may be a view of params
            if not np.isfinite(ready[name]).all():
                raise DataError(f"{name} has NaN, infinity or a number beyond {self.dtype}, "
                                "need finite parameters")  # fmt: skip
        for name, array in ready.items():
            self._tensors[name][...] = array

    def predict(self, X: Any, batch_size: int | None = None, execution: str = "auto") -> Array:
        """Outputs (n, n_out) for X (n, d), or (n_out,) for one sample (d,).

        batch_size: rows that the layers take at once; it changes memory and speed, and a result
        only by rounding.
        execution: "layers", op by op; "fused", in one compiled call, on a GPU in one launch; or
        "auto".  Safe in many threads at a time.  Raises ShapeError, DTypeError, DataError,
        DeviceError, and ArgumentError for the other two.
        """
        return self._run(X, self.architecture.output, batch_size, execution)

    __call__ = predict

    def logits(self, X: Any) -> Array:
        """As predict, without the output's activation."""
        return self._run(X, "identity", None)

    @on_its_device
    def classify(self, X: Any) -> Array:
        """Classes (n,) int64, or one for one sample: the largest logit, the first of equals;
        for one output that is not softmax, whether its logit is above zero."""
        Z = self.logits(X)
        if self.sizes[-1] == 1 and self.output != "softmax":
            return (Z[..., 0] > 0).astype(np.int64)
        return Z.argmax(axis=-1)

    def _run(self, X: Any, head: str, batch_size: int | None, execution: str = "auto") -> Array:
        try:
            fast = self._predictions.get((head, execution))
        except TypeError:  # no name at all
            fast = None
        if fast is not None and batch_size is None:
            A = fast.row(X)
            if A is not None:
                return A
        return self._run_rows(X, head, batch_size, execution)

    def _prediction(self, head: str, execution: str = "auto", rows: int = 0) -> Any:
        """What predicts by this execution, and by "auto" what is compiled, or worth to be for so
        many rows more; None are the layers.  Raises ArgumentError."""
        try:
            fast = self._predictions[head, execution]
        except (KeyError, TypeError):
            with self.backend.active():
                fast = self._predictions[head, execution] = predicting(self, head, execution)
        if execution == "auto" and fast is None and rows and is_worth_compiling(self, head, rows):
            fast = self._predictions[head, execution] = prediction(self, head, may_compile=True)
        return fast

    @on_its_device
    def _run_rows(self, X: Any, head: str, batch_size: int | None, execution: str) -> Array:
        backend = self.backend
        if batch_size is None:
            block = backend.block(max(self.sizes))
        else:
            block = count("batch_size", batch_size)
        X = placed(X, "X", backend)
        one = X.ndim == 1 and X.shape == (self.sizes[0],)
        fast = self._prediction(head, execution, len(X) if X.ndim == 2 else 1)
        if fast is not None and (A := fast.rows(X[None] if one else X)) is not None:
            return A[0] if one else A
        rows = Rows(X[None] if one else X, self.sizes[0], self.scaling, backend)
        if execution == "fused":  # and X is right
            raise ArgumentError(f"execution='fused' needs X and its outputs on the GPU, and X has "
                                f"{X.nbytes:,} bytes; use 'layers' or 'auto'")  # fmt: skip
        stays = isinstance(X, backend.xp.ndarray)
        out = (backend.xp if stays else np).empty((len(rows), self.sizes[-1]), self.dtype)
        layers = self.layers(head)
        with np.errstate(all="ignore"):
            for start in range(0, len(rows), block):
                A = rows[start : start + block]
                for layer in layers:
                    A = layer(A)
                out[start : start + block] = A if stays else backend.asnumpy(A)
        return out[0] if one else out

    def layers(self, head: str) -> list[Dense]:
        """The layers for inference, the last one with activation `head`."""
        return [
            Dense(W, self._tensors.get(f"b{k}"), activation, self.backend)
            for k, (W, activation) in enumerate(
                zip(self.weights, (*self.activations, head), strict=True), start=1
            )
        ]

    def stack(
        self, loss: Loss, rows: int, params: Array | None = None, draw: Draw | None = None,
        precision: str = "float32",
    ) -> Stack:  # fmt: skip
        """The layers for training under loss on up to `rows` rows at once.

        params: None is the network's own.  draw: see fastnn.layers.Dropout; None is no dropout.
        precision: of their products, see fastnn.precision.
        """
        rates = self.architecture.dropout if draw else (0.0,) * len(self.activations)
        return Stack(
            self._tensors if params is None else self.layout.views(params), self.activations,
            loss, self.layout, rows, self.backend.rounding(precision), rates,
            draw or (lambda: (0, 0)),
        )  # fmt: skip

    @on_its_device
    def fit(
        self, X: Any, Y: Any, *, loss: str | None = None, optimizer: Optimizer | None = None,
        epochs: int = 1, batch_size: int | Schedule | None = BATCH, shuffle: bool = True,
        reduction: str = "mean", sample_weight: Any = None,
        class_weight: dict[Any, Any] | str | None = None, label_smoothing: float = 0.0,
        l1: float = 0.0, l2: float = 0.0, validation: Any = None, metrics: Any = (),
        callbacks: Sequence[Callback] = (), target_loss: float | None = None,
        patience: int | None = None, progress: bool | None = None, execution: str = "auto",
        precision: str = "float32", seed: int | None = None, checkpoint: PathLike | None = None,
        resume: bool = False,
    ) -> History:  # fmt: skip
        """Train on X (n, d) and Y, which must not change meanwhile, and return what was seen.

        loss: see fastnn.losses; None fits the output.  Y: class labels (n,) or rows (n, k),
        as the loss asks.  optimizer: see fastnn.optimizers; None is SGD().  batch_size: None is
        all rows; a schedule gives it for each epoch, from 0 on; the last, smaller batch is used
        too.  reduction: of a batch, "mean" over its rows or "sum".

        sample_weight: (n,) numbers >= 0, where X is: each multiplies its row's loss.
        class_weight: {class index or name: weight >= 0}, 1 for those not in it, multiplies the
        loss of the rows of a class; "balanced" is n / (k * rows of the class), over the rows
        trained on and the k classes that occur there.  Both multiply.  "mean" still divides by
        the number of rows, not by the sum of weights, and History's loss is the mean of the
        weighted losses over the rows; accuracy, validation and evaluate have no weights.

        label_smoothing: spreads this part of each target over the classes, for training on a
        cross-entropy; History's loss is that of the smoothed targets, val_loss is not.  l1, l2:
        add l1 sum |W| + l2/2 sum W^2 of all weights, not the biases, to what is minimized;
        History's losses are without.

        validation: (X, Y), or the fraction of the rows to hold out.  metrics: names or functions,
        see fastnn.metrics, taken after each epoch of the training rows and the validation's.
        callbacks: see fastnn.callbacks.  target_loss: stop once an epoch's training loss is
        there.  patience: stop after so many epochs without a better validation loss (training
        loss where there is none) and restore the best weights.  progress: None shows a bar on a
        terminal after a second.  seed: of the order and of dropout; None is the network's own,
        in which the epochs and steps of its life are counted.

        execution: "layers", op by op; "fused", whole epochs in one compiled call, on a GPU in
        replayed graphs, the same up to rounding; or "auto", which says at INFO what it chose and
        why (fastnn.execution).  precision: of training's products, "float32", or on a GPU "tf32" or
        "bf16", by layers (fastnn.precision); all else, validation too, is float32.

        checkpoint: a folder of this run's own, for its state: written when the run ends, is
        interrupted, and at most once a second before; the last two are kept.  resume: go on from
        there, if there is something, to the same bytes as a run that was never stopped.  epochs
        may be more than before, and target_loss, patience, callbacks and metrics others; all
        else, the data too, is compared (of a function as a schedule, its first value).  What a
        callback has ended stays so.

        Raises ArgumentError, ShapeError, DTypeError, DataError, DeviceError, OSError before
        anything changes, and DivergenceError, DeviceMemoryError or DeviceError with the network
        as it was at the start of the epoch.  Ctrl-C leaves it as of the last whole step, and the
        epoch begun counts as one of its life.  An exception of a metric leaves it as of the end
        of the epoch; for those of callbacks see there.
        """
        settings = Settings(
            epochs=epochs, batch_size=batch_size, shuffle=shuffle, reduction=reduction, l1=l1,
            l2=l2, label_smoothing=label_smoothing, target_loss=target_loss, patience=patience,
            callbacks=callbacks, progress=progress, execution=execution, precision=precision,
            checkpoint=checkpoint, resume=resume,
        )  # fmt: skip
        return training.fit(
            self, X, Y, settings, loss=loss, optimizer=optimizer, sample_weight=sample_weight,
            class_weight=class_weight, validation=validation,
            metrics=checked_metrics(metrics, self.output, self.sizes[-1]), seed=seed,
        )  # fmt: skip

    @on_its_device
    def evaluate(
        self, X: Any, Y: Any, loss: str | None = None, metrics: Any = ()
    ) -> dict[str, float]:
        """{"loss": mean per row, "accuracy": fraction}, and each of fastnn.metrics asked for.

        Accuracy only where there are classes.
        """
        objective = Loss(loss, self.output, self.sizes[-1], self.backend)
        wanted = checked_metrics(metrics, self.output, self.sizes[-1])
        data = checked(self, X, Y, objective)
        fast = self._prediction("identity", rows=len(data))
        logits = None if fast is None else fast.rows(data.rows.X)
        return evaluate(self, objective, data, wanted, logits)

    @on_its_device
    def gradient(
        self, X: Any, Y: Any, loss: str | None = None, reduction: str = "mean"
    ) -> tuple[float, Array]:
        """The loss over X and Y as one batch, and its gradient by net.params, flat like it.

        The gradient is where X is.
        """
        choice("reduction", reduction, ["mean", "sum"])
        objective = Loss(loss, self.output, self.sizes[-1], self.backend)
        if objective.is_straight:
            raise ArgumentError(f"loss {objective.name!r} has a rule of its own and no gradient")
        data = checked(self, X, Y, objective)
        n, stack = len(data), self.stack(objective, len(data))
        losses, w = self.backend.zeros(n), self.backend.zeros(n) + self.dtype.type(objective.factor)
        scale = 1 / n if reduction == "mean" else 1.0
        with np.errstate(all="ignore"):
            stack.backpropagate(data.rows[:], data.targets.values, w, scale, losses)
        stays = device_of(X) == self.device
        return (
            float(losses.sum(dtype=np.float64)) * scale,
            stack.gradient if stays else self.backend.asnumpy(stack.gradient),
        )

    def to(self, device: str) -> "MLP":
        """Move to device, in place, and return the network; what was a view of it is none then.

        Raises as get_backend, and DeviceMemoryError; the network is then where it was.
        """
        backend = get_backend(checked_name(device), self.dtype)
        if backend.device != self.device:
            state = self.__getstate__()
            twin = MLP.__new__(MLP)
            twin.__setstate__(state | {"device": backend.device})
            vars(self).update(vars(twin))
        return self

    @on_its_device
    def save(self, path: PathLike) -> None:
        """Write the network to path, whole or not at all.  fastnn.load reads it back.

        Raises DataError for parameters that are not finite, which load would refuse, and
        OSError where the system refuses; path then has its old content or, if only the folder
        could not be flushed, the new one, but never a part of it.
        """
        if not np.isfinite(self.params).all():
            raise DataError("the network has NaN or infinity among its parameters, need finite "
                            "ones to save")  # fmt: skip
        tensors = self.get_params_dict()
        if self.scaling is not None:
            tensors |= {"input_offset": self.scaling.offset, "input_factor": self.scaling.factor}
        write(path, tensors, {
            "architecture": self.architecture.as_json(), "dtype": str(self.dtype),
            "seed": self.seed, "epochs": self.epochs, "steps": self.steps,
            "scaling": None if self.scaling is None else
                [self.scaling.offset.shape, self.scaling.factor.shape],
        })  # fmt: skip

    @on_its_device
    def __getstate__(self) -> dict[str, Any]:
        derived = ("backend", "layout", "_params", "_tensors", "_predictions")
        state = {name: value for name, value in vars(self).items() if name not in derived}
        return state | {"device": self.device, "params": self.backend.asnumpy(self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        device, params = state.pop("device"), state.pop("params")
        vars(self).update(state)
        self.backend = get_backend(device, params.dtype)
        with self.backend.active():
            self._allocate()
            self.params[...] = self.backend.asarray(params)

    def __repr__(self) -> str:
        return f"MLP({self.architecture!r}, dtype={str(self.dtype)!r}, device={self.device!r})"

    def summary(self) -> str:
        """A table of the layers: shape, activation and number of parameters."""
        total = f"{self.layout.count:,} parameters, {self.dtype}, on {self.device}"
        return f"{self.architecture.table()}\n{total}"


def _check_dict(params: Any) -> None:
    if not isinstance(params, dict) or not all(isinstance(name, str) for name in params):
        raise ArgumentError(f"params is a {type(params).__name__}, need a dict of arrays by name, "
                            "W1, b1, W2, ...")  # fmt: skip


def _checked_scaling(scaling: Any, d: int) -> Scaling | None:
    if scaling is None:
        return None
    if not isinstance(scaling, Sequence) or len(scaling) != 2:
        raise ArgumentError(f"input_scaling is {scaling!r}, need (offset, factor)")
    return Scaling(scaling[0], scaling[1], d)
