"""What ingest is measured against: a bare Starlette endpoint that reads the body and returns a constant."""

import gc
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def endpoint(request: Request) -> Response:
    await request.body()
    return Response(b'{"success":true}', media_type="application/json")


app = Starlette(routes=[Route("/v1/track", endpoint, methods=["POST"]), Route("/v1/batch", endpoint, methods=["POST"])])

if __name__ == "__main__":
    # The same server and collector settings as engage.server.serve.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", access_log=False,
        log_level="warning", server_header=False, proxy_headers=False, backlog=4_096,
    )  # fmt: skip
