"""The app as it was: each page in a thread, given up after its time.

    python3 threads.py page-*.pgm

`result(timeout=…)` ends the waiting, not the thread. It goes on for ever, takes its share of
the processor from all others, and keeps what it holds: the page here, a GPU in the real app.
"""

import concurrent.futures

import app
from detector import detect

TIMEOUT_S = 2
# Stands for the session of the web app: whatever was shown stays.
session = {"results": []}


def recognise(path):
    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    try:
        result = executor.submit(detect, path).result(timeout=TIMEOUT_S)
    except concurrent.futures.TimeoutError:
        return None
    finally:
        executor.shutdown(wait=False)
    session["results"].append(result)
    return len(result["polygons"])


if __name__ == "__main__":
    app.run(recognise)
