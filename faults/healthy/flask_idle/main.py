import logging
import queue
import threading

import numpy as np
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

app = Flask(__name__)
jobs = queue.Queue()
results = {}
cond = threading.Condition()


def gpu_worker(w):
    while True:
        job, data = jobs.get()
        value = float(np.tanh(np.array(data) @ w[: len(data)]).sum())
        with cond:
            results[job] = value
            cond.notify_all()


@app.post("/infer")
def infer():
    body = request.get_json()
    jobs.put((body["id"], body["data"]))
    with cond:
        cond.wait_for(lambda: body["id"] in results, timeout=30)
        return jsonify(value=results.pop(body["id"]))


def main():
    logging.basicConfig(level=logging.INFO)
    w = np.random.default_rng(0).standard_normal(16)
    for i in range(4):
        threading.Thread(target=gpu_worker, args=(w,), name=f"gpu-{i}", daemon=True).start()
    srv = make_server("127.0.0.1", 0, app, threaded=True)
    print("serving on", srv.server_port, flush=True)
    client = app.test_client()
    print(client.post("/infer", json={"id": "a", "data": [1, 2, 3]}).get_json(), flush=True)
    srv.serve_forever()


if __name__ == "__main__":
    main()
