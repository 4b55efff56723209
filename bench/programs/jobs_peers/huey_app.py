"""Huey's part: `huey_consumer huey_app.huey --workers 2 --worker-type process`."""
import os

from huey import SqliteHuey

huey = SqliteHuey("bench", filename=os.environ["BENCH_HUEY"])


@huey.task()
def noop(x):
    return x
