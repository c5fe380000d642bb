"""A good script: concurrent pages, one COPY into a temporary table, one MERGE that skips equal rows."""

import asyncio

import aiohttp
import asyncpg
import orjson

from common import COLUMNS, FILTER, SEARCH, arguments, regions_of, report, row

TEXTS = {"serial_number", "hostname", "site_name", "market", "region", "band", "cell_name", "sector_name"}
NUMBERS = {"lat": "numeric(10, 6)", "lng": "numeric(10, 6)", "height_m": "numeric(8, 2)", "azimuth_deg": "numeric(5, 2)"}


def kind(column):
    return "text" if column in TEXTS else "float8" if column in NUMBERS else "int"


def incoming(column):
    return f"i.{column}::{NUMBERS[column]}" if column in NUMBERS else f"i.{column}"


def merge():
    rest = [c for c in COLUMNS if c != "serial_number"]
    differs = " OR ".join(f"({incoming(c)} IS NOT NULL AND s.{c} IS DISTINCT FROM {incoming(c)})" for c in rest)
    changes = ", ".join(f"{c} = coalesce({incoming(c)}, s.{c})" for c in rest)
    return f"""MERGE INTO tarana_base_stations s USING incoming i ON s.serial_number = i.serial_number
        WHEN MATCHED AND ({differs}) THEN UPDATE SET {changes}, last_updated = now()
        WHEN NOT MATCHED THEN INSERT ({", ".join(COLUMNS)}, last_updated)
            VALUES ({", ".join(incoming(c) for c in COLUMNS)}, now())"""


async def fetch(options):
    gate = asyncio.Semaphore(options.in_flight)
    async with aiohttp.ClientSession(
        options.tcs, cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=options.in_flight)
    ) as session:
        login = "/api/tcs/v1/user-auth/login"
        async with session.post(login, auth=aiohttp.BasicAuth(*options.account), raise_for_status=True) as answer:
            tokens = (await answer.json(loads=orjson.loads))["data"]
        cookie = {"Cookie": f"idToken={tokens['idToken']}; accessToken={tokens['accessToken']}"}

        async def ask(method, path, **more):
            async with gate, session.request(method, path, headers=cookie, raise_for_status=True, **more) as answer:
                return orjson.loads(await answer.read())

        async def page(region, offset):
            path = f"{SEARCH}?offset={offset}&count={options.page_size}"
            data = (await ask("POST", path, json={"ids": [region], "deviceFilter": FILTER}))["data"]
            return [(d["serialNumber"], row(d)) for d in data["items"]], data["totalCount"]

        async def listing(region):
            rows, total = await page(region, 0)
            step = max(len(rows), 1)
            for more, _ in await asyncio.gather(*(page(region, at) for at in range(step, total, step))):
                rows += more
            if len({serial for serial, _ in rows}) != total or len(rows) != total:
                raise RuntimeError(f"region {region}: {len(rows)} rows of {total}")
            return rows

        path = f"/api/tni/v2/operators/{options.operator}/regions?offset=0&count=1000"
        regions = regions_of(await ask("GET", path))
        return sum(await asyncio.gather(*map(listing, regions)), [])


async def write(options, stations):
    connection = await asyncpg.connect(options.database)
    deleted = 0
    try:
        async with connection.transaction():
            await connection.execute(
                f"CREATE TEMP TABLE incoming ({', '.join(f'{c} {kind(c)}' for c in COLUMNS)}) ON COMMIT DROP"
            )
            usable = (values for _, values in stations if values is not None)
            await connection.copy_records_to_table("incoming", records=usable, columns=COLUMNS)
            written = int((await connection.execute(merge())).split()[-1])
            if options.delete_stale:
                delete = "DELETE FROM tarana_base_stations WHERE serial_number <> ALL ($1::text[])"
                done = await connection.execute(delete, [serial for serial, _ in stations])
                deleted = int(done.split()[-1])
    finally:
        await connection.close()
    return written, deleted


async def both(options):
    stations = await fetch(options)
    return len(stations), *await write(options, stations)


report(lambda options: asyncio.run(both(options)), arguments())
