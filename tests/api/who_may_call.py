"""Every route of the public API and who may call it. Tests fail for a route that is not listed, so that nobody adds an open
route unnoticed.
"""

KEY = "who has a key"
ANYBODY = "anybody"
#: A signature, or the secret in the address; an unknown webhook is not found.
SECRET = "who has the secret of the webhook"
#: It answers 404 without a token file and 401 without the token.
METRICS = "who has the token of the metrics"

WHO_MAY_CALL = {
    ("POST", "/public/v1/flows/execute/{flow_id}"): KEY,
    ("POST", "/public/v1/flows/execute/{flow_id}/batch"): KEY,
    ("GET", "/public/v1/jobs/{job_id}"): KEY,
    ("GET", "/public/v1/jobs"): KEY,
    ("POST", "/public/v1/jobs/{job_id}/cancel"): KEY,
    ("DELETE", "/public/v1/jobs/{job_id}/data"): KEY,
    ("GET", "/public/v1/jobs/{job_id}/events"): KEY,
    ("GET", "/public/v1/jobs/{job_id}/questions"): KEY,
    ("POST", "/public/v1/jobs/{job_id}/questions/{question_id}/answer"): KEY,
    ("GET", "/public/v1/batches/{batch_id}"): KEY,
    ("GET", "/public/v1/batches"): KEY,
    ("POST", "/public/v1/batches/{batch_id}/cancel"): KEY,
    ("GET", "/public/v1/batches/{batch_id}/results"): KEY,
    ("POST", "/public/v1/files"): KEY,
    ("GET", "/public/v1/files/{file_id}"): KEY,
    ("GET", "/public/v1/flows"): KEY,
    ("GET", "/public/v1/openapi/flows/{flow_id}.json"): KEY,
    ("GET", "/public/v1/flows/{flow_id}/openapi.json"): KEY,
    ("GET", "/public/v1/openapi.json"): ANYBODY,
    ("POST", "/mcp"): KEY,
    ("POST", "/public/v1/hooks/{hook_id}"): SECRET,
    ("POST", "/public/v1/hooks/{hook_id}/{secret}"): SECRET,
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/metrics"): METRICS,
}
