"""The house: what may import what, what an import costs, and that the README is true."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parent.parent
HEAVY = ["numba", "cupy", "scipy", "matplotlib", "sklearn", "tqdm", "pooch", "safetensors",
         "pandas"]  # fmt: skip

# A module may import those of earlier lines, and of its own line those before it.
FLOORS = [
    ["errors", "files", "checks"],
    ["gpu", "threads", "precision", "backend", "streams"],
    ["architecture", "prefetch", "inputs", "functional", "initializers", "layout"],
    ["losses", "weights", "layers"],
    ["scores", "metrics"],
    ["schedules", "optimizers", "history", "progress", "checkpoint", "snapshots"],
    ["callbacks", "monitors", "settings", "interruption"],
    ["data", "evaluation"],
    ["compiling", "layered", "sparsity", "parts", "fused", "lanes", "replayed"],
    ["prediction", "cuda_prediction", "execution", "resuming", "run", "training"],
    ["network", "loading"],
    ["gradients"],
    ["datasets"],
    ["workloads", "plots", "classic"],
    ["doctor", "commands", "cli"],
    ["__main__", "__init__"],
]
ORDER = [name for floor in FLOORS for name in floor]


def sources() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "fastnn").rglob("*.py")):
        yield path.relative_to(ROOT / "fastnn").parts[0].removesuffix(".py"), path


def imports(path: Path, *, type_checking: bool = False) -> Iterator[str]:
    """Modules that a file imports anywhere, those under TYPE_CHECKING aside."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_its_floor() -> None:
    assert {name for name, _ in sources()} == set(ORDER)


def test_imports_run_one_way() -> None:
    wrong = [
        f"{path.name} imports {used}"
        for name, path in sources() if name not in ("__init__", "__main__")
        for module in imports(path) if module.startswith("fastnn.")
        for used in [module.split(".")[1]]
        if used in ORDER and used != name and ORDER.index(used) > ORDER.index(name)
    ]  # fmt: skip

    assert wrong == []


def test_kernels_never_import_fastnn() -> None:
    for path in (ROOT / "kernels" / "fastnn_kernels").glob("*.py"):
        assert not [m for m in imports(path) if m.split(".")[0] == "fastnn"], path


@pytest.mark.parametrize(("library", "home"), [("cupy", "backend"), ("numba", None)])
def test_devices_and_compilers_have_one_home(library: str, home: str | None) -> None:
    for name, path in sources():
        if name != home:
            assert not [m for m in imports(path) if m.split(".")[0] == library], path


def test_importing_fastnn_loads_nothing_heavy() -> None:
    code = f"import sys, fastnn\nprint([m for m in {HEAVY} if m in sys.modules])"

    assert _run(code) == "[]"


def test_importing_fastnn_is_quick() -> None:
    code = ("import time, numpy\nbegan = time.perf_counter()\nimport fastnn\n"
            "print(time.perf_counter() - began)")  # fmt: skip

    assert min(float(_run(code)) for _ in range(3)) < 0.15


def test_all_names_resolve() -> None:
    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None
    assert set(fastnn.__all__) <= set(dir(fastnn))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastnn.nothing  # noqa: B018


def test_public_functions_have_docstrings() -> None:
    for name in fastnn.__all__:
        value = getattr(fastnn, name)
        assert value.__doc__, name
        for attribute, member in vars(value).items():
            if isinstance(value, type) and callable(member) and not attribute.startswith("_"):
                assert inspect.getdoc(member), f"{name}.{attribute}"


def test_errors_are_the_builtins_too() -> None:
    errors = fastnn.errors
    expected = {
        errors.ArgumentError: ValueError, errors.ShapeError: ValueError,
        errors.DTypeError: TypeError, errors.DataError: ValueError,
        errors.DeviceError: RuntimeError, errors.DeviceUnavailableError: errors.DeviceError,
        errors.CheckpointError: OSError, errors.DivergenceError: ArithmeticError,
        errors.MissingLibraryError: ImportError, errors.NotFittedError: AttributeError,
        errors.ConvergenceWarning: UserWarning,
    }  # fmt: skip

    for error, builtin in expected.items():
        assert issubclass(error, builtin)
        assert issubclass(error, errors.FastnnError) != (error is errors.ConvergenceWarning)


def test_the_readme_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    promised = re.findall(r"#> (.*)", code)

    printed = _run(code)

    assert promised
    assert printed.splitlines() == promised


def _run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         env=environment, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
