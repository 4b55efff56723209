"""Serves the page until nobody has looked at it for some seconds."""
import http.server
import sys
import time


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen = time.monotonic()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<img src=frame.jpg>")

    def log_message(self, *arguments):
        pass


def bound(port, tries=6):
    """The port may be free only some moments after the last start."""
    while True:
        try:
            return http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
        except OSError:
            tries -= 1
            if not tries:
                raise
            time.sleep(0.4)


with bound(int(sys.argv[1])) as server:
    server.seen, server.timeout = time.monotonic(), 0.5
    while time.monotonic() - server.seen < 9:
        server.handle_request()
