"""Shared by the three programs: arguments, login, the row of a device, and the report.

The report is one line of JSON on stdout: `outcome` (completed or failed), `seconds` (from after the imports to the end),
`peak_bytes` (peak memory of the process, from the kernel), `fetched`, `written`, `deleted`, and `error`.
"""

import argparse
import json
import os
import sys
import time

SEARCH = "/api/nqs/v1/regions/devices/search"
FILTER = {"type": "BN", "savedConfig": False, "reportedConfig": False, "reportedState": True}
COLUMNS = (
    "serial_number hostname site_name market lat lng region height_m azimuth_deg band device_status "
    "region_id market_id site_id cell_id sector_id cell_name sector_name"
).split()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--page-size", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--delete-stale", action="store_true")
    parser.add_argument("--state", help="a folder that is kept between runs")
    options = parser.parse_args()
    options.tcs = os.environ["TCS_URL"].rstrip("/")
    options.account = (os.environ["TCS_USERNAME"], os.environ["TCS_PASSWORD"])
    options.database = os.environ["DATABASE_URL"]
    options.operator = int(os.environ["TCS_OPERATOR_ID"])
    return options


def login(session, options):
    """Logs in a `requests` session with the tokens of the response as cookies."""
    answer = session.post(f"{options.tcs}/api/tcs/v1/user-auth/login", auth=options.account)
    answer.raise_for_status()
    tokens = answer.json()["data"]
    # The response marks its cookies as secure, so that `requests` would not send them over plain HTTP.
    session.cookies.clear()
    session.headers["Cookie"] = f"idToken={tokens['idToken']}; accessToken={tokens['accessToken']}"
    return session


def regions_of(answer):
    return [region["id"] for region in answer["data"]["items"]]


def row(device):
    """The columns of a device, or None without a position. A column is None if the vendor did not send it."""
    install = device.get("installParams") or {}
    lat, lng = install.get("latitude"), install.get("longitude")
    if lat is None or lng is None or (lat == 0 and lng == 0):
        return None
    ancestry = device.get("ancestry") or {}
    part = lambda name: ancestry.get(name) or {}
    connected = device.get("connected")
    return (
        device["serialNumber"],
        device.get("hostName") or device["serialNumber"],
        part("site").get("name") or "Unknown Site",
        part("market").get("name") or "Unknown",
        lat,
        lng,
        part("region").get("name") or "South Africa",
        install.get("height"),
        install.get("antennaAzimuth"),
        device.get("band"),
        None if connected is None else int(connected),
        part("region").get("id"),
        part("market").get("id"),
        part("site").get("id"),
        part("cell").get("id"),
        part("sector").get("id"),
        part("cellDetails").get("name"),
        part("sectorDetails").get("name"),
    )


def peak():
    """The peak memory of this process. (getrusage may return that of its parent.)"""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def report(work, options):
    """Runs `work(options)`, which returns (fetched, written, deleted), and prints the report."""
    begin = time.perf_counter()
    result = {"outcome": "completed", "error": None}
    try:
        result["fetched"], result["written"], result["deleted"] = work(options)
    except Exception as error:
        result.update(outcome="failed", error=f"{type(error).__name__}: {error}"[:300])
    result["seconds"] = time.perf_counter() - begin
    result["peak_bytes"] = peak()
    json.dump(result, sys.stdout)
    print()
