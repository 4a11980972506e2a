"""The seed's door: verifies, inserts, dispatches, answers 202."""

import hmac
import json
import os

import asyncpg
from fastapi import FastAPI, Request, Response

from tasks import handle

SECRET = os.environ["GITHUB_WEBHOOK_SECRET"].encode()
INSERT = """insert into events (delivery, type, headers, body) values ($1, $2, $3, $4)
  on conflict (delivery) do nothing returning id"""

app = FastAPI(openapi_url=None)


@app.on_event("startup")
async def open_pool():
    # Where the database is, both drivers read from PGHOST, PGUSER and PGDATABASE.
    app.state.pool = await asyncpg.create_pool(min_size=16, max_size=16)


@app.on_event("shutdown")
async def close_pool():
    await app.state.pool.close()


@app.post("/hooks/github")
async def receive(request: Request):
    body = await request.body()
    headers = dict(request.headers)
    expected = "sha256=" + hmac.digest(SECRET, body, "sha256").hex()
    if not hmac.compare_digest(expected, headers.get("x-hub-signature-256", "")):
        return Response(status_code=401)
    event_id = await app.state.pool.fetchval(
        INSERT, headers["x-github-delivery"], headers["x-github-event"], json.dumps(headers), body
    )
    if event_id is None:
        return Response(status_code=200)
    # In the event loop: in a thread it costs the same (see README.md).
    handle.delay(event_id)
    return Response(f'{{"id":{event_id}}}', status_code=202, media_type="application/json")
