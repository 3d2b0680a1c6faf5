"""The exceptions, each also the built-in that a caller already catches.

    FastnnError
    |- ArgumentError (ValueError)         a name, number or combination that is not allowed
    |- ShapeError (ValueError)            an array of the wrong shape
    |- DTypeError (TypeError)             an array of the wrong type
    |- DataError (ValueError)             bad content: NaN, a label out of range, a broken file
    |- DeviceError (RuntimeError)         arrays on the wrong device, a device that failed
    |  |- DeviceUnavailableError          a device that is not there, or lacks a library
    |  `- DeviceMemoryError (MemoryError)  a device without enough memory
    |- CheckpointError (OSError)          a saved network or history that cannot be trusted
    |- DivergenceError (ArithmeticError)  training that stopped being finite
    |- MissingLibraryError (ImportError)  an optional library that is not there
    `- NotFittedError (ValueError, AttributeError)

A message says what came, what was needed, and what to do.
"""


class FastnnError(Exception):
    """The root: `except FastnnError` catches all that fastnn raises by intention."""


class ArgumentError(FastnnError, ValueError):
    """A name, number or combination of arguments that is not allowed."""


class ShapeError(FastnnError, ValueError):
    """An array whose shape does not fit."""


class DTypeError(FastnnError, TypeError):
    """An array whose type cannot be used."""


class DataError(FastnnError, ValueError):
    """Content that cannot be used: NaN, a label out of range, a broken file."""


class DeviceError(FastnnError, RuntimeError):
    """Arrays on the wrong device, or a device that failed or cannot be used after a fork."""


class DeviceUnavailableError(DeviceError):
    """A device that is not there, or lacks a driver or library."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A device that has not enough memory; a network is as it was at the epoch's start."""


class CheckpointError(FastnnError, OSError):
    """A file of a saved network or history that is damaged, foreign or of another version."""


class DivergenceError(FastnnError, ArithmeticError):
    """A loss or parameter that stopped being finite; the network is as at the epoch's start."""


class MissingLibraryError(FastnnError, ImportError):
    """An optional library that is asked for and cannot be imported."""


class NotFittedError(FastnnError, ValueError, AttributeError):
    """A prediction asked of an estimator before it was fitted."""


class ConvergenceWarning(UserWarning):
    """Training ended at its limit of epochs without reaching its goal."""
