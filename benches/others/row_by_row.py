"""The plain loop of a cron function: page after page, then row after row in one transaction."""

import psycopg2
import requests

from common import COLUMNS, FILTER, SEARCH, arguments, login, regions_of, report, row


def devices(session, options):
    listed = session.get(f"{options.tcs}/api/tni/v2/operators/{options.operator}/regions?offset=0&count=1000")
    listed.raise_for_status()
    for region in regions_of(listed.json()):
        offset = 0
        while True:
            page = session.post(
                f"{options.tcs}{SEARCH}?offset={offset}&count={options.page_size}",
                json={"ids": [region], "deviceFilter": FILTER},
            )
            page.raise_for_status()
            items = page.json()["data"]["items"]
            if not items:
                break
            yield from items
            offset += len(items)
            if offset >= page.json()["data"]["totalCount"]:
                break


def statement():
    names = ", ".join(COLUMNS)
    values = ", ".join(["%s"] * len(COLUMNS))
    changes = ", ".join(f"{c} = coalesce(excluded.{c}, s.{c})" for c in COLUMNS if c != "serial_number")
    return (
        f"INSERT INTO tarana_base_stations AS s ({names}, last_updated) VALUES ({values}, now()) "
        f"ON CONFLICT (serial_number) DO UPDATE SET {changes}, last_updated = now()"
    )


def work(options):
    session = login(requests.Session(), options)
    stations = list(devices(session, options))
    seen, written, deleted, upsert = [], 0, 0, statement()
    with psycopg2.connect(options.database) as connection, connection.cursor() as cursor:
        for device in stations:
            seen.append(device["serialNumber"])
            if (values := row(device)) is not None:
                cursor.execute(upsert, values)
                written += 1
        if options.delete_stale:
            cursor.execute("DELETE FROM tarana_base_stations WHERE serial_number <> ALL (%s)", (seen,))
            deleted = cursor.rowcount
    return len(stations), written, deleted


report(work, arguments())
