"""Indicators of exporters and variety as frames of Polars: from records to the tables of ``schemas.indicators``."""
