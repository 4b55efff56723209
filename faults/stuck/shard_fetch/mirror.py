import http.server
import os
import socketserver
import threading

stalled = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.urandom(600_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "00004" in self.path:
            self.wfile.write(body[:420_000])
            self.wfile.flush()
            self.server.parked.append(self.request.dup())  # the upstream went away, the connection stays
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *a):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    parked = []

    def shutdown_request(self, request):
        if not any(p.getpeername() == request.getpeername() for p in self.parked):
            super().shutdown_request(request)


with Server(("127.0.0.1", 0), Handler) as srv:
    print(srv.server_address[1], flush=True)
    srv.serve_forever()
