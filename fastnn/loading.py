"""load: a network from the file that MLP.save wrote."""

from typing import Any

from fastnn import checkpoint
from fastnn.architecture import Architecture
from fastnn.backend import float_type, get_backend
from fastnn.errors import ArgumentError, CheckpointError, DataError
from fastnn.files import PathLike
from fastnn.network import MLP


def load(path: PathLike, device: str | None = None) -> MLP:
    """The network that MLP.save wrote to path.

    Raises CheckpointError for a damaged or foreign file, OSError where the system refuses,
    and as get_backend for the device.
    """
    saved, tensors = checkpoint.read(path, _expected)
    scaling = None
    if saved["scaling"] is not None:
        scaling = tensors.pop("input_offset"), tensors.pop("input_factor")
    a, backend = saved["architecture"], get_backend(device, saved["dtype"])
    try:
        net = MLP(
            a.sizes, a.activations, a.output, a.bias, dropout=a.dropout, init="zeros",
            dtype=backend.dtype, device=backend.device, seed=saved["seed"], input_scaling=scaling,
            class_names=a.class_names,
        )  # fmt: skip
        net.set_params_dict(tensors)
    except (ArgumentError, DataError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    net.epochs, net.steps = saved["epochs"], saved["steps"]
    return net


def _expected(saved: Any) -> tuple[dict[str, Any], checkpoint.Expected]:
    """What a file says of its network, checked, and the tensors that it must then have."""
    if isinstance(saved, dict) and "seal" in saved:
        raise ArgumentError("it is the state of a run, for fit(checkpoint=FOLDER, resume=True); "
                            "a network is what MLP.save writes")  # fmt: skip
    names = {"architecture", "dtype", "seed", "epochs", "steps", "scaling"}
    if not isinstance(saved, dict) or saved.keys() != names:
        raise ArgumentError(f"the network is {str(saved)[:80]}, need {sorted(names)}")
    architecture, dtype = Architecture.from_json(saved["architecture"]), float_type(saved["dtype"])
    expected = {name: (str(dtype), shape) for name, shape in architecture.shapes.items()}
    if saved["scaling"] is not None:
        offset, factor = (tuple(shape) for shape in saved["scaling"])
        d = architecture.sizes[0]
        are_whole = {type(n) for n in offset + factor} <= {int}
        if not are_whole or not {offset, factor} <= {(), (d,)}:
            raise ArgumentError(f"the scaling is {saved['scaling']}, need shapes () or ({d},)")
        expected |= {"input_offset": ("float64", offset), "input_factor": ("float64", factor)}
    for name, end in (("seed", 2**64), ("epochs", 2**63), ("steps", 2**63)):
        if type(saved[name]) is not int or not 0 <= saved[name] < end:
            raise ArgumentError(f"{name} is {saved[name]!r:.40}, need an integer below {end}")
    return saved | {"architecture": architecture, "dtype": dtype}, expected
