"""Every column of the lake, once: type, meaning, unit, allowed values.

The same name means the same thing in the same unit in every table; another thing gets another name. Modules that
define tables add the columns only they use with :func:`define`, which refuses a name that is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

MONEY_TYPE = "decimal(20,2)"
QUANTITY_TYPE = "decimal(24,4)"


class FieldDefinedTwiceError(ValueError):
    """Raised when a column name is defined a second time; give the other thing another name."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes
    ----------
    name : str
        Column name, unit or kind last (``value_usd``).
    type : str
        Spark SQL type as in DDL.
    meaning : str
        What it is, for the data dictionary and the table's comment.
    unit : str
        Unit of measure, empty for codes and texts.
    allowed : tuple of str
        Closed vocabulary, empty when open.
    required : bool
        NOT NULL in the table.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    allowed: tuple[str, ...] = ()
    required: bool = False

    @property
    def comment(self) -> str:
        """Meaning, unit and vocabulary in one line, as written to the table's column comment."""
        parts = [self.meaning]
        if self.unit:
            parts.append(f"[{self.unit}]")
        if self.allowed:
            parts.append("one of: " + ", ".join(self.allowed))
        return " ".join(parts)


FIELDS: dict[str, Field] = {}


def define(name: str, type: str, meaning: str, *, unit: str = "", allowed: tuple[str, ...] = ()) -> Field:
    """Add a column to the registry.

    Raises
    ------
    FieldDefinedTwiceError
        If the name is taken by a different definition.
    """
    field = Field(name, type, meaning, unit, allowed)
    if FIELDS.get(name, field) != field:
        raise FieldDefinedTwiceError(
            f"Column {name!r} is defined twice: {FIELDS[name]} and {field}. One name means one thing; rename one."
        )
    FIELDS[name] = field
    return field


def fields(*names: str) -> tuple[Field, ...]:
    """Return the named columns in order; a trailing ``!`` makes a column NOT NULL in the table that asks."""
    chosen = []
    for name in names:
        field = FIELDS[name.rstrip("!")]
        chosen.append(
            Field(field.name, field.type, field.meaning, field.unit, field.allowed, required=name.endswith("!"))
        )
    return tuple(chosen)


# --- where a record comes from -------------------------------------------------------------------------------------
define("year", "int", "Calendar year of the declaration or observation")
define("month", "int", "Calendar month; null in files already summed to the year")
define("source_year", "int", "Year the delivered file belongs to (from its name)")
define("source_month", "int", "Month the delivered file belongs to; null for yearly files")
define("source_file", "string", "Path of the delivered file below the raw folder")
define("source_row", "bigint", "Data row in the delivered file, counted from 1, header and blank lines not counted")
define("file_sha256", "string", "SHA-256 of the delivered file's bytes")
define("layout", "string", "Name of the raw layout its headings matched (conf/layouts)")
define("load_id", "string", "Identifier of the load that appended the row, a hash of the files it took")
define("loaded_at", "timestamp", "When the load was written, UTC")
define("run_id", "string", "Identifier of the run that wrote the row")

# --- as delivered (bronze): strings, nothing repaired ----------------------------------------------------------------
RAW_MEANINGS = {
    "period": "Date or month as delivered; unreliable before 2006, the file name decides",
    "flow": "Import or export mark as delivered",
    "hs_code": "Commodity code as delivered (8 digits expected)",
    "hs_name": "Commodity name as delivered",
    "value": "Value as delivered (US dollars, exports FOB)",
    "quantity": "Quantity as delivered",
    "quantity_unit": "Unit of the quantity as delivered",
    "unit_price": "Price per unit as delivered",
    "firm_id": "Customs code of the firm; its first four digits are the registered place",
    "firm_name": "Name of the firm",
    "firm_type": "Ownership of the firm as delivered",
    "firm_address": "Registered address of the firm",
    "phone": "Telephone: personal data, null unless privacy.personal_columns keeps it; in no other table",
    "fax": "Fax: personal data, null unless privacy.personal_columns keeps it; in no other table",
    "postcode": "Postcode, six digits expected",
    "email": "E-mail: personal data, null unless privacy.personal_columns keeps it; in no other table",
    "contact_person": "Contact person: personal data, null unless privacy.personal_columns keeps it; in no other table",
    "production_place": "Place where the goods were made (exports) as delivered",
    "production_place_code": "Customs five-digit district code of the production place, in vintages that carry it",
    "partner": "Destination (exports) or origin (imports) as delivered: Chinese name or customs code",
    "customs_port": "Customs port as delivered",
    "trade_regime": "Trade mode as delivered",
    "transport": "Mode of transport as delivered",
    "transit_country": "Transit country as delivered",
}
RAW_COLUMNS = tuple(RAW_MEANINGS)
# Carried into silver as delivered: a name added here (and above) is in silver.declaration, its dictionary and its contract.
CARRIED_COLUMNS = (
    "quantity_unit", "firm_id", "firm_name", "firm_type", "trade_regime", "customs_port", "postcode", "production_place",
)
PERSONAL_COLUMNS = ("phone", "fax", "email", "contact_person")
#: Columns in which a person may stand although they are not meant for persons.
OPEN_COLUMNS = ("extra", "malformed_row")
#: Columns that name a firm.
FIRM_COLUMNS = ("firm_id", "firm_name", "firm_address", "legal_person_code")
#: What bronze says, in place of the line, of a record that was erased on demand.
ERASED = "erased"
for _name, _meaning in RAW_MEANINGS.items():
    define(_name, "string", _meaning)
