"""Shipped reference tables, the sources they are built from and the build."""
