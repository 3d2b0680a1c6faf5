"""History: what a training run remembers, a number per epoch and quantity."""

from dataclasses import dataclass, field

_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")


@dataclass
class History:
    """Losses are means per row, accuracies fractions; a list stays empty where there is none."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None  # the one whose weights were restored, from 0; with patience
    stopped: str = "epochs"  # why: "epochs", "target_loss" or "patience"

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, name: str) -> list[float]:
        if name not in _COLUMNS:
            raise KeyError(name)
        column: list[float] = getattr(self, name)
        return column

    def append(self, figures: dict[str, float]) -> None:
        """Add an epoch's figures to their columns."""
        for name, value in figures.items():
            self[name].append(value)

    def last(self) -> dict[str, float]:
        """The last epoch's losses and accuracies."""
        return {name: self[name][-1] for name in _COLUMNS[:4] if self[name]}

    def __repr__(self) -> str:
        figures = [f"{name}={value:.4g}" for name, value in self.last().items()]
        return f"History({', '.join([f'{len(self)} epochs', *figures])}, stopped={self.stopped!r})"
