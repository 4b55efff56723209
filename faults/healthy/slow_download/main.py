import socket
import threading
import time


def drip(server):
    connection, _ = server.accept()
    for _ in range(14):
        connection.sendall(b"x" * 100)
        time.sleep(0.6)
    connection.close()


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=drip, args=(server,), daemon=True).start()
client = socket.create_connection(server.getsockname())
total = 0
while chunk := client.recv(4096):
    total += len(chunk)
print(total)
