"""The seed's work: a Celery task that marks the row."""

import os

import psycopg2
from celery import Celery
from celery.signals import worker_process_init

app = Celery("tasks", broker="redis+socket://" + os.environ["SEED_REDIS"])
app.conf.update(
    # Nobody asks for results; without them a task costs two writes to Redis less.
    task_ignore_result=True,
    # A task whose worker dies is given to another one: without these it would be lost by a kill -9 of the worker.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # Short tasks: Celery's documents advise to prefetch many.
    worker_prefetch_multiplier=int(os.environ.get("SEED_PREFETCH", "64")),
    worker_send_task_events=False,
    broker_pool_limit=16,
    # After so many seconds Redis hands out again what a dead worker held; Celery's default is an hour.
    broker_transport_options={"visibility_timeout": int(os.environ.get("SEED_VISIBILITY", "3600"))},
    beat_schedule={"tick": {"task": "tasks.tick", "schedule": 60.0}},
)

database = None


def connect():
    global database
    database = psycopg2.connect("")
    database.autocommit = True
    database.cursor().execute("prepare mark (bigint) as update events set status = 'done', done_at = now() where id = $1")


@worker_process_init.connect
def on_start(**_):
    connect()


@app.task(autoretry_for=(psycopg2.OperationalError, psycopg2.InterfaceError), retry_backoff=True, max_retries=8)
def handle(event_id):
    if database is None or database.closed:
        connect()
    with database.cursor() as cursor:
        cursor.execute("execute mark (%s)", (event_id,))


@app.task
def tick():
    pass
