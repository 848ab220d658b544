"""What the shipped tables of partners and products hold: how many spellings are understood, codes, families, orphans.

    python -m tests.audit.codebooks
"""

from __future__ import annotations

import sys

from schemas.reference.builders.common import read_source
from schemas.reference.builders.products import FAMILY_REVISIONS, REVISIONS
from schemas.reference.partner_keys import partner_key
from schemas.reference.shipped import read_shipped


def partner_counts() -> dict[str, int]:
    """Spellings in the table, and of those seen in files how many mean the code the source gives."""
    known = read_shipped("partner_aliases").set_index("alias")["code"]
    seen = [row for name in ("partner_spellings", "partner_names_seen") for row in read_source(name).itertuples()]
    return {
        "spellings of partners": len(known),
        "seen or published": len(seen),
        "of these understood": sum(known.get(partner_key(row.alias)) == row.code for row in seen),
        "code of 中非共和国": int(known[partner_key("中非共和国")]),
    }


def product_counts() -> dict[str, int]:
    """Codes by revision, codes of HS 2002 no later code converts to, and families."""
    codes, conversions, families = (read_shipped(f"hs6_{name}") for name in ("codes", "conversions", "families"))
    valid = {revision: set(codes.loc[codes[f"in_hs{revision}"] == "1", "hs6_code"]) for revision in REVISIONS}
    to_2002 = conversions[conversions["from_revision"] == "2007"]
    by_revision = families.groupby("revision")["family"].agg(set)
    return {f"codes of HS {revision}": len(valid[revision]) for revision in REVISIONS} | {
        "codes of HS 2007 with another number in HS 2002": int((to_2002["from_hs6"] != to_2002["to_hs6"]).sum()),
        "codes of HS 2002 reached by none of HS 2007": len(valid["2002"] - set(to_2002["to_hs6"])),
        "families over HS 1996 to 2012": len(set().union(*(by_revision[revision] for revision in FAMILY_REVISIONS))),
        "families of HS 2002 that end with it": len(by_revision["2002"] - by_revision["2007"]),
    }


def main() -> None:
    """Print the counts."""
    counts = partner_counts() | product_counts()
    sys.stdout.write("\n".join(f"{name}: {count:,}" for name, count in counts.items()) + "\n")


if __name__ == "__main__":
    main()
