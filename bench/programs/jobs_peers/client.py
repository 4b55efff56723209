"""The clients of the peers of bench/jobs: client.py PEER throughput|latency --jobs N [--rate R]

Prints one JSON line, as `jobs` of defib-testkit does: jobs, seconds, per_second, p50_ms, p99_ms.
throughput: all jobs handed in as fast as the peer's own calls can, until the last result is here.
latency: one job at a time, from hand-in to result; with --rate at that many jobs a second, from
the time at which a job was due to its result, so that a client that lags does not look fast.
"""
import argparse
import http.client
import json
import os
import sys
import threading
import time

now = time.perf_counter
WARM_UP = 50


class CeleryPeer:
    """apply_async() with one producer hands in, which is faster than a group(); results come by
    Redis' pub/sub, which is what get() and join_native() wait for."""

    def __init__(self, limit):
        from celery.result import ResultSet
        from celery_app import app, noop
        self.ResultSet, self.app, self.noop, self.limit = ResultSet, app, noop, limit

    def all_at_once(self, numbers):
        with self.app.producer_pool.acquire(block=True, timeout=self.limit) as producer:
            results = [self.noop.apply_async((x,), producer=producer) for x in numbers]
        return self.ResultSet(results).join_native(timeout=self.limit)

    def one(self, x):
        return self.noop.apply_async((x,)).get(timeout=self.limit)

    def at_rate(self, number, rate):
        """In one thread: hand in what is due, else take results until the next one is."""
        found, end = {}, now() + self.limit
        consumer = self.app.backend.result_consumer
        due = [now() + 0.01 + x / rate for x in range(number)]
        kept = []
        while len(found) < number:
            if now() > end:
                sys.exit(f"{len(found)} of {number} results within {self.limit} s")
            x = len(kept)
            if x < number and now() >= due[x]:
                result = self.noop.apply_async((x,))
                result.then(lambda done, x=x: found.setdefault(x, (now(), done.result)))
                kept.append(result)
                pause = 0
            else:
                pause = due[x] - now() if x < number else 0.1
            consumer.drain_events(timeout=max(pause, 0))
        assert all(found[x][1] == x for x in range(number))
        return [found[x][0] - due[x] for x in range(number)]


class RqPeer:
    """enqueue_many() hands in; results come by a blocking read of the job's result stream."""

    def __init__(self, limit):
        import redis
        import rq
        from rq_app import noop
        self.rq, self.noop, self.limit = rq, noop, limit
        self.queue = rq.Queue(connection=redis.Redis(unix_socket_path=os.environ["BENCH_REDIS"], socket_timeout=limit + 10))

    def result(self, job):
        found = job.latest_result(timeout=self.limit)
        if not found or found.type != found.Type.SUCCESSFUL:
            sys.exit(f"no result within {self.limit} s" if not found else f"a job failed: {found.exc_string}")
        return found.return_value

    def all_at_once(self, numbers):
        return [self.result(job) for job in self.queue.enqueue_many([self.queue.prepare_data(self.noop, (x,)) for x in numbers])]

    def one(self, x):
        return self.result(self.queue.enqueue(self.noop, x))


class HueyPeer:
    """map() hands in, one insert per job; results are looked for every 0.5 ms and left in place,
    since taking one out is a write of its own."""

    def __init__(self, limit):
        from huey_app import huey, noop
        self.noop, self.limit = noop, limit
        self.settings = ", ".join(f"{name} {huey.storage.sql(f'pragma {name}', results=True)[0][0]}" for name in ("journal_mode", "synchronous"))

    def result(self, handle):
        return handle.get(blocking=True, timeout=self.limit, backoff=1.0, max_delay=0.0005, preserve=True)

    def all_at_once(self, numbers):
        return [self.result(handle) for handle in self.noop.map(numbers)]

    def one(self, x):
        return self.result(self.noop(x))


class HttpPeer:
    """A kept connection for each of 8 threads, or for the one. cog now and then answers 409 with
    free slots left: that request is sent again, and counted."""
    THREADS = 8

    def __init__(self, limit):
        self.limit, self.refused, self.end = limit, [], now() + 2 * limit
        self.mine = threading.local()

    def one(self, x):
        if not hasattr(self.mine, "line"):
            self.mine.line = http.client.HTTPConnection("127.0.0.1", int(os.environ["BENCH_PORT"]), timeout=self.limit)
        self.mine.line.request("POST", self.PATH, json.dumps(self.body(x)), {"Content-Type": "application/json"})
        answer = self.mine.line.getresponse()
        text = answer.read()
        if answer.status == 409 and now() < self.end:
            self.refused.append(x)
            time.sleep(0.001)
            return self.one(x)
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}: {text[:200]!r}")
        return json.loads(text)["output"]

    def all_at_once(self, numbers):
        found, wrong = [None] * len(numbers), []

        def work(first):
            try:
                for at in range(first, len(numbers), self.THREADS):
                    found[at] = self.one(numbers[at])
            except Exception as error:
                wrong.append(error)
        threads = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(self.THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.limit)
        if wrong:
            raise wrong[0]
        return found


class LitServePeer(HttpPeer):
    PATH = "/predict"

    def body(self, x):
        return {"x": x}


class CogPeer(HttpPeer):
    PATH = "/predictions"

    def body(self, x):
        return {"input": {"x": x}}


PEERS = {"celery": CeleryPeer, "rq": RqPeer, "huey": HueyPeer, "litserve": LitServePeer, "cog": CogPeer}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("what", choices=["throughput", "latency"])
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--limit", type=int, default=120, help="seconds for one wait")
    options = parser.parse_args()
    peer, number = PEERS[options.peer](options.limit), options.jobs
    warm = range(min(WARM_UP, number))
    assert list(peer.all_at_once(warm)) == list(warm) and [peer.one(7)] == [7]
    getattr(peer, "refused", []).clear()
    begun = now()
    if options.what == "throughput":
        assert list(peer.all_at_once(range(number))) == list(range(number))
        latencies = None
    elif options.rate:
        latencies = peer.at_rate(number, options.rate)
    else:
        latencies = []
        for x in range(number):
            handed_in = now()
            assert peer.one(x) == x
            latencies.append(now() - handed_in)
    seconds = now() - begun
    told = {"jobs": number, "seconds": round(seconds, 4), "per_second": round(number / seconds, 2)}
    if latencies:
        ordered = sorted(latencies)
        for share in (50, 99):
            told[f"p{share}_ms"] = round(ordered[min(number - 1, number * share // 100)] * 1000, 3)
    if hasattr(peer, "settings"):
        told["settings"] = peer.settings
    if getattr(peer, "refused", []):
        told["refused"] = len(peer.refused)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
