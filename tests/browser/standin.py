"""A stand-in for the admin server, for what the real one does not do when it is asked to: be silent, know odd keys and twenty
runs, fail in each way. It serves the page as it was built, with its policy, and speaks docs/openapi.json."""
import copy
import json
import re
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "correct-horse-battery-staple"


def ago(**how):
    """An RFC 3339 time that long before now."""
    return (datetime.now(timezone.utc) - timedelta(**how)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def a_run(number, mode="sync", state="synced", by="schedule", minutes=10, **more):
    return {"id": number, "mode": mode, "by": by, "state": state, "startedAt": ago(minutes=minutes),
            "finishedAt": ago(minutes=minutes, seconds=-4.2), "exitCode": 0, "durationMs": 4200, "syncedFiles": 42, "skippedFiles": 12345, "goneFiles": 0,
            "deletedFiles": 0, "failedFiles": 0, "totalSize": 13054771, **more}


def a_last(run, message="Synced 42 objects (12.45 MB), 12345 already up to date", **more):
    """The same run, with all that is told of the last one."""
    return {**run, "message": message, "progress": {"listed": 12387, "active": 0, "movedBytes": run["totalSize"]}, "errors": [],
            "error": None, **more}


def a_status(**more):
    runs = [a_run(2, minutes=10), a_run(1, "deploy", by="start", minutes=90, syncedFiles=1200, totalSize=987654321)]
    return {"version": "0.1.0", "readOnly": False, "started": ago(minutes=91), "application": {"running": True, "pid": 7},
            "run": None, "last": a_last(runs[0]), "runs": runs, "schedules": {"sync": {"next": ago(minutes=-50)}, "validate": None}, "differences": None,
            "environment": "production", "environmentSource": "NODE_ENV=production", "platform": "",
            "source": "s3://shop-dev", "destination": "s3://shop-production", "deploymentId": "8c1f2d7",
            "deploymentSource": "STORSYNC_DEPLOYMENT_ID", **more}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a browser that has gone


class StandIn:
    def __init__(self, built):
        """`built` is the folder with what src/serve/dashboard/embed has made."""
        self.page = (built / "page.html.gz").read_bytes()
        header = (built / "admin_page.h").read_text()
        self.policy = re.search(r'ADMIN_PAGE_POLICY "(.*)"', header)[1]
        self.status = a_status()
        self.events = True         # has /events
        self.refuse = None         # (status, code, more) for whatever is asked for
        self.silent = False        # accepts connections and says nothing
        self.asked = []            # (method, path, authorization)
        self._changed = threading.Condition()
        self._server = None

    def start(self, port=0):
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                standin.get(self)

            def do_POST(self):
                standin.act(self)

            do_DELETE = do_POST

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        if self._server:
            server, self._server = self._server, None
            with self._changed:
                self._changed.notify_all()
            server.shutdown()
            server.server_close()

    def show(self, **more):
        """From now on."""
        with self._changed:
            self.status = {**copy.deepcopy(self.status), **more}
            self._changed.notify_all()

    def text(self):
        return json.dumps({**self.status, "now": ago()})

    def answer(self, request, code, body, kind="application/json", **headers):
        request.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()
        request.wfile.write(body)

    def get(self, request):
        if self.silent:
            request.close_connection = True
            while self._server and self.silent:
                time.sleep(0.02)
        elif request.path == "/":
            self.answer(request, 200, self.page, "text/html; charset=utf-8", Content_Encoding="gzip",
                        Content_Security_Policy=self.policy, X_Content_Type_Options="nosniff")
        elif request.path == "/status":
            self.answer(request, 200, self.text().encode())
        elif request.path == "/events" and self.events:
            self.stream(request)
        else:
            self.answer(request, 404, b'{"error":{"code":"not-found","message":"There is no such thing here"}}')

    def stream(self, request):
        request.close_connection = True
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Connection", "close")
        request.end_headers()
        server = self._server
        while self._server is server and not self.silent:
            with self._changed:
                request.wfile.write(f"event: status\ndata: {self.text()}\n\n".encode())
                self._changed.wait()

    def act(self, request):
        given = request.headers.get("Authorization")
        self.asked.append((request.command, request.path, given))
        if self.status["readOnly"]:
            return self.error(request, 403, "read-only", "No admin_token is set")
        if given != "Bearer " + TOKEN:
            return self.error(request, 401, "unauthorized", "The token is missing or wrong")
        if self.refuse:
            status, code, more = self.refuse
            return self.error(request, status, code, "The server's own words", **more)
        number = self.status["runs"][0]["id"] + 1 if self.status["runs"] else 1
        if request.command == "DELETE":
            return self.answer(request, 202, json.dumps({"run": {"id": self.status["run"]["id"], "mode": "sync"}}).encode())
        mode = "dry-run" if "dry_run" in request.path else request.path.strip("/")
        self.answer(request, 202, json.dumps({"run": {"id": number, "mode": mode}}).encode())

    def error(self, request, status, code, message, **more):
        self.answer(request, status, json.dumps({"error": {"code": code, "message": message, **more}}).encode())
