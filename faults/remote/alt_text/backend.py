"""A model service."""
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
        message = (
            "You exceeded your current quota, please check your plan and billing details. For more information on "
            "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
        )
        error = {"message": message, "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
        self.reply(429, {"error": error}, {"x-request-id": "req_81f2"})

    def log_message(self, *args) -> None:
        pass


def start() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"
