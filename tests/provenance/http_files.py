"""A small HTTP server of files in memory, which can break in the ways that downloads break."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Files:
    """`cut_after` closes that many connections early, after so many bytes each."""

    content: dict[str, bytes] = field(default_factory=dict)
    honours_range: bool = True
    cut_after: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # statuses to answer with first, in order
    requested: list[str | None] = field(default_factory=list)  # the Range header of each request
    url: str = ""


@contextmanager
def serve(files: Files) -> Iterator[Files]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            files.requested.append(wanted)
            content = files.content.get(self.path)
            if files.answers or content is None:
                self._head(files.answers.pop(0) if files.answers else 404, 0)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and files.honours_range else 0
            if start and start >= len(content):
                self._head(416, 0)
                return
            if start:
                self._head(206, len(content) - start, f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self._head(200, len(content))
            rest = content[start:]
            if files.cut_after:
                self.wfile.write(rest[: files.cut_after.pop(0)])
                self.close_connection = True
                return
            self.wfile.write(rest)

        def _head(self, status: int, length: int, content_range: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
