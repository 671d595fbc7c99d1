"""Program evaluation with quasi-experimental designs, from a design file to a report that program staff can read."""
