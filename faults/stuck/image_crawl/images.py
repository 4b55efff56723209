import http.server


class Images(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        n = int(self.path[4:7])
        size = 400_000 if n % 6 == 5 else 12_000 + n
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(b"\xff\xd8" + bytes(size - 2))

    def log_message(self, *args):
        pass


srv = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Images)
print(srv.server_address[1], flush=True)
srv.serve_forever()
