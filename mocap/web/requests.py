"""What a page may ask for: every field checked before anything happens."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mocap.core.errors import InputError

Name = Annotated[str, Field(min_length=1, max_length=80)]
Mode = Literal["intrinsics", "extrinsics", "floor", "take"]

LONGEST_S = 4 * 3600.0
MOST_TAKES = 200


class PageRequest(BaseModel):
    """Base of all: unknown fields are refused, and so are NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class NoFields(PageRequest):
    """A command that needs nothing else."""


class RecordRequest(PageRequest):
    """Begin to record. camera: whose lens, for intrinsics. take, number: its name and which try it is."""

    mode: Mode
    camera: Name | None = None
    take: Name | None = None
    number: Annotated[int, Field(ge=1, le=9999)] | None = None
    countdown_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    duration_s: Annotated[float, Field(gt=0, le=LONGEST_S)] | None = None


class CalibrateRequest(PageRequest):
    """Calibrate. without_lenses: cameras whose own clips do not count. floor: where the world comes from: the clip of
    the board on the floor, a take in which `person` names somebody who stands, or how the cameras are held. origin,
    thickness_mm: of the world, and of the board that lies on the floor."""

    without_lenses: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    floor: Literal["board", "person", "cameras"] = "board"
    person: Name | None = None
    origin: Literal["corner", "middle", "cameras"] = "corner"
    thickness_mm: Annotated[float, Field(ge=0, le=500)] = 0.0


class SyncRequest(PageRequest):
    """Put the cameras of a take on one clock."""

    take: Name


class ProcessRequest(PageRequest):
    """Process takes, one after the other. again: although nothing has changed since they were processed."""

    takes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_TAKES)]
    again: bool = False


class OverlayRequest(PageRequest):
    """What to draw into previews."""

    kind: Literal["none", "board", "people"]


RequestT = TypeVar("RequestT", bound=PageRequest)


def read_request(kind: type[RequestT], body: bytes) -> RequestT:
    """The request that a body holds. Raises InputError that says which field is wrong."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON") from None
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or type(value).__name__
        raise InputError(f"the request is not understood: {place}: {first['msg']}") from None
