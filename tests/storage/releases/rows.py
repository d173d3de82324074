"""Rows of a release's data folder, so that every table has some: those that the jobs of `make.py` do not write."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR, Millis
from engine.secrets.sealing import Vault
from storage.database import now
from storage.knowledge_changes import add_receipt, insert_collection, insert_source
from storage.knowledge_documents import NewPiece, begin_document, finish_document, write_pieces
from storage.settings import SECRET_HOSTS_FOUND, put_setting
from storage.tables import (
    Batch,
    Connection,
    Dataset,
    DatasetRow,
    DatasetWrite,
    Event,
    Idempotency,
    ModelCall,
    OwnerNote,
    PlaygroundBatch,
    PlaygroundBatchRow,
    Price,
    RecoveryCode,
    RefusalCount,
    RefusedCall,
    RollupBusy,
    RollupCalls,
    RollupCarried,
    RollupDurations,
    RollupJobs,
    RollupSpan,
    SecondFactor,
    Secret,
    SentField,
    SetupToken,
    SignIn,
    SignInFailure,
    SignInPlace,
    Snapshot,
    Step,
    ToolServer,
    User,
    WebhookDelivery,
    WebhookSecret,
    WorkerProcess,
)
from storage.tables_files import FileUse, StoredFile
from storage.tables_questions import Question
from storage.tables_triggers import Hook, HookDelivery, HookMessage, HookSecret, Schedule, ScheduleStart

#: The key of the folder, known to the tests of later releases: they open its secrets.
VAULT: Final = Vault(bytes(32))
#: Every sealed value of the folder, by the id under which it is sealed.
SEALED: Final = {
    "secret_shop": "the shop's token",
    "hook_secret_1": "the hook's secret",
    "webhook_secret_1": "whsec_c2lnbnM=",
    "second factor of user_ann": "JBSWY3DPEHPK3PXP",
}
_ADDRESS = "203.0.113.7"
_MODEL = "gpt-5-mini"


def add_rows(session: Session, workspace_id: str, flow_id: str, key_id: str, job_id: str) -> None:
    """Adds them to the workspace; what belongs to a job belongs to this one, which has ended."""
    at = now(session)
    _people(session, workspace_id, at)
    _services(session, workspace_id, flow_id, at)
    _data(session, workspace_id, flow_id, job_id, at)
    _starts(session, workspace_id, flow_id, job_id, at)
    _of_the_job(session, workspace_id, flow_id, job_id, at)
    _calls(session, workspace_id, flow_id, key_id, at)
    _sums(session, workspace_id, flow_id, key_id, job_id, at)
    session.flush()
    _knowledge(session, workspace_id, job_id)


def _sealed(workspace_id: str, sealed_id: str) -> str:
    return VAULT.seal(workspace_id, sealed_id, SEALED[sealed_id])


def _people(session: Session, workspace_id: str, at: Millis) -> None:
    session.add(
        User(
            id="user_ann",
            workspace_id=workspace_id,
            email="ann@example.com",
            name="Ann",
            role="owner",
            password_hash=None,
            created_at=at,
            seen_at=at,
        )
    )
    session.flush()
    session.add_all(
        (
            SignIn(
                token_hash="5e" * 32, user_id="user_ann", created_at=at, seen_at=at, address=_ADDRESS, browser="Firefox"
            ),
            SignInPlace(user_id="user_ann", place=_ADDRESS, network="203.0.113.0/24", seen_at=at),
            SignInFailure(subject="account ann@example.com", at=at),
            SecondFactor(
                user_id="user_ann",
                sealed=_sealed(workspace_id, "second factor of user_ann"),
                created_at=at,
                last_step=1,
            ),
            RecoveryCode(user_id="user_ann", code_hash="c0" * 32),
            SetupToken(
                token_hash="7a" * 32,
                purpose="invite",
                workspace_id=workspace_id,
                role="viewer",
                created_at=at,
                expires_at=at + 7 * DAY,
                email="bea@example.com",
                created_by="user_ann",
            ),
        )
    )
    put_setting(session, workspace_id, SECRET_HOSTS_FOUND, True)


def _services(session: Session, workspace_id: str, flow_id: str, at: Millis) -> None:
    session.add_all(
        (
            Secret(
                id="secret_shop",
                workspace_id=workspace_id,
                name="Shop",
                sealed=_sealed(workspace_id, "secret_shop"),
                created_at=at,
                updated_at=at,
                hosts=["shop.example.com"],
            ),
            Connection(
                id="conn_1",
                workspace_id=workspace_id,
                name="oa",
                provider="openai",
                secret_id="secret_shop",
                local=False,
                models=[_MODEL],
                named_models=["my-deployment"],
                max_concurrency=4,
                created_at=at,
            ),
            Price(workspace_id=workspace_id, connection="oa", model=_MODEL, input_nanos=1, output_nanos=2),
            ToolServer(
                id="tools_1",
                workspace_id=workspace_id,
                name="Shop tools",
                url="https://shop.example.com/mcp",
                header="Authorization",
                secret_id="secret_shop",
                tools=[{"name": "find", "description": "Finds", "schema": {"type": "object"}, "reads": True}],
                allowed=["find"],
                created_at=at,
                listed_at=at,
            ),
            OwnerNote(
                id="note_1",
                workspace_id=workspace_id,
                user_id="user_ann",
                name="Ann",
                flow_id=flow_id,
                subject="Greeting",
                message="A model, please.",
                created_at=at,
            ),
            WorkerProcess(
                boot_id="boot_old",
                started_at=at,
                beat=3,
                beat_at=at,
                host="a",
                pid=1,
                kind="worker",
                version="",
                lag_ms=2,
            ),
        )
    )


def _data(session: Session, workspace_id: str, flow_id: str, job_id: str, at: Millis) -> None:
    row = {"name": "Ann", "age": 30}
    session.add(
        Dataset(
            id="dataset_1",
            workspace_id=workspace_id,
            name="People",
            columns=[{"name": "name", "type": "string"}, {"name": "age", "type": "number"}],
            key_column="name",
            row_count=1,
            byte_count=23,
            created_at=at,
            updated_at=at,
        )
    )
    session.add(
        StoredFile(
            id="file_1",
            workspace_id=workspace_id,
            sha256="ab" * 32,
            name="invoice.pdf",
            media_type="application/pdf",
            size=1_000,
            environment="playground",
            created_by="user_ann",
            created_at=at,
        )
    )
    session.flush()
    session.add_all(
        (
            DatasetRow(dataset_id="dataset_1", data=row, key="Ann", written_by=f"{job_id}:save:"),
            DatasetWrite(id=f"{job_id}:save:", dataset_id="dataset_1", action="add", at=at),
            FileUse(kind="samples", owner_id=flow_id, file_id="file_1"),
        )
    )


def _starts(session: Session, workspace_id: str, flow_id: str, job_id: str, at: Millis) -> None:
    session.add_all(
        (
            Schedule(
                id="sched_1",
                workspace_id=workspace_id,
                flow_id=flow_id,
                title="Every Monday",
                timing={"kind": "weekly", "days": [1], "time": "09:00"},
                time_zone="Europe/Berlin",
                source={"kind": "input", "payload": {"name": "Ann"}},
                created_at=at,
                created_by="Ann",
            ),
            Hook(
                id="hook_1",
                workspace_id=workspace_id,
                flow_id=flow_id,
                title="GitHub",
                preset="github",
                mapping={"name": {"from": "body", "path": "/sender/login"}},
                paused=False,
                created_at=at,
                created_by="Ann",
                last_body='{"sender":{"login":"ann"}}',
                last_headers={"x-github-event": "issues"},
                last_at=at,
                last_job_id=job_id,
            ),
        )
    )
    session.flush()
    session.add_all(
        (
            ScheduleStart(
                schedule_id="sched_1",
                slot=at - HOUR,
                at=at,
                missed=1,
                job_id=job_id,
                jobs=1,
                left_out=[{"number": 2, "text": "name is empty"}],
                left_out_count=1,
                trouble={"code": "quota", "title": "Too many", "detail": "", "remedy": ""},
            ),
            HookSecret(
                id="hook_secret_1",
                workspace_id=workspace_id,
                hook_id="hook_1",
                sealed=_sealed(workspace_id, "hook_secret_1"),
                created_at=at,
            ),
            HookMessage(hook_id="hook_1", message="d1" * 32, job_id=job_id, at=at),
            HookDelivery(
                hook_id="hook_1", at=at, status=202, code="accepted", reason="", event="issues", size=26, job_id=job_id
            ),
        )
    )


def _of_the_job(session: Session, workspace_id: str, flow_id: str, job_id: str, at: Millis) -> None:
    session.add_all(
        (
            Step(
                job_id=job_id,
                node_id="set_fields",
                index_path="",
                status="completed",
                attempt=1,
                tries=1,
                started_at=at,
                ended_at=at + 5,
                duration_ms=5,
                warnings=["A warning."],
                cost_nanos=7,
                input_tokens=3,
                output_tokens=4,
                model_calls=1,
                simulated=False,
            ),
            ModelCall(
                workspace_id=workspace_id,
                job_id=job_id,
                flow_id=flow_id,
                node_id="set_fields",
                index_path="",
                at=at,
                connection="oa",
                model=_MODEL,
                input_tokens=3,
                output_tokens=4,
                cost_nanos=7,
                price={"input_nanos": 1, "output_nanos": 2},
                duration_ms=5,
                simulated=False,
            ),
            Question(
                id="question_1",
                workspace_id=workspace_id,
                job_id=job_id,
                flow_id=flow_id,
                environment="live",
                node_id="approval",
                index_path="",
                key="",
                mark="e7" * 32,
                title="Send it?",
                content='{"values":{"text":"Hello"},"editable":["text"]}',
                on_expiry="refuse",
                asked_at=at,
                expires_at=at + DAY,
                closed_at=at + 1,
                outcome="approved",
                expired=False,
                answer='{"text":"Hello Ann"}',
                note="Fine",
                answered_by="Ann",
            ),
            WebhookDelivery(
                id="delivery_1",
                workspace_id=workspace_id,
                flow_id=flow_id,
                job_id=job_id,
                url="https://shop.example.com/done",
                event="job.completed",
                status="delivered",
                tries=1,
                log=[{"at": at, "status": 200, "ms": 12}],
                created_at=at,
            ),
            WebhookSecret(
                id="webhook_secret_1",
                workspace_id=workspace_id,
                flow_id=flow_id,
                sealed=_sealed(workspace_id, "webhook_secret_1"),
                created_at=at,
            ),
            Snapshot(id="snap_1", flow_id=flow_id, document='{"format":1,"nodes":[],"edges":[]}', created_at=at),
            Batch(
                id="batch_1",
                workspace_id=workspace_id,
                flow_id=flow_id,
                environment="playground",
                total=1,
                created_at=at,
            ),
        )
    )
    session.flush()
    session.add(
        PlaygroundBatch(
            batch_id="batch_1",
            snapshot_id="snap_1",
            user_id="user_ann",
            source={"kind": "listed", "rows": [["Ann", {"name": "Ann"}]], "skip": []},
            state="ended",
            trouble="",
            closed=True,
        )
    )
    session.flush()
    session.add(
        PlaygroundBatchRow(batch_id="batch_1", row=1, state="refused", title="Ann", text="The month is used up.")
    )
    if session.get(Event, (job_id, 1)) is None:
        session.add(Event(job_id=job_id, seq=1, at=at, name="job.started", data={"attempt": 1}))


def _calls(session: Session, workspace_id: str, flow_id: str, key_id: str, at: Millis) -> None:
    session.add_all(
        (
            Idempotency(
                scope="1d" * 32,
                fingerprint="f1" * 32,
                flow_version=1,
                status=202,
                body='{"job_id":"job_a"}',
                created_at=at,
            ),
            RefusalCount(
                minute=at // 60_000,
                workspace_id=workspace_id,
                flow_id=flow_id,
                key_id=key_id,
                code="validation_failed",
                count=2,
            ),
            RefusedCall(
                workspace_id=workspace_id,
                at=at,
                request_id="req_1",
                key_id=key_id,
                key_prefix="fp_live_",
                flow_id=flow_id,
                status=422,
                code="validation_failed",
                fields=[{"pointer": "/name", "code": "required"}],
            ),
            SentField(day=at // DAY, workspace_id=workspace_id, flow_id=flow_id, key_id=key_id, field="name", count=5),
        )
    )


def _sums(session: Session, workspace_id: str, flow_id: str, key_id: str, job_id: str, at: Millis) -> None:
    """The sums of Monitoring of an hour before the folder's jobs, and a job that is carried on from it."""
    start = at // HOUR * HOUR - HOUR
    where = {"workspace_id": workspace_id, "start": start, "flow_id": flow_id, "environment": "live", "key_id": key_id}
    session.add_all(
        (
            RollupSpan(workspace_id=workspace_id, since=start, until=start + HOUR),
            RollupCarried(job_id=job_id, workspace_id=workspace_id, counted=True),
            RollupJobs(**where, status="completed", code="", jobs=1, last_ended_at=start + 500),
            RollupCalls(**where, at=start, connection="oa", model=_MODEL, nanos=7, calls=1, unknown=0),
            RollupDurations(**where, width=HOUR, kind="took", counts=[500, 1]),
            RollupBusy(**where, most=[1] + [0] * 59),
        )
    )


def _knowledge(session: Session, workspace_id: str, job_id: str) -> None:
    """A collection with one text in two pieces, which can be found by words and by meaning."""
    collection = insert_collection(session, workspace_id, "Handbook", 1_000)
    source_id = insert_source(session, collection, "text", "Opening hours", {}, "Ann", b"We open at nine.").id
    document_id = begin_document(session, source_id, None, "text", "Opening hours", "")
    pieces = [NewPiece("We open at nine.", "Hours"), NewPiece("We close at six.", "Hours")]
    write_pieces(session, source_id, None, document_id, 0, pieces)
    finish_document(session, source_id, None, document_id, "ha" * 32, "oa:embed", [bytes(8), bytes(range(8))])
    add_receipt(session, f"{job_id}:add:", collection.id, {"added": 2})
