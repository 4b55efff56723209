"""A worker process: one device, jobs from a queue."""
import time

from runner.device import Device


def serve(ordinal, jobs, results):
    device = Device(ordinal)
    results.put(("ready", ordinal, device.memory()))
    while (job := jobs.get()) is not None:
        time.sleep(0.05)
        results.put(("done", job, None))
