"""A chat service over HTTP, and the load test that talks to it."""
import argparse
import http.server
import json
import random
import threading
import urllib.request
import uuid


class Model:
    def prefill(self, text):
        source = random.Random(text)
        return bytearray(source.randbytes(4096) * 128)

    def answer(self, state, text):
        position = (len(text) * 977) % len(state)
        return " ".join(f"word{value}" for value in state[position : position + 8])


class Handler(http.server.BaseHTTPRequestHandler):
    model = Model()
    sessions = {}

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        session = body.get("session") or uuid.uuid4().hex
        if session not in self.sessions:
            self.sessions[session] = self.model.prefill(body["text"])
        reply = {"session": session, "text": self.model.answer(self.sessions[session], body["text"])}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def talk(base, text):
    request = urllib.request.Request(base, json.dumps({"text": text}).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}/chat"
    pause = threading.Event()
    for turn in range(options.turns):
        reply = talk(base, f"question {turn}")
        if turn % 40 == 0:
            print(f"turn {turn}: {reply['text']}", flush=True)
        pause.wait(0.02)
    server.shutdown()


if __name__ == "__main__":
    main()
