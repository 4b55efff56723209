import argparse
import hashlib
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = hashlib.sha1(text).hexdigest()[:16].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/quit":
            threading.Thread(target=self.server.shutdown).start()


parser = argparse.ArgumentParser()
parser.add_argument("--port-file", required=True)
options = parser.parse_args()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(options.port_file, "w") as port_file:
    port_file.write(str(server.server_address[1]))
server.serve_forever()
