"""The server of the app: its page, and the same jobs for other programs, described at ``/openapi.json``."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect

from common.errors import UserError
from medical_image_synthesis.app.case_queue import CaseQueue, UploadedCase
from medical_image_synthesis.app.guard import Guard
from medical_image_synthesis.app.settings import CaseChoices, chosen, described, devices
from medical_image_synthesis.app.uploads import MOST_FILES, UploadedFile, has_room, stem, stored

PAGE = Path(__file__).parent / "page"
FILES = {"app.js": "text/javascript", "niivue.js": "text/javascript", "style.css": "text/css"}
RESULTS = {
    "nifti": ("nii.gz", "application/gzip"),
    "dicom": ("zip", "application/zip"),
    "json": ("json", "application/json"),
}
MOST_CASES = 200
"""In the list at once; older ones are removed by their owner."""
TICK = 0.25
"""Seconds between two looks at the state of a case that is followed."""
FAULTS = {errno.ENOSPC: "the disk of the server is full", errno.EMFILE: "too many large files: upload a zip of them"}
"""Why an upload cannot be stored."""


def app_of(
    queue: CaseQueue,
    token: str,
    port: int,
    most_bytes: int,
    any_host: bool = False,
    ending: Callable[[], bool] = lambda: False,
) -> Guard:
    """The application.

    Args:
        queue: of cases, which is closed with the application.
        token: see :class:`Guard`.
        port: see :class:`Guard`.
        most_bytes: of an upload, and of what is in a zip.
        any_host: see :class:`Guard`.
        ending: whether the server waits for its last answers, so that no events follow.
    """

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(queue.close)

    app = FastAPI(
        title="Medical image synthesis", version="1", lifespan=closing, docs_url=None, redoc_url=None,
        description="Synthetic images of uploaded scans. For research, not for clinical use.",
    )  # fmt: skip

    @app.exception_handler(UserError)
    async def refused(_: Request, error: UserError) -> Response:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(OSError)
    async def not_stored(_: Request, error: OSError) -> Response:
        fault = FAULTS.get(error.errno or 0, "the server cannot store the upload")
        return JSONResponse({"detail": fault}, 507)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # which nobody reads: the page was closed during an upload

    def case_of(case_id: str) -> UploadedCase:
        case = queue.cases.get(case_id)
        if case is None:
            raise HTTPException(404, "no such case")
        return case

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(PAGE / "index.html", media_type="text/html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        if name not in FILES:
            raise HTTPException(404, "no such file")
        return FileResponse(PAGE / name, media_type=FILES[name])

    @app.get("/bundles")
    async def bundles() -> list[dict[str, Any]]:
        """The bundles: what they do, what their weights saw, and why one cannot be used."""
        return await run_in_threadpool(described)

    @app.get("/devices")
    async def device_names() -> list[str]:
        """The devices of this machine; the first is the default."""
        return list(await run_in_threadpool(devices))

    @app.get("/cases")
    async def cases() -> list[dict[str, Any]]:
        """The states of all cases, the first first."""
        return queue.states()

    @app.post("/cases", status_code=201, openapi_extra=UPLOAD)
    async def new_case(request: Request) -> dict[str, Any]:
        """Upload a scan: a volume, a zip of DICOM, or the files of a DICOM series; with a bundle it is started."""
        if not has_room(queue.root, int(request.headers.get("content-length", 0))):
            raise HTTPException(507, "the disk of the server has no room for this upload")
        if len(queue.cases) >= MOST_CASES:
            raise HTTPException(429, f"{MOST_CASES} cases are in the list: remove some")
        async with request.form(max_files=MOST_FILES, max_fields=20, max_part_size=1 << 16) as form:
            choices = await _choices(form) if "bundle" in form else None
            files = [
                UploadedFile(each.filename or "", each.file)
                for _, each in form.multi_items()
                if not isinstance(each, str)
            ]
            folder = queue.new_folder()
            source = await run_in_threadpool(_stored, files, folder, most_bytes)
            case = UploadedCase(_name(files), folder, source)
            if choices is None:
                await run_in_threadpool(queue.show, case)
            else:
                queue.add(case)
                queue.start(case, choices)
        return case.state()

    @app.post("/cases/{case_id}/start", openapi_extra=CHOICES)
    async def start(case_id: str, request: Request) -> dict[str, Any]:
        """Put a case that was uploaded without a bundle into the queue."""
        case = case_of(case_id)
        async with request.form(max_files=0, max_fields=20, max_part_size=1 << 16) as form:
            choices = await _choices(form)
        if not queue.start(case, choices):
            raise HTTPException(409, f"the case is {case.status}, not ready")
        return case.state()

    @app.get("/cases/{case_id}")
    async def one_case(case_id: str) -> dict[str, Any]:
        """The state of a case."""
        return case_of(case_id).state()

    @app.get("/cases/{case_id}/events", response_class=StreamingResponse)
    async def events(case_id: str, request: Request) -> Response:
        """The states of a case as server-sent events, one for each change, until it has ended."""
        case = case_of(case_id)
        return _streamed(request, case.state, lambda: case.has_ended or case.id not in queue.cases or ending())

    @app.get("/events", response_class=StreamingResponse)
    async def all_events(request: Request) -> Response:
        """The states of all cases as server-sent events, one for each change."""
        return _streamed(request, queue.states, ending)

    @app.post("/cases/{case_id}/cancel")
    async def cancel(case_id: str) -> dict[str, Any]:
        """End the inference of a case, or take it from the queue."""
        case = case_of(case_id)
        queue.cancel(case)
        return case.state()

    @app.delete("/cases/{case_id}", status_code=204)
    async def remove(case_id: str) -> Response:
        """Cancel a case and delete its files."""
        await run_in_threadpool(queue.remove, case_of(case_id))
        return Response(status_code=204)

    @app.get("/cases/{case_id}/result", response_class=FileResponse)
    async def result(case_id: str, format: Literal["nifti", "dicom", "json"] = "nifti") -> Response:
        """The synthetic volume as NIfTI or as a zip of DICOM, or what is known of it as JSON."""
        case = case_of(case_id)
        if format not in case.formats:
            there = ", ".join(case.formats) or "none yet"
            raise HTTPException(404, f"the case has no result as {format}; there is: {there}")
        if format == "dicom":
            await run_in_threadpool(queue.as_dicom, case)
        ending, media_type = RESULTS[format]
        made = case.results["json"].stem.removeprefix(case.source.name.partition(".")[0])
        name = f"{stem(case.name)}{made}.{ending}"  # the command's, of the uploaded file
        return FileResponse(case.results[format], media_type=media_type, filename=name)

    @app.get("/cases/{case_id}/volumes/{name}.nii.gz", include_in_schema=False)
    async def volume(case_id: str, name: str) -> Response:
        path = case_of(case_id).volumes.get(name)
        if path is None:
            raise HTTPException(404, "no such volume")
        return FileResponse(path, media_type="application/octet-stream")

    return Guard(app, token, port, any_host, most_bytes + (1 << 20))


OPTIONS: dict[str, Any] = {
    "bundle": {"type": "string", "example": "mr2ct"},
    "device": {"type": "string", "default": "auto"},
    "uncertainty": {"type": "boolean", "default": False},
    "refuse": {"type": "boolean", "default": True},
    "settings": {"type": "string", "description": "further settings, a line NAME VALUE each"},
}
FILE = {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}}


def _form(required: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A form in OpenAPI; they are read by hand, since a case may have thousands of files."""
    schema = {"type": "object", "required": [required], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


UPLOAD, CHOICES = _form("file", {**FILE, **OPTIONS}), _form("bundle", OPTIONS)


async def _choices(form: FormData) -> CaseChoices:
    given = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return await run_in_threadpool(chosen, given)  # which may import PyTorch


def _stored(files: list[UploadedFile], folder: Path, most_bytes: int) -> Path:
    """Store an upload; of one that fails nothing is left."""
    try:
        return stored(files, folder, most_bytes)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _name(files: list[UploadedFile]) -> str:
    """What a page calls a case: its file, or the folder of its files."""
    path = PurePosixPath(files[0].name.replace("\\", "/"))
    return path.name if len(files) == 1 else path.parts[0] if len(path.parts) > 1 else f"{len(files)} files"


def _streamed(request: Request, state: Callable[[], Any], ended: Callable[[], bool]) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        sent = None
        while not await request.is_disconnected():
            last = ended()
            if (text := json.dumps(state())) != sent:
                sent = text
                yield f"data: {text}\n\n"
            if last:
                return
            await asyncio.sleep(TICK)

    return StreamingResponse(lines(), media_type="text/event-stream")