define("extra", "map<string,string>", "Delivered columns that the layout does not name, heading to value")
define("source_part", "string", "Member of the archive, sheet or table the row came from; null when the file is one table")
define(
    "reading_marks",
    "array<string>",
    "What was mended while the row's line was read: trailing_separator, line_break_in_quotes, stray_quote,"
    " separator_restored, damaged_text, code_power_of_ten, year_unknown",
)
define(
    "malformed_row", "string",
    "The whole line when its number of fields is not the header's (its length where persons are left out), erased for a"
    " record that was erased; null otherwise",
)

# --- typed declaration (silver) ---------------------------------------------------------------------------------------
define("hs8_code", "string", "Commodity code repaired to eight digits; six-digit deliveries end in 00")
define("hs6_code", "string", "Product: first six digits, in the HS revision of the year")
define("hs_revision", "string", "HS revision in force in the year", allowed=("1996", "2002", "2007", "2012", "2017", "2022"))
define("hs6_converted", "string", "Product converted to the study's base revision; null when it has no partner there")
define("hs6_family", "string", "Family of products linked over HS 1996-2012; the code itself when it never changed")
define("value_usd", MONEY_TYPE, "Export value, nominal, FOB", unit="US dollars")
define("quantity_units", QUANTITY_TYPE, "Quantity in the delivered unit", unit="quantity_unit")
define("partner_code", "string", "Customs partner code, three digits")
define("country_iso3", "string", "Destination economy, ISO 3166 alpha-3; territories under their own code if they have one")
define("partner_kind", "string", "Kind of the partner code (normal, territory, self, unknown, ...)")
define("is_destination", "boolean", "True when the partner counts as a destination economy: not China itself, not unknown")
define("city_id", "string", "Prefecture-level city, stable six-digit code across renames")
define("city_name", "string", "Name of the city, Chinese")
define("prefecture_code", "string", "Prefecture code (GB/T 2260) valid in the year")
define("province_code", "string", "Province code (GB/T 2260)")
define("unit_code", "string", "County-level unit of the production site; null when only the prefecture is known")
define(
    "unit_type",
    "string",
    "Type of the unit in the year",
    allowed=("district", "county", "county_city", "whole_city"),
)
define(
    "place_method",
    "string",
    "Which evidence decided the place",
    allowed=(
        "postcode6", "postcode5", "postcode4", "postcode", "place_text", "district_code", "firm_history", "address",
    ),
)
define("place_digits", "int", "Digits of the postcode that were needed")
define("place_sources", "int", "Independent postcode sources that agree on the prefix")
define("place_confidence", "double", "How sure the place is, 0 to 1 (docs/methodology/places.md)")
define("is_place_ambiguous", "boolean", "True in cities whose districts and counties share postcodes")
define("place_conflict", "string", "Evidence that disagreed with the decision; null when none did")
define("repairs", "array<string>", "Names of the repairs made to this record, in order")

# --- quarantine ---------------------------------------------------------------------------------------------------------
define("primary_reason", "string", "First rule of the ordered list that refused the record")
define("reasons", "array<string>", "All rules that refused the record, in the list's order")

# --- counts -------------------------------------------------------------------------------------------------------------
define("n_records", "bigint", "Records", unit="records")
define("n_products", "bigint", "HS six-digit products of the year's own revision", unit="products")
define("n_products_converted", "bigint", "Products after conversion to one revision", unit="products")
define("n_products_family", "bigint", "Families of products", unit="families")
define("n_destinations", "bigint", "Destination economies (ISO3), China itself and unknown left out", unit="economies")
define("n_partner_codes", "bigint", "Raw customs partner codes, everything counted", unit="codes")
define("n_pairs", "bigint", "Product x partner pairs with trade", unit="pairs")
define("n_firms", "bigint", "Exporting firms (distinct customs codes)", unit="firms")
define("share_value_by_fallback", "double", "Share of value placed by other evidence than the postcode", unit="share")
define("share_value_ambiguous", "double", "Share of value in places marked ambiguous", unit="share")
define("n_records_postcode_unknown", "bigint", "Records that count for the city alone: no source knows their postcode")
define("share_value_postcode_unknown", "double", "Share of value in records whose postcode no source knows", unit="share")

# --- development zones: the shipped list and the one in use -----------------------------------------------------------
define("approved_year", "int", "Year from which the city has a national economic and technological development zone")
define("zone_source", "string", "Where the approval is taken from")
