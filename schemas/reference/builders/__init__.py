"""Builders of the reference tables: one module per source, each a function that returns frames and touches no file."""
