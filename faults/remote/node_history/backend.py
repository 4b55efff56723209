"""A node server whose jobs are done in the background."""
import http.server
import json
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    calls = 0
    started = time.monotonic()

    def reply(self, status: int, value, headers: dict | None = None, kind: str = "application/json") -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def request_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        self.request_body()
        type(self).calls += 1
        self.reply(200, {"prompt_id": f"a{self.calls}", "number": self.calls, "node_errors": {}})

    def do_GET(self) -> None:
        prompt_id = self.path.rsplit("/", 1)[1]
        if prompt_id == "a1":
            status = {"status_str": "success", "completed": True, "messages": []}
            outputs = {"9": {"images": [{"filename": "run_00001_.png", "subfolder": "", "type": "output"}]}}
        else:
            problem = {
                "prompt_id": prompt_id,
                "node_id": "8",
                "node_type": "VAEDecode",
                "executed": ["4", "3"],
                "exception_message": "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
                "exception_type": "RuntimeError",
            }
            status = {"status_str": "error", "completed": False, "messages": [["execution_start", {}], ["execution_error", problem]]}
            outputs = {}
        self.reply(200, {prompt_id: {"prompt": [], "outputs": outputs, "status": status}})

    def log_message(self, *args) -> None:
        pass


def start() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"
