import socket
import time

srv = socket.create_server(("127.0.0.1", 0))
print(srv.getsockname()[1], flush=True)
conn, _ = srv.accept()
conn.recv(100)
for i in range(24):
    conn.sendall(bytes([i]) * 900)
    time.sleep(0.5)
conn.close()
