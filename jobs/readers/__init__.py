"""Delivered files of every kind to rows: customs records, firm accounts, yearbook sheets and the series beside them."""
