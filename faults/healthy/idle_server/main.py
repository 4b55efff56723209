from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
print("listening on", server.server_port, flush=True)
server.serve_forever()
