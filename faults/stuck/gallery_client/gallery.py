"""Renders thumbnails with a few model sessions that the request threads take turns with."""
import logging
import queue
import threading

logging.basicConfig(level=logging.INFO, format="%(threadName)s %(levelname)s %(message)s")
log = logging.getLogger("gallery")


class Session:
    def __init__(self, number):
        self.number = number
        self.runs = 0

    def run(self, image):
        self.runs += 1
        width, height = image["size"]
        if width * height > 4_000_000:
            raise ValueError(f"input {width}x{height} exceeds the session's profile")
        return {"name": image["name"], "size": (width // 8, height // 8)}


class Sessions:
    def __init__(self, count):
        self.free = queue.Queue()
        for number in range(count):
            self.free.put(Session(number))

    def thumbnail(self, image):
        session = self.free.get()
        result = session.run(image)
        self.free.put(session)
        return result


def serve(sessions, inbox, done):
    while True:
        image = inbox.get()
        if image is None:
            return
        try:
            done.append(sessions.thumbnail(image))
        except ValueError:
            log.exception("no thumbnail of %s", image["name"])


def main():
    sizes = [(800, 600), (1024, 768), (4000, 3000), (640, 480), (6000, 4000), (512, 512), (3000, 2000)]
    images = [{"name": f"img_{n:02d}.jpg", "size": sizes[n % len(sizes)]} for n in range(40)]
    sessions, inbox, done = Sessions(3), queue.Queue(), []
    threads = [threading.Thread(target=serve, args=(sessions, inbox, done), name=f"request-{n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for image in images + [None] * len(threads):
        inbox.put(image)
    for thread in threads:
        thread.join()
    log.info("%d of %d thumbnails", len(done), len(images))


if __name__ == "__main__":
    main()
