"""Numerical kernels: numpy and scipy only, arrays in, frozen dataclasses out."""
