import json
import socket

from peer import silent_server

connection = socket.create_connection(("127.0.0.1", silent_server()))
connection.sendall(json.dumps({"op": "segment", "image": 7}).encode() + b"\n")
reply = connection.recv(4096)
print(json.loads(reply))
