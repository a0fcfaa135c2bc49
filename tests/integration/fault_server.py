"""An OpenAI-compatible server that misbehaves in turn, for tests of the endpoint client.

Each new request meets the next of the faults; its repetitions are answered. What was answered to whom is
counted, so that a test can tell lost and doubled answers.
"""
import collections
import http.server
import json
import threading
import time

FAULTS = ("none", "429", "500", "none", "json", "half", "silence", "none", "empty", "reset")


class FaultServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, faults=FAULTS, answer=None, key=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.key = faults, key
        self.answer = answer or (lambda body: "To " + body["messages"][-1]["content"][:60])
        self.lock = threading.Lock()
        self.seen, self.answered = collections.Counter(), collections.Counter()
        self.met, self.in_flight, self.most_in_flight = collections.Counter(), 0, 0
        self.times, self.bodies = [], []
        self.stopping = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_fault(self, body):
        """The fault of this request: each request meets one at most, at its first arrival."""
        name = json.dumps([body["messages"], body["seed"]])
        with self.lock:
            self.times.append(time.monotonic())
            self.bodies.append(body)
            self.seen[name] += 1
            if self.seen[name] > 1:
                return name, "none"
            fault = self.faults[(len(self.seen) - 1) % len(self.faults)]
            self.met[fault] += 1
            return name, fault

    def close(self):
        self.stopping.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_json(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        server = self.server
        with server.lock:
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with server.lock:
                server.in_flight -= 1

    def reply(self, body):
        server = self.server
        given = self.headers.get("Authorization", "")
        if server.key and given != f"Bearer {server.key}":
            return self.send_json(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
        name, fault = server.next_fault(body)
        if fault == "429":
            return self.send_json(429, {"error": {"message": "slow down"}}, [("Retry-After", "1")])
        if fault == "500":
            return self.send_json(500, {"error": {"message": "internal\nerror"}})
        if fault == "400":
            return self.send_json(400, {"error": {"message": "content policy"}})
        if fault == "silence":
            server.stopping.wait(30)
            self.close_connection = True
            return None
        if fault == "reset":
            self.close_connection = True
            return None
        text = server.answer(body)
        whole = json.dumps({
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                         "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3}}).encode()
        if fault == "json":
            whole = whole[:len(whole) // 2]
        if fault == "empty":
            whole = b'{"choices": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if fault == "half":
            self.wfile.write(whole[:len(whole) // 2])
            self.close_connection = True
            return None
        self.wfile.write(whole)
        if fault == "none":
            with server.lock:
                server.answered[name] += 1
        return None
