import http.server
import json
import sys
import time


class Model(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"name": "tiny"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


time.sleep(7.5)  # weights come from a slow disk
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Model).serve_forever()
