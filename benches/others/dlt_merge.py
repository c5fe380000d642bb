"""dlt: a resource of pages as Arrow tables, merged by serial number into a table of its own."""

import os
from concurrent.futures import ThreadPoolExecutor

os.environ.update(
    RUNTIME__DLTHUB_TELEMETRY="false",
    RUNTIME__LOG_LEVEL="ERROR",
    # CSV files loaded by COPY instead of INSERTs.
    NORMALIZE__LOADER_FILE_FORMAT="csv",
    # Adds the column `_dlt_load_id` to Arrow tables, which identifies stale rows.
    NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID="true",
)

import dlt
import psycopg2
import pyarrow as pa
import requests

from common import COLUMNS, FILTER, SEARCH, arguments, login, regions_of, report, row

SCHEMA, TABLE = "dlt", "tarana_base_stations"
NUMBERS = {"lat", "lng", "height_m", "azimuth_deg"}
TYPES = [pa.float64() if c in NUMBERS else pa.int64() if c.endswith(("_id", "_status")) else pa.string() for c in COLUMNS]


def pages(options, count):
    session = login(requests.Session(), options)
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=options.in_flight))

    def page(region, offset):
        answer = session.post(
            f"{options.tcs}{SEARCH}?offset={offset}&count={options.page_size}",
            json={"ids": [region], "deviceFilter": FILTER},
        )
        answer.raise_for_status()
        return answer.json()["data"]

    listed = session.get(f"{options.tcs}/api/tni/v2/operators/{options.operator}/regions?offset=0&count=1000")
    listed.raise_for_status()
    with ThreadPoolExecutor(options.in_flight) as pool:
        for region in regions_of(listed.json()):
            first = page(region, 0)
            step = max(len(first["items"]), 1)
            rest = pool.map(lambda at: page(region, at), range(step, first["totalCount"], step))
            for data in (first, *rest):
                count[0] += len(data["items"])
                rows = [values for values in map(row, data["items"]) if values is not None]
                if rows:
                    columns = [pa.array(column, type) for column, type in zip(zip(*rows), TYPES)]
                    yield pa.Table.from_arrays(columns, names=COLUMNS)


def work(options):
    count = [0]
    resource = dlt.resource(
        pages(options, count),
        name=TABLE,
        primary_key="serial_number",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
    )
    pipeline = dlt.pipeline(
        pipeline_name="others",
        pipelines_dir=options.state,
        destination=dlt.destinations.postgres(options.database),
        dataset_name=SCHEMA,
    )
    done = pipeline.run(resource)
    done.raise_on_failed_jobs()
    written = pipeline.last_trace.last_normalize_info.row_counts.get(TABLE, 0)
    deleted = 0
    if options.delete_stale:
        # Stale rows: those that this load did not write.
        with psycopg2.connect(options.database) as connection, connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {SCHEMA}.{TABLE} WHERE _dlt_load_id <> %s", (done.loads_ids[-1],))
            deleted = cursor.rowcount
    return count[0], written, deleted


report(work, arguments())
