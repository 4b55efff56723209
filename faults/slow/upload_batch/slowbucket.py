"""A bucket behind a thin uplink."""
import http.server
import time


class Bucket(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 4096)))
            time.sleep(0.25)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


srv = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
print(srv.server_address[1], flush=True)
srv.serve_forever()
