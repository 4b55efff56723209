"""Celery's part: `celery -A celery_app worker --pool prefork --concurrency 2`."""
import os

from celery import Celery

URL = "redis+socket://" + os.environ["BENCH_REDIS"]
app = Celery("celery_app", broker=URL, backend=URL)
if os.environ.get("BENCH_LATE"):
    app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)


@app.task
def noop(x):
    return x
