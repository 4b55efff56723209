"""RQ's part: two of `rq worker`, also with `--worker-class rq.SimpleWorker`."""


def noop(x):
    return x
