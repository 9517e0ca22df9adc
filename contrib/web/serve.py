"""`python contrib/web/serve.py [FOLDER] [--port N]`: the page at http://localhost:8000.

Browsers give WebAssembly several threads only to pages that ask to be isolated, by two headers.
Any other server works too, on one thread.
"""

from __future__ import annotations

import argparse
import functools
import http.server
from pathlib import Path


class Isolated(http.server.SimpleHTTPRequestHandler):
    """Files of one folder, with the headers of an isolated page."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the page says what it does."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=Path(__file__).parent / "dist")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    handler = functools.partial(Isolated, directory=str(options.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", options.port), handler) as server:
        print(f"http://localhost:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
