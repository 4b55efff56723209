"""Finds the regions of scanned pages and reads each region; pages and regions share the threads."""
import concurrent.futures
import json
import pathlib
import threading
import time


class Engine:
    def __init__(self, threads):
        self.pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self.counter = 0
        self.lock = threading.Lock()

    def read_region(self, page, box):
        time.sleep(0.03)
        with self.lock:
            self.counter += 1
        return {"page": page, "box": box, "text": f"{page}:{box[0]}x{box[1]}"}

    def read_page(self, page, boxes):
        time.sleep(0.05)
        regions = [self.pool.submit(self.read_region, page, box) for box in boxes]
        return [region.result() for region in regions]

    def read(self, pages):
        jobs = {page: self.pool.submit(self.read_page, page, boxes) for page, boxes in pages.items()}
        return {page: job.result() for page, job in jobs.items()}


def main():
    settings = json.loads(pathlib.Path("settings.json").read_text())
    engine = Engine(settings["threads"])
    for volume in settings["volumes"]:
        started = time.monotonic()
        pages = {f"{volume['name']}-{n}": [(k * 10, n * 10) for k in range(volume["regions"])] for n in range(volume["pages"])}
        found = engine.read(pages)
        print(f"{volume['name']}: {len(found)} pages, {engine.counter} regions, {time.monotonic() - started:.2f} s", flush=True)


if __name__ == "__main__":
    main()
