import os
import selectors
import socket
import sys

path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
srv = socket.socket(socket.AF_UNIX)
srv.bind(path)
srv.listen(16)
sel = selectors.DefaultSelector()
sel.register(srv, selectors.EVENT_READ)
features = {f"user:{i}": [i * 0.1, i * 0.2] for i in range(1000)}
while True:
    for key, _ in sel.select():
        if key.fileobj is srv:
            conn, _ = srv.accept()
            sel.register(conn, selectors.EVENT_READ)
            continue
        data = key.fileobj.recv(4096)
        if not data:
            sel.unregister(key.fileobj)
            key.fileobj.close()
            continue
        key.fileobj.sendall(repr(features.get(data.decode().strip()[4:])).encode())
