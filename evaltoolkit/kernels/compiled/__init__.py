"""Loops that are compiled by numba when they are first called, and kept on disk. Imported only where they are used."""
