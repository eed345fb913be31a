"""The yardstick: one falcon route that answers JSON, as anybody would write it. Served by `python -m uvicorn bare:app`."""

from __future__ import annotations

import falcon
import falcon.asgi


class Hello:
    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.media = {"ok": True, "data": {"result": 60.0, "reports": []}}

    on_get = on_post


app = falcon.asgi.App()
app.add_route("/", Hello())
