import queue
import threading

jobs, results = queue.Queue(), queue.Queue()


def normalise():
    while True:
        image = jobs.get()
        scale = 255 / image
        results.put(scale)


threading.Thread(target=normalise, name="normaliser", daemon=True).start()
for image in (5, 0, 7):
    jobs.put(image)
for _ in range(3):
    print(results.get(), flush=True)
