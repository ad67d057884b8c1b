"""`mezzotint serve`: one server, several faces, on the engine.

How a picture comes about::

    face (a router) --> PictureService.submit --> JobBoard: JobJournal (on the disk), FairQueue
    Dispatcher: FairQueue --> EngineHosts (one engine a model) --> PictureDrawing: Store, JobJournal, EventLog

| file | what it is |
|---|---|
| `format.py` | `ServeSettings`: everything that the owner decides |
| `app.py` | `create_app(settings) -> FastAPI`; its list `ROUTERS` has a line for each face |
| `service.py` | `PictureService`: what all faces use; it knows no HTTP |
| `orders.py` | `PictureOrder`: our own JSON, sweeps too, and the requests that it stands for; the owner's limits |
| `jobs.py`, `events.py` | `PictureJob` of `JobItem`s, with states; `EventLog`: the news of a job |
| `board.py`, `fair.py` | `JobBoard`: all jobs, safe under threads; `FairQueue`: who is next |
| `dispatch.py`, `drawing.py` | a thread that gives engines what fills a network call; what becomes of the pictures |
| `hosts.py` | `EngineHosts`: models opened on first use, the least recently used given up |
| `journal.py`, `beside.py` | jobs in SQLite or PostgreSQL, which outlive the process; traces and attention as files |
| `images.py`, `views.py` | pictures as PNG, WebP, JPEG with their recipe; jobs as JSON |
| `pictures.py`, `inside.py`, `uploads.py`, `capabilities.py` | routers of our own API |
| `access.py`, `tokens.py`, `login.py`, `rates.py`, `headers.py` | who may come in |
| `health.py`, `metrics.py`, `logs.py`, `run.py`, `claim.py` | how it is run |

A job is `queued`, `running`, `finished`, `failed` or `cancelled`, and so is each of its pictures. State is the truth;
events are hints that may be missed.

**To write another face** (`openai.py`, `infotext.py`), make an `APIRouter`, add it to `ROUTERS`, and use the service::

    from mezzotint.serve.deps import ClientDep, ServiceDep

    @router.post("/v1/images/generations")
    async def generate(body: Body, service: ServiceDep, client: ClientDep) -> ...:
        requests = [("emoji", Request("a red rose", seed=7))]     # (served name, request), up to `max_count`
        job = await service.submit(requests, client, options=JobOptions(preview=5))
        async for event in service.follow(job.id):                 # or: await service.wait(job.id)
            event.kind, event.data, event.preview                  # preview: (H, W, 3) uint8, or None
        picture = await service.picture(job.id, 0)                 # a Picture; encode_picture(picture, "webp")
        data = await service.png(job.id, 0)                        # its file
        await service.cancel(job.id)                               # idempotent: whether there was anything

- `await service.requests(order)` turns a `PictureOrder` (defaults of the model, random seeds, sweeps) into that list.
- `service.settings.sources` names the models that are served, the first is the default; `await service.network(name)`
  gives an open one for its `default_size`, `digest`, `reads_text`; `service.hosts.find(name)` only where it is open.
- `await service.view(job)` is the JSON state with place and ETA; `job.items[n]` has `done` of `evaluations`;
  `service.item(job, n)` checks n. `await service.job(id)` finds a job.
- `uploads.keep_picture(data)` takes a picture's file and gives the digest that `Request.init` and `mask` name it by.
- `service.preview(job)` is the newest rough picture of a job, for clients that ask rather than listen.
- Errors are `MezzotintError`; those of `errors.py` know their HTTP status. `app.py` answers them in OpenAI's form; a
  face that wants another one gives its router an `APIRoute` class of its own (`route_class`).
- Slow work (encoding, files) goes to `await service.off_loop(lambda: ...)`, never on the event loop.
- Guards (token, Host, Origin, sizes) are middleware around all routes: a face does nothing for them, and a route that
  is not in `access.PUBLIC` is closed off loopback.

**The page** lies in `page/` and is served at `/` (`page/index.html`) and `/page/...`; its policy allows scripts and styles
from files there only: nothing inline, nothing from elsewhere. Own data for it, such as the gallery, is a router of its own.
"""
