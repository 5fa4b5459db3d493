"""PostgreSQL's health: a row is written and read again."""

import time

from koboshi.probes import Health


def probe_postgres(address: str, user: str, database: str, limit_s: float = 10.0) -> Health:
    """Write a row into a table that lasts as long as the connection, and read it. The password is in PGPASSWORD."""
    import psycopg

    host, _, port = address.partition(":")
    server = f"host={host} port={port} user={user} dbname={database} connect_timeout={limit_s:.0f}"
    value, begun = time.time_ns(), time.monotonic()
    try:
        with psycopg.connect(server) as connection:
            connection.execute("CREATE TEMPORARY TABLE probe (value bigint)")
            connection.execute("INSERT INTO probe VALUES (%s)", [value])
            found = connection.execute("SELECT value FROM probe").fetchone()
    except psycopg.Error as error:
        return Health(False, f"no row could be written and read ({str(error).strip()})"[:200])
    return Health(found == (value,), f"a row written and read in {time.monotonic() - begun:.1f} s")
