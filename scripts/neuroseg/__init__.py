"""Neuronal-cell instance segmentation: pure functions on tables and arrays, one idea a module."""
