"""A node server that checks graphs."""
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

    KNOWN = ["v1-5-pruned-emaonly.safetensors"]

    def do_POST(self) -> None:
        graph = json.loads(self.request_body())["prompt"]
        name = graph["4"]["inputs"]["ckpt_name"]
        if name in self.KNOWN:
            self.reply(200, {"prompt_id": "p1", "number": 1, "node_errors": {}})
            return
        details = {
            "type": "value_not_in_list",
            "message": "Value not in list",
            "details": f"ckpt_name: '{name}' not in {self.KNOWN}",
            "extra_info": {"input_name": "ckpt_name", "received_value": name},
        }
        self.reply(400, {
            "error": {
                "type": "prompt_outputs_failed_validation",
                "message": "Prompt outputs failed validation",
                "details": "",
                "extra_info": {},
            },
            "node_errors": {
                "4": {"errors": [details], "dependent_outputs": ["9"], "class_type": "CheckpointLoaderSimple"}
            },
        })

    def log_message(self, *args) -> None:
        pass


def start() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"
