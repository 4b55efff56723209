"""File gateway in front of the share; the share is far away."""
import http.server
import time

COUNT = 80


def source(path):
    if path == "/trackkit":
        return "STAGES = []\n" + "".join(f"import trackkit.stage{i}\n" for i in range(COUNT))
    if path.startswith("/trackkit/stage"):
        n = path[len("/trackkit/stage"):]
        return f"import trackkit\nTABLE = [x * {n} for x in range(2000)]\ntrackkit.STAGES.append({n})\n"
    return None


class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = source(self.path)
        time.sleep(0.25)
        body = (text or "").encode()
        self.send_response(200 if text else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


srv = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
print(srv.server_address[1], flush=True)
srv.serve_forever()
