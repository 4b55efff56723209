import socket
import threading


def silent_server():
    server = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept():
        while True:
            held.append(server.accept())

    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]
