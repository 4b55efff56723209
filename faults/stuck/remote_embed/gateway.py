"""Stand-in for the shared gateway: sheds load by leaving requests lie when its budget is used up."""
import json
import selectors
import socket
import time

sel = selectors.DefaultSelector()
srv = socket.create_server(("127.0.0.1", 0))
sel.register(srv, selectors.EVENT_READ)
print(srv.getsockname()[1], flush=True)
budget = 4
uptime = time.monotonic()
while True:
    for key, _ in sel.select(timeout=1.0):
        s = key.fileobj
        if s is srv:
            conn, _ = s.accept()
            sel.register(conn, selectors.EVENT_READ)
            continue
        data = s.recv(65536)
        if not data:
            sel.unregister(s)
            s.close()
            continue
        if b"}" not in data:
            continue
        budget -= 1
        if budget < 0:
            continue
        body = json.dumps({"data": [len(data) % 7, 1.0, 2.0]}).encode()
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
