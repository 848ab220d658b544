"""The audit of partners and products: the figures docs/methodology/places.md gives."""

from __future__ import annotations

from tests.audit.codebooks import partner_counts, product_counts


def test_spellings_of_partners_are_understood():
    counts = partner_counts()
    assert counts["of these understood"] == counts["seen or published"] > 800
    assert counts["code of 中非共和国"] == 209


def test_products_are_counted_as_the_page_says():
    counts = product_counts()
    assert (counts["codes of HS 1996"], counts["codes of HS 2002"]) == (5132, 5224)
    assert counts["codes of HS 2002 reached by none of HS 2007"] == 299
    assert counts["families over HS 1996 to 2012"] == 5071
    assert counts["families of HS 2002 that end with it"] == 267
