"""Fused kernels for dense networks: `face` says what there is, `reference` what is right.

`cpu` (Numba) has the same functions as `reference` (array expressions), and
nothing here imports fastnn.  Importing this package imports none of them.
"""
