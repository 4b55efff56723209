"""A small web service that starts an analysis as a child process.

The child's output is captured, so that it can be shown in the answer. Nothing
reads it while the child runs: see the line with wait().
"""

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TRACKER = Path(__file__).with_name("track.py")


def run_tracker(video):
    """Analyse one video and return what the tracker printed."""
    child = subprocess.Popen(
        [sys.executable, str(TRACKER), f"video.source={video}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.wait(timeout=180)
    return child.stdout.read().decode()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = run_tracker(request["video"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *args):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/track"
    print(f"service listens on {url}")
    # The client that the user had: it sends one request and waits.
    request = urllib.request.Request(url, json.dumps({"video": "walk.mp4"}).encode())
    with urllib.request.urlopen(request) as answer:
        print("tracks:", answer.read().decode())


if __name__ == "__main__":
    main()
