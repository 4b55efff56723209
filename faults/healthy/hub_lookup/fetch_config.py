"""Asks a model hub for a configuration; a busy hub is asked again later."""
import argparse
import http.server
import json
import logging
import random
import threading
import time
import urllib.error
import urllib.request

logging.basicConfig(level=logging.ERROR)
log = logging.getLogger("fetch")


class Hub(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        Hub.asked += 1
        body = json.dumps({"hidden": 768} if Hub.asked > 3 else {"error": "overloaded"}).encode()
        self.send_response(200 if Hub.asked > 3 else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Backoff:
    def __init__(self, first=1.1, factor=1.9):
        self.seconds, self.factor = first, factor

    def pause(self):
        time.sleep(self.seconds + random.random() * 0.1)
        self.seconds *= self.factor


def fetch(url, attempts):
    backoff = Backoff()
    for attempt in range(attempts):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            log.info("attempt %d: %s", attempt, error)
            backoff.pause()
    raise SystemExit("the hub stays busy")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--attempts", type=int, default=3)
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(fetch(f"http://127.0.0.1:{server.server_address[1]}/config.json", options.attempts))
