"""What the API takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from alerting.console.rights import Permission
from shared.review import Said

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Reason = Annotated[Text, Field(description="Why: it stays with the deed.")]
AlertKey = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Change = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
UserName = Annotated[str, StringConstraints(min_length=1, max_length=31)]

PartName = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Cameras = Annotated[tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(max_length=64)]


class Body(BaseModel):
    """What is unknown is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Acknowledge(Body):
    """Take an alert on."""

    key: AlertKey
    reason: Reason


class Shelve(Body):
    """Do not hear of an alert for some minutes; 0 ends that."""

    key: AlertKey
    reason: Reason
    minutes: Annotated[int, Field(ge=0, le=1_440)]


class SayWord(Body):
    """Say that a part was overkill (rejected, but good), an escape (passed, but bad), or decided rightly.

    `cameras` names those whose pictures show it; none means all.
    """

    part_id: PartName
    said: Said
    reason: Reason
    cameras: Cameras = ()


class TakeBack(Body):
    """Take back one's own newest step, which `step` names as the part's history does."""

    part_id: PartName
    step: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]


class Confirm(Body):
    """Settle a case. Without `cameras` it is about those that it was about."""

    part_id: PartName
    standing: Literal["good", "escape", "dismissed"]
    reason: Reason
    cameras: Cameras | None = None


class PolicyChanges(Body):
    """Changes as the command line takes them: `reject_at=2.5`, `runs.rejects_in_a_row=none`."""

    changes: Annotated[list[Change], Field(min_length=1, max_length=50)]


class SetPolicy(PolicyChanges):
    """A change of the policy that was seen as `version`; it is refused where another one stands by now."""

    version: Annotated[int, Field(ge=0)]
    reason: Reason


class UndoPolicy(Body):
    """Take back the change that made `version`, which must be the one that stands."""

    version: Annotated[int, Field(ge=1)]
    reason: Reason


class Resume(Body):
    """Let a halted line go on."""

    reason: Reason


class NewUser(Body):
    """A user; `roles` is `operator`, or by line `line-1=operator,*=viewer`."""

    name: UserName
    roles: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class UserChange(Body):
    """What is to be otherwise; None stays as it is."""

    roles: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = None
    disabled: bool | None = None


class NewToken(Body):
    """A token for a program: it may do what its owner may, within the scopes. Without `days` it lasts until revoked."""

    owner: UserName
    scopes: Annotated[list[Permission], Field(min_length=1, max_length=len(Permission))]
    what_for: Text
    days: Annotated[int, Field(ge=1, le=3_650)] | None = None
